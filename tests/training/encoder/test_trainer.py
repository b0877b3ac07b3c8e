from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from synth.face_stores import face_store

from vacli.errors import LabelError, RunError, UsageError, VaError
from vacli.features.backbones.backbone import TimmBackbone
from vacli.features.backbones.vit import build_vit
from vacli.features.compact.extractor import Compact
from vacli.features.compact.network import CompactFace
from vacli.progress import Quiet
from vacli.runtime.options import ExecutionOptions
from vacli.steps.finetune_mae import FinetuneMaeSettings, run


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return face_store(tmp_path_factory.mktemp("faces") / "s.zarr", videos=3, frames=24).path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    save_file(build_vit("test_vit").state_dict(), path)
    return path


@pytest.fixture
def settings(store, checkpoint, tmp_path):
    return FinetuneMaeSettings(
        stores=(store,),
        out=tmp_path / "run",
        encoder="test_vit",
        weights=checkpoint,
        freeze_blocks=4,
        epochs=2,
        batch_size=8,
        lr=1e-3,
        warmup_epochs=0.0,
        validation=("clip2",),
        device="cpu",
    )


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def without_seconds(history):
    return [{k: v for k, v in line.items() if k != "seconds"} for line in history]


def test_only_what_is_not_frozen_moves(settings, checkpoint):
    result = run(settings)
    before, after = load_file(checkpoint), load_file(settings.out / "weights.safetensors")
    moved = {k for k, v in before.items() if not torch.equal(v, after[f"encoder.{k}"])}
    assert {k.split(".")[1] for k in moved if k.startswith("blocks.")} == {"4", "5"}
    assert {k for k in moved if not k.startswith("blocks.")} == {"norm.weight", "norm.bias"}
    assert result.epochs == 2
    assert {"weights.safetensors", "last.safetensors", "encoder.json", "card.md"} <= {
        path.name for path in settings.out.iterdir()
    }


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_resuming_takes_the_very_same_path(settings, tmp_path, monkeypatch, average):
    whole = replace(settings, out=tmp_path / "whole", accumulate=2, average=average)
    run(whole)
    broken = replace(whole, out=tmp_path / "broken")
    from vacli.training.encoder.trainer import Fit

    plain = Fit._epoch

    def stops_in_the_second(self):
        if self.state.epoch == 1:
            raise KeyboardInterrupt
        return plain(self)

    monkeypatch.setattr(Fit, "_epoch", stops_in_the_second)
    with pytest.raises(KeyboardInterrupt):
        run(broken)
    monkeypatch.undo()
    run(replace(broken, resume=True))
    for name in ("last.safetensors", "weights.safetensors"):
        one, other = load_file(whole.out / name), load_file(broken.out / name)
        assert all(torch.equal(one[k], other[k]) for k in one)
    assert without_seconds(lines(whole.out)) == without_seconds(lines(broken.out))


def test_what_is_kept_may_be_the_running_mean_of_the_weights(settings, monkeypatch):
    from vacli.training.encoder.trainer import Fit

    steps = []
    plain = Fit._step

    def noted(self, portions):
        loss = plain(self, portions)
        steps.append(self.task.state_dict()["head.bias"].double().clone())
        return loss

    monkeypatch.setattr(Fit, "_step", noted)
    run(replace(settings, average=0.9, epochs=1))
    mean = steps[0]
    for value in steps[1:]:
        mean = 0.9 * mean + 0.1 * value
    kept = load_file(settings.out / "weights.safetensors")["head.bias"].double()
    assert torch.allclose(kept, mean, atol=1e-7)
    assert not torch.allclose(kept, steps[-1], atol=1e-5)


def test_the_compact_network_learns_drawn_faces(settings, monkeypatch):
    small = partial(CompactFace, (16, 32, 32, 32), (0, 1, 1, 1))
    monkeypatch.setattr("vacli.training.encoder.registry.CompactFace", small)
    asked = replace(settings, encoder="compact", weights=None, freeze_blocks=None, lr=5e-3)
    result = run(replace(asked, epochs=20, batch_size=16))
    history = lines(settings.out)
    assert history[-1]["loss"] < 0.75 * history[0]["loss"]
    assert result.best > 0.2


def test_a_trained_compact_network_extracts(settings):
    run(replace(settings, encoder="compact", weights=None, freeze_blocks=None, most_per_video=6, epochs=1))
    rows = Compact(settings.out, ExecutionOptions(device="cpu")).extract(np.zeros((1, 224, 224, 3), np.uint8))
    assert rows.shape == (1, 128)


def test_reconstruction_needs_no_labels_and_gets_better(tmp_path, settings):
    unlabelled = face_store(tmp_path / "u.zarr", videos=3, frames=9, labels=False)
    asked = replace(
        settings,
        stores=(unlabelled.path,),
        objective="reconstruct",
        weights=None,
        from_scratch=True,
        freeze_blocks=None,
        epochs=4,
        lr=2e-3,
    )
    run(asked)
    losses = [line["held_loss"] for line in lines(asked.out)]
    assert losses[-1] < losses[0] - 0.02
    fine = replace(settings, out=tmp_path / "fine", weights=asked.out / "weights.safetensors", epochs=1)
    assert run(fine).epochs == 1
    extractor = TimmBackbone("test_vit", fine.out, ExecutionOptions(device="cpu", dtype="float32"))
    assert extractor.extract(np.zeros((2, 224, 224, 3), np.uint8)).shape == (2, 64)


def test_early_stop(settings, monkeypatch):
    from vacli.training.encoder.trainer import Fit

    scores = iter([0.1, 0.5, 0.3, 0.4, 0.45, 0.2])
    monkeypatch.setattr(Fit, "validate", lambda self: {"score": next(scores)})
    result = run(replace(settings, epochs=6, patience_epochs=2, most_per_video=8))
    assert (result.epochs, result.best_epoch, result.best) == (4, 2, 0.5)


def test_a_run_is_not_overwritten_unasked(settings):
    run(replace(settings, epochs=1, most_per_video=8))
    with pytest.raises(RunError, match="holds a run already") as caught:
        run(settings)
    assert "--resume" in caught.value.hint
    with pytest.raises(RunError, match="begun with epochs 1, not 2"):
        run(replace(settings, most_per_video=8, resume=True))
    run(replace(settings, epochs=1, most_per_video=8, force=True))


def test_layers_learn_at_rates_that_decay_towards_the_image(settings):
    from vacli.training.encoder.vit_tasks import Normalise, VaTask
    from vacli.training.optim import adamw, layer_decay

    task = VaTask(build_vit("test_vit"), 3, Normalise((0.5,) * 3, (0.5,) * 3))
    optimiser = adamw(task, replace_optim(), layer_decay(task.layer_of, 7, 0.5))
    scale = {id(p): g["scale"] for g in optimiser.param_groups for p in g["params"]}
    named = {n: scale[id(p)] for n, p in task.named_parameters() if p.requires_grad}
    assert named["head.weight"] == named["encoder.norm.bias"] == 1.0
    assert named["encoder.blocks.5.attn.qkv.weight"] == 0.5
    assert named["encoder.blocks.3.attn.qkv.weight"] == 0.125


def replace_optim():
    from vacli.recipe import schema as recipe

    return recipe.Optim()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"encoder": "resnet10t"}, UsageError, "no vision transformer"),
        ({"freeze_blocks": 9}, UsageError, "has 6"),
        ({"encoder": "compact", "weights": None}, UsageError, "no blocks to freeze"),
        ({"encoder": "compact", "objective": "reconstruct"}, UsageError, "no reconstruct"),
        ({"from_scratch": True}, UsageError, "never trained"),
        ({"resume": True}, RunError, "no run to resume"),
        ({"lr": 1e30}, RunError, "the loss is"),
    ],
)
def test_what_makes_no_sense_is_said(settings, change, error, message):
    with pytest.raises(error, match=message):
        run(replace(settings, **change))


def test_a_store_without_labels_says_which_command_makes_them(tmp_path, settings):
    bare = face_store(tmp_path / "u.zarr", videos=2, frames=2, labels=False)
    with pytest.raises((LabelError, VaError)) as caught:
        run(replace(settings, stores=(bare.path,)))
    assert "va import-labels" in caught.value.hint


def test_what_is_said_counts_the_parameters(settings):
    listener = Quiet()
    run(replace(settings, epochs=1, most_per_video=8), listener)
    assert any("M parameters frozen" in message for message in listener.messages)
