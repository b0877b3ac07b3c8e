"""Runs are loaded whole or refused; a trajectory is what windows say together."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from synth.runs import LENGTH, RECIPE, sequence, write_run

from vacli.errors import InputError, RunError
from vacli.files.run_directory import (
    RECIPE_FILE,
    WEIGHTS_FILE,
)
from vacli.inference.prediction import predict_sequence
from vacli.inference.run import load_run
from vacli.inference.torch_predictor import TorchPredictor
from vacli.models.build import build
from vacli.recipe.schema import Window
from vacli.sequences.dataset import Standardiser
from vacli.sequences.normalization import fit


class Counting(torch.nn.Module):
    """Answers each frame with its first visual value and with how many frames of its window are real."""

    def forward(
        self, streams: dict[str, torch.Tensor], mask: torch.Tensor, availability: dict[str, torch.Tensor]
    ) -> torch.Tensor:
        assert not self.training
        assert streams["visual"][~mask].isnan().all()
        real = mask.sum(dim=1, keepdim=True).expand(mask.shape) / 1000
        return torch.stack([streams["visual"][..., 0].nan_to_num(), real], dim=-1)


def counting(window: Window) -> TorchPredictor:
    class Same(torch.nn.Module):
        def forward(self, streams: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            return streams

    return TorchPredictor(Counting().train(), Same(), window, torch.device("cpu"))


@pytest.mark.parametrize("frames", [1, 7, LENGTH, LENGTH + 1, 3 * LENGTH + 5, 40 * LENGTH])
def test_every_frame_gets_its_own_value_for_any_length(frames: int) -> None:
    rows = sequence(frames)
    ramp = np.linspace(-0.9, 0.9, frames, dtype=np.float32)
    rows.streams["visual"][:, 0] = ramp
    predictor = counting(Window(length_frames=LENGTH, stride_frames=25))
    values = predictor(rows)
    assert values.shape == (frames, 2)
    np.testing.assert_allclose(values[:, 0], ramp, atol=1e-7)
    np.testing.assert_allclose(values[:, 1], min(frames, LENGTH) / 1000, atol=1e-7)
    assert predictor.net.training  # as it was before


def test_a_video_without_frames_has_no_values() -> None:
    assert counting(RECIPE.window)(sequence(0)).shape == (0, 2)


def test_overlaps_are_averaged() -> None:
    class Window1(torch.nn.Module):
        def forward(
            self, streams: dict[str, torch.Tensor], mask: torch.Tensor, availability: dict[str, torch.Tensor]
        ) -> torch.Tensor:
            number = torch.arange(len(mask)).view(-1, 1, 1) / 10
            return number.expand(*mask.shape, 2).clone()

    predictor = counting(Window(length_frames=4, stride_frames=2))
    predictor.network.net = Window1()
    np.testing.assert_allclose(
        predictor(sequence(8))[:, 0], [0, 0, 0.05, 0.05, 0.15, 0.15, 0.2, 0.2], atol=1e-7
    )


def test_values_are_clipped_to_the_scale() -> None:
    rows = sequence(10)
    rows.streams["visual"][:, 0] = np.linspace(-3, 3, 10)
    assert np.abs(counting(RECIPE.window)(rows)).max() == 1.0


def test_a_run_predicts_as_the_network_does_on_z_scores(tmp_path: Path) -> None:
    run = load_run(write_run(tmp_path / "run"))
    rows = sequence(LENGTH, seed=3)
    net = build(RECIPE.model)
    net.load_state_dict(load_file(tmp_path / "run" / WEIGHTS_FILE))
    scaled = Standardiser(fit([sequence(200)]), RECIPE.training.clip_z)(
        {name: torch.from_numpy(x)[None] for name, x in rows.streams.items()}
    )
    expected = net.eval()(scaled, torch.ones(1, LENGTH, dtype=torch.bool))[0].detach().numpy()
    trajectory = predict_sequence(run, rows, rows.times_s)
    np.testing.assert_allclose(trajectory.values, expected.clip(-1, 1), atol=1e-6)
    assert trajectory.uncertainty is None
    assert trajectory.video == "v3"
    assert run.members[0].validation == ("v0",)
    assert run.features["face"]["fingerprint"] == "f"


def test_missing_rows_do_not_spread_beyond_the_receptive_field(tmp_path: Path) -> None:
    run = load_run(write_run(tmp_path / "run"))
    rows, holed = sequence(120), sequence(120)
    holed.streams["audio"][50:60] = np.nan
    whole, partly = (predict_sequence(run, r, r.times_s).values for r in (rows, holed))
    assert np.isfinite(partly).all()
    np.testing.assert_array_equal(whole[:45], partly[:45])
    np.testing.assert_array_equal(whole[70:], partly[70:])
    assert not np.array_equal(whole[50:60], partly[50:60])


def test_folds_are_averaged_and_their_std_is_returned(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        write_run(tmp_path / "run" / f"fold_{number}", seed=number)
    run, rows = load_run(tmp_path / "run"), sequence(90)
    single = [
        predict_sequence(load_run(tmp_path / "run" / f"fold_{n}"), rows, rows.times_s).values
        for n in (1, 2, 3)
    ]
    trajectory = predict_sequence(run, rows, rows.times_s)
    np.testing.assert_allclose(trajectory.values, np.mean(single, axis=0), atol=1e-6)
    np.testing.assert_allclose(trajectory.uncertainty, np.std(single, axis=0, ddof=1), atol=1e-6)


def test_other_widths_are_refused_with_both_numbers(tmp_path: Path) -> None:
    run, rows = load_run(write_run(tmp_path / "run")), sequence(50)
    wide = replace(rows, streams={**rows.streams, "audio": np.zeros((50, 9), np.float32)})
    with pytest.raises(InputError, match=r"v0: stream 'audio' has 9 columns, .*run needs 2"):
        predict_sequence(run, wide, wide.times_s)
    alone = replace(rows, streams={"visual": rows.streams["visual"]})
    with pytest.raises(InputError, match="stream 'audio' has no columns"):
        predict_sequence(run, alone, alone.times_s)


def damage(folder: Path, name: str) -> None:
    if name == "weights of another model":
        save_file(build(replace(RECIPE.model, tcn=None)).state_dict(), folder / WEIGHTS_FILE)
    elif name.startswith("no "):
        (folder / name.removeprefix("no ")).unlink()
    else:
        (folder / name).write_bytes(b"\x00\x01 nonsense")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no weights.safetensors", "is not a trained run"),
        ("no recipe.json", r"recipe\.json cannot be read"),
        ("no normalisation.safetensors", r"normalisation\.safetensors cannot be read"),
        ("recipe.json", r"recipe\.json cannot be read"),
        ("weights.safetensors", r"weights\.safetensors cannot be read"),
        ("weights of another model", r"does not fit recipe\.json"),
    ],
)
def test_damaged_runs_are_named(tmp_path: Path, name: str, words: str) -> None:
    folder = write_run(tmp_path / "run")
    damage(folder, name)
    with pytest.raises(RunError, match=words):
        load_run(folder)


def test_a_recipe_of_another_version_is_refused(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    values = json.loads((folder / RECIPE_FILE).read_text()) | {"colour": "blue"}
    (folder / RECIPE_FILE).write_text(json.dumps(values))
    with pytest.raises(RunError, match="unknown key colour"):
        load_run(folder)


def test_folds_of_different_models_are_not_mixed(tmp_path: Path) -> None:
    write_run(tmp_path / "run" / "fold_1")
    write_run(tmp_path / "run" / "fold_2", recipe=replace(RECIPE, window=Window(length_frames=30)))
    with pytest.raises(RunError, match="have different models"):
        load_run(tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "fold_2")
    assert len(load_run(tmp_path / "run").members) == 1


def test_a_preset_named_as_a_run_gets_the_command_that_trains_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match="lightmamba is a preset, and presets have no published") as caught:
        load_run(Path("lightmamba"))
    assert "va train STORE --preset lightmamba" in caught.value.one_line()
    write_run(Path("lightmamba"))
    assert load_run(Path("lightmamba")).members
