"""Every row of the papers' ablations trains on the synthetic dataset and recovers the planted signal."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from synth import affwild2, recipes

from vacli.errors import StoreError, UsageError
from vacli.inference.run import read_recipe
from vacli.models.size import count_parameters
from vacli.progress import RecordingProgress
from vacli.recipe import io as recipe_io
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
    """Mean CCC by the preset of the row."""
    presets = {row.label: str(row.preset) for row in ROWS}
    return {presets[result.name]: result.ccc["mean"] for result in ablation.results}


def test_all_rows_are_trained(ablation: AblateResult) -> None:
    assert ablation.failed == ()
    assert [result.name for result in ablation.results] == [row.label for row in ROWS]
    assert (ablation.skipped, ablation.left_out) == ((), ())


@pytest.mark.parametrize("name", ["lightmamba", "lightmamba-transformer", "concat", "bdca-no-gate", "bdca"])
def test_audiovisual_models_learn_the_planted_signal(ablation: AblateResult, name: str) -> None:
    assert means(ablation)[name] > 0.8


def test_audiovisual_models_beat_unimodal_ones(ablation: AblateResult) -> None:
    ccc = means(ablation)
    assert ccc["bdca"] > max(ccc["audio-only"], ccc["visual-only"]) + 0.15
    scores = {result.name: result.ccc for result in ablation.results}
    assert scores["Only Visual"]["valence"] > scores["Only Audio"]["valence"]  # as it was planted
    assert scores["Only Visual"]["arousal"] < scores["Only Audio"]["arousal"]


def test_baseline_is_worse(ablation: AblateResult) -> None:
    ccc = means(ablation)
    assert ccc["baseline"] < min(value for name, value in ccc.items() if name != "baseline") - 0.2


def test_scores_equal_those_of_evaluate(ablation: AblateResult, settings: AblateSettings) -> None:
    again = evaluate(EvaluateSettings(inputs=(settings.out / "bdca",))).results[0]
    assert again.ccc == pytest.approx(next(r for r in ablation.results if r.name == "BDCA").ccc)


def test_tables_are_filled_and_written(ablation: AblateResult, settings: AblateSettings) -> None:
    rows = json.loads((settings.out / ablate.JSON).read_text())
    assert {row["row"]: row["ccc_mean"] for row in rows} == means(ablation)
    assert all(row["parameters"] > 0 and row["epoch_s"] > 0 and row["process_peak_bytes"] > 0 for row in rows)
    assert {(row["preset"], row["gpu_peak_bytes"]) for row in rows} == {
        (None, None)
    }  # small models, on a CPU
    steps = {row["row"]: (row["temporal_step_s"], row["temporal_kept_bytes"]) for row in rows}
    assert all(seconds > 0 and kept > 0 for seconds, kept in steps.values() if seconds is not None)
    assert steps["bdca"][0] is not None
    markdown = " ".join((settings.out / ablate.MARKDOWN).read_text().split())
    for words in ("| BDCA w/o DW | bdca-no-gate |", "table III", "table IV", "116.5M"):
        assert words in markdown
    bdca = next(line for line in ablation.text.splitlines() if line.startswith("BDCA  "))
    assert f"{means(ablation)['bdca']:.3f}" in bdca


def test_complete_rows_are_skipped(ablation: AblateResult, settings: AblateSettings) -> None:
    listener = RecordingProgress()
    names = ("baseline", "bdca")
    rows = tuple(row for row in settings.rows if row.preset in names)
    before = (settings.out / "bdca" / "weights.safetensors").stat().st_mtime_ns
    again = ablate.run(replace(settings, rows=rows, format="json"), listener)
    assert again.skipped == names
    assert means(again) == pytest.approx({name: means(ablation)[name] for name in names})
    said = [message for message in listener.messages if message.endswith("skipped")]
    assert said == [f"{settings.out / name}: complete with the same settings, skipped" for name in names]
    assert (settings.out / "bdca" / "weights.safetensors").stat().st_mtime_ns == before


FACE = (f"model.streams.visual.features=['{affwild2.VISUAL}']", "model.streams.visual.dim=6")


def quick(store: Path, out: Path, *rows: Ablation, **changes: object) -> AblateSettings:
    """One epoch of each row."""
    common = (*recipes.TRAINING, "training.epochs=1")
    return AblateSettings(store=store, out=out, rows=rows, assignments=common, device="cpu", **changes)


def test_failed_row_is_reported_and_the_others_are_trained(store: Path, tmp_path: Path) -> None:
    listener = RecordingProgress()
    diverging = Ablation(label="Hot", preset="visual-only", assignments=(*FACE, *small(ROWS[5]).assignments))
    hot = ("training.optim.lr=1e30", "training.schedule.warmup_epochs=0")
    diverging = replace(diverging, assignments=(*diverging.assignments, *hot))
    baseline = Ablation(label="Baseline", preset="baseline", assignments=FACE)
    result = ablate.run(quick(store, tmp_path, diverging, baseline, format="json"), listener)
    assert [failure.name for failure in result.failed] == ["visual-only"]
    assert "diverged" in result.failed[0].reason
    assert len(listener.warnings) == 1
    assert [r.name for r in result.results] == ["Baseline"]
    assert json.loads(result.text) == json.loads((tmp_path / ablate.JSON).read_text())


def test_missing_features_are_found_before_anything_is_trained(store: Path, tmp_path: Path) -> None:
    listener = RecordingProgress()
    rows = (Ablation(label="Small", preset="baseline", assignments=FACE), *ROWS[1:6])
    with pytest.raises(StoreError) as caught:
        ablate.run(quick(store, tmp_path / "out", *rows), listener)
    assert "lacks features of 5 of 6 rows (LightMamba, Baseline," in str(caught.value)
    assert "--skip-missing" in caught.value.hint
    assert listener.warnings == [
        f"run `va extract-visual {store} --feature mae-vit-l` for LightMamba, Only Visual",
        f"run `va extract-audio {store} --feature vggish` for LightMamba, Only Audio",
        f"run `va extract-audio {store} --feature egemaps` for LightMamba, Only Audio",
        f"run `va extract-audio {store} --feature mfcc39` for LightMamba, Only Audio",
        f"run `va extract-visual {store} --feature resnet50` for Baseline",
        f"run `va extract-visual {store} --feature mae-vit-l --tag pretrained` for MAE w/o FT",
    ]
    assert not (tmp_path / "out").exists()


def test_rows_without_features_are_left_out_on_request(store: Path, tmp_path: Path) -> None:
    rows = (ROWS[3], Ablation(label="Small", preset="baseline", assignments=FACE))
    result = ablate.run(quick(store, tmp_path, *rows, skip_missing=True))
    assert ([r.name for r in result.results], result.left_out) == (["Small"], ("MAE w/o FT",))
    assert "MAE w/o FT: left out, because the store lacks its features." in result.text
    with pytest.raises(StoreError, match="1 of 1 rows"):
        ablate.run(quick(store, tmp_path, ROWS[3], skip_missing=True))


def test_invalid_recipe_names_its_row_before_anything_is_trained(store: Path, tmp_path: Path) -> None:
    wrong = Ablation(label="Wrong", preset="baseline", assignments=("model.temporal.n_layers=2",))
    with pytest.raises(UsageError, match=r"row Wrong: recipe: unknown key model\.temporal\.n_layers"):
        ablate.run(quick(store, tmp_path / "out", ROWS[1], wrong))
    assert not (tmp_path / "out").exists()


def test_recipe_file_is_a_row_with_its_own_label(store: Path, tmp_path: Path) -> None:
    recipe = recipe_io.set_values(preset("baseline"), [*FACE, "name=My model", *recipes.TRAINING])
    (tmp_path / "mine.toml").write_text(recipe_io.to_toml(recipe), encoding="utf-8")
    rows = ablate.named_rows([str(tmp_path / "mine.toml")])
    result = ablate.run(quick(store, tmp_path / "out", *rows))
    assert [r.name for r in result.results] == ["My model"]
    assert read_recipe(tmp_path / "out" / "mine").model == recipe.model
    assert "own row" in result.text


def test_rows_are_presets_or_recipe_files(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "m.toml").write_text("[training]\nepochs = 1\n")
    first, second = tmp_path / "a" / "m.toml", tmp_path / "b" / "m.toml"
    rows = ablate.named_rows(["charon", "bdca", "charon", str(first)])
    assert [(row.label, row.name) for row in rows] == [("charon", "charon"), ("BDCA", "bdca"), ("m", "m")]
    with pytest.raises(UsageError, match="two rows have the same name"):
        ablate.named_rows([str(first), str(second)])
    with pytest.raises(UsageError, match="no preset 'bdac'"):
        ablate.named_rows(["bdac"])


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
