"""`va import-labels` on a synthetic Aff-Wild2 and on plain tables."""

from __future__ import annotations

import numpy as np
import pytest
from synth.affwild2 import World, make, write_annotations, write_store
from synth.stores import add_video, empty

from vacli.datasets.annotations import ANNOTATED, INTERPOLATED, NOT_ANNOTATED
from vacli.errors import LabelError, UsageError
from vacli.progress import RecordingProgress
from vacli.steps import _label_trials
from vacli.steps.import_labels import ImportLabelsSettings, run

WORLD = World(videos=8, frames=120)


@pytest.fixture
def trials():
    return make(WORLD)


@pytest.fixture
def store(tmp_path, trials):
    return write_store(tmp_path / "s.zarr", trials, labels=False)


@pytest.fixture
def annotations(tmp_path, trials):
    write_annotations(tmp_path / "a", trials)
    return tmp_path / "a"


def stored(store, video: str) -> np.ndarray:
    return np.column_stack([store.video(video).read(f"label/{n}") for n in ("valence", "arousal")])


def va_file(annotations, trial):
    split = "Train_Set" if trial.split == "train" else "Validation_Set"
    return annotations / "VA_Estimation_Challenge" / split / f"{trial.name}.txt"


def test_labels_equal_those_of_the_files(store, annotations, trials):
    result = run(ImportLabelsSettings(annotations=annotations, store=store.path, refine="off"))
    assert result.done == sorted(t.name for t in trials)
    assert (result.failed, result.unmatched, result.unlabelled) == ([], [], [])
    assert result.hidden == 6
    for trial in trials:
        np.testing.assert_allclose(stored(store, trial.name), trial.labels, atol=5.1e-4)
        view = store.video(trial.name)
        assert view.part_attrs("label")["split"] == trial.split
        np.testing.assert_array_equal(view.read("label/expression")[:, 0], trial.expression)
        assert view.read("label/action_units").shape == (len(trial.labels), 12)
        assert view.part_attrs("label")["action_units_names"][0] == "AU1"


def test_refinement_fills_training_only_and_counts(store, annotations, trials):
    result = run(ImportLabelsSettings(annotations=annotations, store=store.path))
    for trial in trials:
        source = store.video(trial.name).read("label/source")
        hole = np.isnan(trial.labels).any(axis=1)
        wanted = INTERPOLATED if trial.split == "train" else NOT_ANNOTATED
        assert (source[hole] == wanted).all()
        assert (source[~hole] == ANNOTATED).all()
        assert np.isnan(stored(store, trial.name)).any() == (trial.split == "validation")
    assert result.rows["interpolated"] == 6 * sum(t.split == "train" for t in trials)
    assert result.rows["not annotated"] == 6 * sum(t.split == "validation" for t in trials)


def test_equal_labels_are_skipped_and_other_settings_need_force(store, annotations, trials):
    settings = ImportLabelsSettings(annotations=annotations, store=store.path)
    run(settings)
    assert len(run(settings).skipped) == len(trials)
    off = run(ImportLabelsSettings(annotations=annotations, store=store.path, refine="off"))
    assert len(off.skipped) == sum(t.split == "validation" for t in trials)
    assert all("--force" in failure.reason for failure in off.failed)
    forced = run(ImportLabelsSettings(annotations=annotations, store=store.path, refine="off", force=True))
    assert not forced.failed
    assert len(forced.done) == sum(t.split == "train" for t in trials)


def test_labels_that_are_not_written_are_not_counted(store, annotations, trials):
    run(ImportLabelsSettings(annotations=annotations, store=store.path))
    quiet = RecordingProgress()
    file = va_file(annotations, next(t for t in trials if t.split == "train"))
    result = run(ImportLabelsSettings(annotations=file, store=store.path), quiet)
    assert len(result.failed) == 1, "the file alone has no expressions"
    assert not result.rows
    assert "0 videos labelled (0 unchanged); rows: none" in quiet.messages


def test_unmatched_annotations_are_reported_with_the_reason(store, annotations, trials):
    first = va_file(annotations, trials[0])
    text = first.read_text()
    first.rename(first.with_name("stranger.txt"))
    first.with_name("video59_left.txt").write_text(text)
    quiet = RecordingProgress()
    result = run(ImportLabelsSettings(annotations=annotations, store=store.path), quiet)
    assert trials[0].name == "video59"
    reasons = {f.name: f.reason for f in result.unmatched}
    assert reasons["stranger"] == "the store has no video of that name"
    assert "va align --face left" in reasons["video59_left"]
    assert result.unlabelled == ["video59"]
    assert any("stranger" in w for w in quiet.warnings)
    assert any("1 video has no annotation (video59)" in w for w in quiet.warnings)


@pytest.mark.parametrize(("rows", "surplus"), [(-1, -1), (1, 1), (-30, -30), (200, 200)])
def test_different_row_counts_are_reported(store, annotations, trials, rows, surplus):
    path = va_file(annotations, trials[2])
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:rows] if rows < 0 else lines + ["0.5,0.5"] * rows) + "\n")
    quiet = RecordingProgress()
    result = run(ImportLabelsSettings(annotations=annotations, store=store.path, refine="off"), quiet)
    assert result.surplus_rows == {trials[2].name: surplus}
    labels = stored(store, trials[2].name)
    assert len(labels) == len(trials[2].labels)
    if rows < 0:
        assert np.isnan(labels[rows:]).all()
        assert result.rows["outside"] == -rows
    warned = [w for w in quiet.warnings if trials[2].name in w]
    assert bool(warned) == (abs(rows) > 1)


def test_a_bad_file_is_reported_and_the_others_are_imported(store, annotations, trials):
    path = va_file(annotations, trials[1])
    lines = path.read_text().splitlines()
    lines[41] = "0.1,zero"
    path.write_text("\n".join(lines))
    result = run(ImportLabelsSettings(annotations=annotations, store=store.path))
    assert [f.name for f in result.failed] == [trials[1].name]
    assert f"{trials[1].name}.txt:42: 'zero' is not a number" in result.failed[0].reason
    assert len(result.done) == len(trials) - 1
    assert (result.refused, result.unlabelled) == ({trials[1].name}, [])


@pytest.mark.parametrize("place", ["affwild2.read", "on_frames"])
def test_an_unexpected_error_fails_only_its_trial(place, store, annotations, trials, monkeypatch):
    module = _label_trials.affwild2 if "." in place else _label_trials
    real = getattr(module, place.split(".")[-1])

    def fails(item, *more):
        trial = item.path.stem if place == "affwild2.read" else item.trial
        if trial == trials[1].name:
            raise ZeroDivisionError("x")
        return real(item, *more)

    monkeypatch.setattr(module, place.split(".")[-1], fails)
    result = run(ImportLabelsSettings(annotations=annotations, store=store.path))
    assert {f.name for f in result.failed} == {trials[1].name}
    assert result.failed[0].reason.startswith("unexpected ZeroDivisionError: x; run this input alone")
    assert len(result.done) == len(trials) - 1


def test_two_editions_of_one_trial_raise(store, annotations, trials):
    copy = annotations / "VA_Set" / "Train_Set" / f"{trials[0].name}.txt"
    copy.parent.mkdir(parents=True)
    copy.write_text(va_file(annotations, trials[0]).read_text())
    result = run(ImportLabelsSettings(annotations=annotations, store=store.path))
    assert "annotate the same trial" in result.failed[0].reason


def test_plain_tables_are_interpolated_to_frame_times(tmp_path):
    store = empty(tmp_path / "s.zarr")
    add_video(store, "clip_a", 50)
    rows = [f"{t:.2f},{t / 2:.3f},-0.5" for t in np.arange(0, 2.01, 0.1)]
    table = tmp_path / "clip_a.csv"
    table.write_text("\n".join(["time_s,valence,arousal", *rows]))
    result = run(ImportLabelsSettings(annotations=table, store=store.path))
    assert result.done == ["clip_a"]
    np.testing.assert_allclose(stored(store, "clip_a")[:, 0], np.arange(50) / 50, atol=1e-3)


def test_unknown_mode_and_empty_folder_raise(store, tmp_path):
    with pytest.raises(UsageError, match="--refine fil"):
        run(ImportLabelsSettings(annotations=tmp_path, store=store.path, refine="fil"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(LabelError, match="no annotation files in"):
        run(ImportLabelsSettings(annotations=tmp_path / "empty", store=store.path))
