"""Every row of the papers' ablations trains on the synthetic dataset and recovers the planted signal."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from synth import affwild2, recipes

from vacli.errors import UsageError
from vacli.models.size import count_parameters
from vacli.progress import RecordingProgress
from vacli.recipe.presets import preset
from vacli.steps import ablate
from vacli.steps.ablate import ROWS, AblateResult, AblateSettings, Ablation
from vacli.steps.evaluate import EvaluateSettings
from vacli.steps.evaluate import run as evaluate

MAMBA = "model.temporal={n_layers=1, d_model=24, d_state=4, dropout=0.1}"
EARLY = "model.tcn={channels=[24, 24], kernel=7, dropout=0.1}"
OWN = {
    "lightmamba": (EARLY, MAMBA),
    "lightmamba-transformer": (EARLY, recipes.TRANSFORMER),
    "baseline": (),
}
COMMON = (*recipes.STREAMS, *recipes.TRAINING, "model.head.hidden=[16]", "training.epochs=6")


def small(row: Ablation) -> Ablation:
    """The row with small modules of the kinds that its preset has."""
    names = {stream.name for stream in preset(row.preset).model.streams}
    tcns = tuple(text for text in recipes.OWN_TCN if text.split(".")[2] in names)
    return replace(row, assignments=OWN.get(row.preset, (*tcns, recipes.TRANSFORMER)))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    trials = affwild2.make(affwild2.World(videos=10, frames=300))
    return affwild2.write_store(tmp_path_factory.mktemp("look-alike") / "s.zarr", trials).path


@pytest.fixture(scope="module")
def settings(store: Path, tmp_path_factory: pytest.TempPathFactory) -> AblateSettings:
    return AblateSettings(
        store=store,
        out=tmp_path_factory.mktemp("ablation"),
        rows=tuple(small(row) for row in ROWS),
        assignments=COMMON,
        device="cpu",
    )


@pytest.fixture(scope="module")
def ablation(settings: AblateSettings) -> AblateResult:
    return ablate.run(settings)


def means(ablation: AblateResult) -> dict[str, float]:
    return {result.preset: result.ccc["mean"] for result in ablation.results}


def test_all_rows_are_trained(ablation: AblateResult) -> None:
    assert ablation.failed == ()
    assert [result.preset for result in ablation.results] == [row.preset for row in ROWS]


@pytest.mark.parametrize("name", ["lightmamba", "lightmamba-transformer", "concat", "bdca-no-gate", "bdca"])
def test_audiovisual_models_learn_the_planted_signal(ablation: AblateResult, name: str) -> None:
    assert means(ablation)[name] > 0.8


def test_audiovisual_models_beat_unimodal_ones(ablation: AblateResult) -> None:
    ccc = means(ablation)
    assert ccc["bdca"] > max(ccc["audio-only"], ccc["visual-only"]) + 0.15
    scores = {result.preset: result.ccc for result in ablation.results}
    assert scores["visual-only"]["valence"] > scores["audio-only"]["valence"]  # as it was planted
    assert scores["visual-only"]["arousal"] < scores["audio-only"]["arousal"]


def test_baseline_is_worse(ablation: AblateResult) -> None:
    ccc = means(ablation)
    assert ccc["baseline"] < min(value for name, value in ccc.items() if name != "baseline") - 0.2


def test_scores_equal_those_of_evaluate(ablation: AblateResult, settings: AblateSettings) -> None:
    again = evaluate(EvaluateSettings(inputs=(settings.out / "bdca",))).results[0]
    assert again.ccc == pytest.approx(next(r for r in ablation.results if r.preset == "bdca").ccc)


def test_tables_are_filled_and_written(ablation: AblateResult, settings: AblateSettings) -> None:
    rows = json.loads((settings.out / ablate.JSON).read_text())
    assert {row["preset"]: row["ccc_mean"] for row in rows} == means(ablation)
    assert all(row["parameters"] > 0 and row["epoch_s"] > 0 for row in rows)
    markdown = " ".join((settings.out / ablate.MARKDOWN).read_text().split())
    for words in ("| BDCA w/o DW | bdca-no-gate |", "table III", "table IV", "116.5M"):
        assert words in markdown
    bdca = next(line for line in ablation.text.splitlines() if line.startswith("BDCA  "))
    assert f"{means(ablation)['bdca']:.3f}" in bdca


def test_failed_row_is_reported_and_the_others_are_trained(store: Path, tmp_path: Path) -> None:
    listener = RecordingProgress()
    face = (f"model.streams.visual.features=['{affwild2.VISUAL}']", "model.streams.visual.dim=6")
    rows = (ROWS[0], Ablation(label="Baseline", preset="baseline", assignments=face))
    common = (*recipes.TRAINING, "training.epochs=1")
    result = ablate.run(
        AblateSettings(store=store, out=tmp_path, rows=rows, assignments=common, device="cpu", format="json"),
        listener,
    )
    assert [failure.name for failure in result.failed] == ["lightmamba-transformer"]
    assert "no feature 'mae-vit-l'" in result.failed[0].reason
    assert len(listener.warnings) == 1
    assert [r.preset for r in result.results] == ["baseline"]
    assert json.loads(result.text) == json.loads((tmp_path / ablate.JSON).read_text())


def test_stream_assignments_apply_only_to_rows_with_the_stream() -> None:
    audio = "model.streams.audio.dim=4"
    assert ablate._applies(audio, {"audio", "visual"})
    assert not ablate._applies(audio, {"visual"})
    assert ablate._applies("training.epochs=3", {"visual"})


def test_unknown_format_raises_before_training(store: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--format wurd"):
        ablate.run(AblateSettings(store=store, out=tmp_path, format="wurd"))


def test_presets_have_the_published_parameter_counts() -> None:
    assert count_parameters(preset("lightmamba").model) == 116_534_785
    assert count_parameters(preset("lightmamba-transformer").model) == 85_710_590
