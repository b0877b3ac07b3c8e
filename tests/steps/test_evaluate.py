"""`va evaluate` on runs and predictions of the synthetic dataset, compared with direct formulas."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synth import affwild2, recipes, stores

from vacli.cli.main import run as va
from vacli.datasets.annotation_options import AnnotationOptions
from vacli.errors import InputError, LabelError, RunError, UsageError
from vacli.evaluation import evaluator
from vacli.files import digests
from vacli.inference.calibration import Calibration, ErrorModel
from vacli.inference.postprocessing import PostProcessor
from vacli.inference.run import load_run
from vacli.inference.states import FrameState
from vacli.metrics import ccc
from vacli.output.formats import TableOptions
from vacli.output.index_table import IndexEntry, index_lines
from vacli.output.provenance import SIDECAR_ENDING, read_sidecar
from vacli.progress import RecordingProgress
from vacli.sequences.stored import open_sequences
from vacli.steps import train
from vacli.steps.evaluate import EvaluateSettings, run
from vacli.store import Store

TINY = (*recipes.COMPACT, "training.epochs=2", "training.batch_size=4")


@pytest.fixture(scope="module")
def trials():
    return affwild2.make(affwild2.World(videos=8, frames=150))


@pytest.fixture(scope="module")
def store(tmp_path_factory, trials) -> Store:
    return affwild2.write_store(tmp_path_factory.mktemp("evaluate") / "s.zarr", trials)


def trained(store, out, **changes):
    train.run(
        train.TrainSettings(
            store=store.path, out=out, preset="compact", assignments=TINY, device="cpu", **changes
        )
    )
    return out


@pytest.fixture(scope="module")
def official(store, tmp_path_factory):
    return trained(store, tmp_path_factory.mktemp("evaluate") / "official")


@pytest.fixture(scope="module")
def folds(store, tmp_path_factory):
    return trained(store, tmp_path_factory.mktemp("evaluate") / "crossed", folds=2)


def csv_of(path, trial, values, times_s=None, rate_hz=affwild2.RATE_HZ):
    times_s = np.arange(len(values)) / rate_hz if times_s is None else times_s
    rows = [f"{t:.6f},{v:.6f},{a:.6f}" for t, (v, a) in zip(times_s, values, strict=True)]
    file = path / f"{trial.name}.csv"
    file.write_text("\n".join(["time_s,valence,arousal", *rows]) + "\n")
    return file


def test_run_is_scored_on_its_validation_videos(store, official, trials):
    result = run(EvaluateSettings(inputs=(official,)))
    (score,) = result.results[0].scores
    held = [t for t in trials if t.split == "validation"]
    assert [v.video for v in score.videos] == sorted(t.name for t in held)
    assert score.fold == 0
    (member,) = load_run(official).members
    rows = open_sequences([store.video(t.name) for t in held], load_run(official).recipe.model)
    predicted = np.concatenate([member.predictor(r) for r in rows])
    labels = np.concatenate([t.labels for t in held])
    for dimension, name in enumerate(("valence", "arousal")):
        assert score.pooled[f"ccc_{name}"] == pytest.approx(
            ccc(predicted[:, dimension], labels[:, dimension]), abs=1e-6
        )


def test_score_equals_the_one_of_training(official):
    score = run(EvaluateSettings(inputs=(official,))).results[0].scores[0]
    rows = [json.loads(line) for line in (official / "metrics.jsonl").read_text().splitlines()]
    best = max(rows, key=lambda row: row["mean"])
    assert score.pooled["ccc_mean"] == pytest.approx(best["mean"], abs=1e-5)


def test_folds_are_scored_separately_and_averaged(folds):
    (result,) = run(EvaluateSettings(inputs=(folds,))).results
    assert [s.fold for s in result.scores] == [1, 2]
    videos = [{v.video for v in s.videos} for s in result.scores]
    assert not videos[0] & videos[1]
    mean = np.mean([s.pooled["ccc_mean"] for s in result.scores])
    assert result.folds.mean["ccc_mean"] == pytest.approx(mean)
    assert result.parameters > 0
    assert result.epoch_s > 0


def test_changed_model_is_no_preset_and_its_changes_are_listed(folds):
    (result,) = run(EvaluateSettings(inputs=(folds,))).results
    assert result.preset == ""
    assert "training.epochs=2" in result.changes
    assert "model.temporal.d_state=4" in result.changes
    assert "model.streams.visual.features=['face']" in result.changes


def test_memory_of_training_on_a_cpu_is_that_of_the_process(folds):
    (result,) = run(EvaluateSettings(inputs=(folds,))).results
    assert result.gpu_peak_bytes is None
    rows = [
        json.loads(line)
        for fold in ("fold_1", "fold_2")
        for line in (folds / fold / "metrics.jsonl").read_text().splitlines()
    ]
    assert {row["device"] for row in rows} == {"cpu"}
    assert result.process_peak_bytes == max(row["peak_bytes"] for row in rows)


def test_runs_on_different_videos_are_noted_in_table_and_json(official, folds):
    for form in ("table", "json"):
        text = run(EvaluateSettings(inputs=(official, folds), format=form)).text
        assert "compare the two with `va compare`" in text


def test_model_of_the_other_paper_is_named_in_a_warning(official, monkeypatch):
    monkeypatch.setattr("vacli.evaluation.evaluator.preset_of", lambda model: "concat")
    quiet = RecordingProgress()
    text = run(EvaluateSettings(inputs=(official,), paper="lightmamba"), quiet).text
    assert any("has the model concat" in w and "give --paper bdca" in w for w in quiet.warnings)
    tables = text[text.index("lightmamba, table I:") :]
    assert "\nown row" not in tables  # the note has these words within a line


def test_a_split_is_scored_with_the_ensemble_of_all_folds(store, folds, trials):
    (result,) = run(EvaluateSettings(inputs=(folds,), split="validation")).results
    (score,) = result.scores
    assert {v.video for v in score.videos} == {t.name for t in trials if t.split == "validation"}
    assert score.fold is None


def test_json_output_has_all_scores(folds):
    made = json.loads(run(EvaluateSettings(inputs=(folds,), format="json")).text)
    assert made[0]["name"] == "crossed"
    assert made[0]["scores"][0]["fold"] == 1
    assert made[0]["folds"]["folds"] == 2
    assert set(made[0]["scores"][0]["intervals"]) == {"ccc_valence", "ccc_arousal", "ccc_mean"}


@pytest.mark.parametrize(("form", "wanted"), [("table", "---"), ("markdown", "--:|"), ("latex", r"\toprule")])
def test_paper_tables_are_printed_with_the_run(folds, form, wanted):
    text = run(EvaluateSettings(inputs=(folds,), paper="lightmamba", format=form)).text
    assert wanted in text
    assert "best of five folds, not a test score" in text
    assert "table III" in text


def test_predictions_are_scored_against_the_store(tmp_path, store, trials):
    trial = trials[0]
    predicted = np.nan_to_num(0.5 * trial.labels)
    csv_of(tmp_path, trial, predicted)
    (result,) = run(EvaluateSettings(inputs=(tmp_path / f"{trial.name}.csv",), store=store.path)).results
    assert result.ccc["valence"] == pytest.approx(ccc(predicted[:, 0], trial.labels[:, 0]), abs=1e-5)


def test_predictions_are_scored_against_annotation_files(tmp_path, trials):
    affwild2.write_annotations(tmp_path / "a", trials)
    (tmp_path / "p").mkdir()
    for trial in trials:
        csv_of(tmp_path / "p", trial, np.nan_to_num(0.5 * trial.labels))
    (result,) = run(EvaluateSettings(inputs=(tmp_path / "p",), labels=tmp_path / "a")).results
    labels = np.concatenate([t.labels for t in trials])
    assert result.scores[0].frames == np.sum(~np.isnan(labels[:, 0]))
    assert result.ccc["arousal"] == pytest.approx(ccc(0.5 * labels[:, 1], labels[:, 1]), abs=1e-3)


def test_predictions_are_scored_against_a_table_of_several_videos_and_raters(tmp_path, trials):
    lines = ["video;time;valence_1;arousal_1;valence_2;arousal_2"]
    (tmp_path / "p").mkdir()
    for trial in trials[:2]:
        csv_of(tmp_path / "p", trial, np.nan_to_num(0.5 * trial.labels))
        for frame, (v, a) in enumerate(np.nan_to_num(0.8 * trial.labels)):
            cells = [frame / affwild2.RATE_HZ, v - 0.1, a, v + 0.1, a]
            lines.append(f"{trial.name}.mp4;" + ";".join(f"{x:.5f}" for x in cells))
    (tmp_path / "all.csv").write_text("\n".join(lines))
    (result,) = run(EvaluateSettings(inputs=(tmp_path / "p",), labels=tmp_path / "all.csv")).results
    labels = np.nan_to_num(np.concatenate([t.labels for t in trials[:2]]))
    assert result.ccc["valence"] == pytest.approx(ccc(0.5 * labels[:, 0], 0.8 * labels[:, 0]), abs=1e-3)


def test_missing_rows_give_a_warning(tmp_path, store, trials):
    trial = trials[0]
    kept = np.arange(40, len(trial.labels))
    csv_of(tmp_path, trial, np.nan_to_num(trial.labels)[kept], kept / affwild2.RATE_HZ)
    quiet = RecordingProgress()
    (result,) = run(
        EvaluateSettings(inputs=(tmp_path / f"{trial.name}.csv",), store=store.path), quiet
    ).results
    wanted = int(np.sum(~np.isnan(trial.labels[:40, 0])))
    assert result.scores[0].missing == wanted
    assert any(f"{wanted} annotated frames have no prediction" in w for w in quiet.warnings)


def test_an_output_folder_is_scored_by_its_index(tmp_path, store, trials):
    for trial in trials[:2]:
        csv_of(tmp_path, trial, np.nan_to_num(trial.labels))
    (tmp_path / "notes.csv").write_text("a,b\n")
    entries = [IndexEntry(f"{trial.name}.csv", f"{trial.name}.mp4") for trial in trials[:2]]
    (tmp_path / "index.csv").write_text("".join(index_lines(entries, TableOptions())))
    (result,) = run(EvaluateSettings(inputs=(tmp_path,), store=store.path)).results
    assert [video.video for video in result.scores[0].videos] == [trial.name for trial in trials[:2]]


def test_frames_without_a_value_are_counted_and_not_scored(tmp_path, store, trials):
    trial = trials[0]
    values = np.nan_to_num(trial.labels)
    path = csv_of(tmp_path, trial, values)
    header, *rows = path.read_text().splitlines()
    rows[:30] = [f"{row.split(',')[0]},," for row in rows[:30]]
    path.write_text("\n".join([header, *rows]) + "\n")
    quiet = RecordingProgress()
    (result,) = run(EvaluateSettings(inputs=(path,), store=store.path), quiet).results
    assert result.scores[0].missing == int(np.sum(~np.isnan(trial.labels[:30, 0])))
    assert (
        f"{path}: 30 of {len(rows)} frames have no value and are not scored; "
        "`va predict --fill` writes values for all frames"
    ) in quiet.warnings


def test_failed_inputs_are_reported_and_the_others_are_scored(tmp_path, store, trials):
    good = csv_of(tmp_path, trials[0], np.nan_to_num(trials[0].labels))
    torn = tmp_path / "torn.csv"
    torn.write_text("time_s,valence\n")
    quiet = RecordingProgress()
    made = run(EvaluateSettings(inputs=(torn, tmp_path / "absent.csv", good), store=store.path), quiet)
    assert [result.name for result in made.results] == [good.stem]
    assert [Path(failure.name).name for failure in made.failed] == ["torn.csv", "absent.csv"]
    assert "no column arousal" in quiet.warnings[0]
    nothing = run(EvaluateSettings(inputs=(torn, tmp_path / "absent.csv"), store=store.path))
    assert (nothing.results, nothing.text, len(nothing.failed)) == ((), "", 2)


@pytest.mark.parametrize("name", ["va.csv", "out/"])
def test_tables_of_training_videos_are_noted(tmp_path, store, official, trials, name):
    words = ["predict", str(store.path), "--model", str(official), "--device", "cpu", "-o"]
    assert va([*words, f"{tmp_path}/{name}"]) == 0
    (result,) = run(EvaluateSettings(inputs=(tmp_path / name,), store=store.path)).results
    trained = sorted(t.name for t in trials if t.split == "train")
    shown = f"{len(trained)} ({trained[0]}, ...)."
    assert f"Training videos of the model, whose scores are too high: {shown}" in result.notes
    files = tmp_path.rglob(f"*{SIDECAR_ENDING}")
    made = [read_sidecar(path.with_name(path.name.removesuffix(SIDECAR_ENDING))) for path in files]
    found = [video for record in made for video in record.get("in_training", ())]
    assert sorted(found) == trained


def test_figures_are_written(tmp_path, official, trials):
    run(EvaluateSettings(inputs=(official,), figures=tmp_path / "f"))
    held = {f"{t.name}.png" for t in trials if t.split == "validation"}
    assert {p.name for p in (tmp_path / "f").iterdir()} == {"videos", "labels.png", "plane.png"}
    assert {p.name for p in (tmp_path / "f" / "videos").iterdir()} == held


def test_figures_show_the_ccc_and_the_uncertainty(tmp_path, trials):
    affwild2.write_annotations(tmp_path / "a", trials[:1])
    (trial,) = trials[:1]
    values = np.nan_to_num(0.5 * trial.labels)
    rows = [f"{row / affwild2.RATE_HZ},{v},{a},0.1,0.2" for row, (v, a) in enumerate(values)]
    table = tmp_path / f"{trial.name}.csv"
    table.write_text("\n".join(["time_s,valence,arousal,valence_uncertainty,arousal_uncertainty", *rows]))
    folder = tmp_path / "f"
    settings = EvaluateSettings(
        inputs=(table,), labels=tmp_path / "a", figures=folder, figure_formats=("svg", "pdf")
    )
    (result,) = run(settings).results
    text = (folder / "videos" / f"{trial.name}.svg").read_text()
    (score,) = result.scores[0].videos
    assert f"CCC valence {score.moments[0].ccc:.3f}, arousal {score.moments[1].ccc:.3f}" in text
    assert "1 standard deviation" in text
    assert len(list(folder.rglob("*.pdf"))) == 3


def test_scores_of_a_calibrated_run_have_its_uncertainty(official, store):
    calibration = Calibration({FrameState.AUDIOVISUAL: ErrorModel((0.3, 0.2), (1.0, 1.0))})
    plain = load_run(official)
    calibrated = replace(plain, postprocess=PostProcessor(calibration))
    (_, before), (_, drawn) = (
        evaluator.evaluate_run(r, store, evaluator.HELD_OUT, lambda amount: None) for r in (plain, calibrated)
    )
    assert all(t.uncertainty is None for t in before)
    assert {tuple(row) for t in drawn for row in t.uncertainty} == {(np.float32(0.3), np.float32(0.2))}
    assert all(np.array_equal(a.predicted, b.predicted) for a, b in zip(before, drawn, strict=True))


def test_invalid_settings_raise(tmp_path, store, official, trials):
    with pytest.raises(UsageError, match="--paper lightmanba"):
        run(EvaluateSettings(inputs=(official,), paper="lightmanba"))
    with pytest.raises(UsageError, match="--format xml"):
        run(EvaluateSettings(inputs=(official,), format="xml"))
    with pytest.raises(UsageError, match="is a run, which is scored on the labels of a store"):
        run(EvaluateSettings(inputs=(official,), labels=tmp_path / "absent"))
    with pytest.raises(LabelError, match="no labelled video is of the split test"):
        run(EvaluateSettings(inputs=(official,), split="test"))
    with pytest.raises(InputError, match="no such run or file"):
        run(EvaluateSettings(inputs=(tmp_path / "absent",)))
    with pytest.raises(InputError, match="neither a run nor"):
        run(EvaluateSettings(inputs=(tmp_path,), store=store.path))
    file = csv_of(tmp_path, replace(trials[0], name="stranger"), np.zeros((3, 2)))
    with pytest.raises(UsageError, match="predictions cannot be scored without labels"):
        run(EvaluateSettings(inputs=(file,)))
    with pytest.raises(LabelError, match="none of its videos has labels"):
        run(EvaluateSettings(inputs=(file,), store=store.path))
    with pytest.raises(UsageError, match="those of --labels, which is not given"):
        run(EvaluateSettings(inputs=(file,), annotation_options=AnnotationOptions(delay_s=1)))


def test_the_store_of_a_run_does_not_depend_on_the_working_folder(store, trials, tmp_path, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "there"
    shutil.copytree(store.path, here / "s.zarr")
    affwild2.write_store(there / "s.zarr", [replace(t, labels=-t.labels) for t in trials])
    monkeypatch.chdir(here)
    settings = train.TrainSettings(
        store=Path("s.zarr"), out=Path("run"), preset="compact", assignments=TINY, device="cpu"
    )
    train.run(settings)
    (expected,) = run(EvaluateSettings(inputs=(Path("run"),), device="cpu")).results
    monkeypatch.chdir(there)
    (found,) = run(EvaluateSettings(inputs=(Path("../here/run"),), device="cpu")).results
    assert found.scores == expected.scores
    monkeypatch.chdir(tmp_path)
    (here / "run").rename(tmp_path / "run")
    with pytest.raises(RunError, match=r"s\.zarr, is not here") as caught:
        run(EvaluateSettings(inputs=(Path("run"),), device="cpu"))
    assert "--store" in caught.value.one_line()


def test_a_store_with_other_recordings_is_not_that_of_the_run(store, official):
    data = json.loads((official / "data.json").read_text())
    other = {**data, "sha256": dict.fromkeys(data["sha256"], "0" * 64)}
    digests.write(official / "data.json", json.dumps(other).encode())
    try:
        with pytest.raises(RunError, match="is not the store that "):
            run(EvaluateSettings(inputs=(official,), device="cpu"))
        assert not run(EvaluateSettings(inputs=(official,), store=store.path, device="cpu")).failed
    finally:
        digests.write(official / "data.json", json.dumps(data).encode())


def test_another_store_raises(tmp_path, official, trials):
    other = affwild2.write_store(tmp_path / "o.zarr", trials[:2])
    with pytest.raises(RunError, match=r"not in .*o\.zarr"):
        run(EvaluateSettings(inputs=(official,), store=other.path))


def remade(store: Store, path: Path) -> Store:
    """A copy of a store in which one video has another version of the feature `face`."""
    copy = Store.open(shutil.copytree(store.path, path))
    video = copy.video_ids()[0]
    spec = replace(stores.spec("face", affwild2.VISUAL_DIM), settings={"weights": "ba9876543210"})
    copy.put_feature(video, spec.attributes(), *copy.video(video).feature("face"))
    return copy


def test_features_that_differ_from_those_of_the_run_are_refused_or_noted(store, official, tmp_path):
    other = remade(store, tmp_path / "s.zarr")
    asked = EvaluateSettings(inputs=(official,), store=other.path, device="cpu", format="json")
    with pytest.raises(RunError, match="trained on face with weights absent, not ba9876543210") as caught:
        run(asked)
    assert "--allow-mismatch" in caught.value.one_line()
    progress = RecordingProgress()
    (result,) = run(replace(asked, allow_mismatch=True), progress).results
    note, *others = result.notes
    assert others == [evaluator.KEPT_BEST]
    assert note in progress.warnings
    assert "1 of 8 videos" in note
    assert json.loads(run(replace(asked, allow_mismatch=True)).text)[0]["notes"] == [
        note,
        evaluator.KEPT_BEST,
    ]
    assert note in " ".join(run(replace(asked, allow_mismatch=True, format="table")).text.split())
