"""`va import-labels` on people's own tables: units, scales, raters, subjects, names."""

from __future__ import annotations

import numpy as np
import pytest
from synth.stores import add_video, empty

from vacli.datasets.label_columns import ColumnNames
from vacli.datasets.label_tables import TableFormat
from vacli.errors import LabelError, UsageError
from vacli.progress import RecordingProgress
from vacli.steps.import_labels import ImportLabelsSettings, run

FRAMES = 250  # 10 s at 25 Hz
TIMES_S = np.arange(0, FRAMES, 5) / 25.0


@pytest.fixture
def store(tmp_path):
    store = empty(tmp_path / "s.zarr")
    for video in ("a", "b"):
        add_video(store, video, FRAMES)
    return store


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "labels").mkdir()
    return tmp_path / "labels"


def write(path, times=TIMES_S, *, phase=0.0, header="time,valence,arousal", more="", scale=1.0, offset=0.0):
    """A table of a sine and a cosine."""
    rows = [
        f"{t:.4f},{offset + scale * np.sin(t + phase):.6f},{offset + scale * np.cos(t + phase):.6f}{more}"
        for t in times
    ]
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def imported(store, folder, **options):
    progress = RecordingProgress()
    return run(ImportLabelsSettings(annotations=folder, store=store.path, **options), progress), progress


def valence(store, video="a") -> np.ndarray:
    return store.video(video).read("label/valence")


def attributes(store, video="a"):
    return store.video(video).part_attrs("label")


def test_scale_and_delay_are_applied_reported_and_stored(store, folder):
    times = np.arange(0, FRAMES) / 25.0
    write(folder / "a.csv", times, scale=3, offset=4)
    _, progress = imported(store, folder, table_format=TableFormat(value_range=(1.0, 7.0)), delay_s=2.0)
    np.testing.assert_allclose(valence(store)[:200], np.sin(times[50:]), atol=1e-5)
    assert "labels are mapped from [1, 7] to [-1, 1]" in progress.messages
    assert "labels are moved 2 s earlier" in progress.messages
    assert attributes(store)["value_range"] == [1.0, 7.0]
    assert attributes(store)["delay_s"] == 2.0


@pytest.mark.parametrize(("scale", "hint"), [(1000, "--unit ms"), (25, "--unit frames")])
def test_times_of_another_unit_fail_with_the_likely_unit(store, folder, scale, hint):
    path = write(folder / "a.csv", TIMES_S * scale)
    result, _ = imported(store, folder)
    assert str(path) in result.failed[0].reason
    assert hint in result.failed[0].reason
    assert not store.video("a").has("label")
    result, _ = imported(store, folder, table_format=TableFormat(unit=hint.split()[1]))
    np.testing.assert_allclose(valence(store)[::5], np.sin(TIMES_S * scale), atol=1e-5)


def test_milliseconds_of_seconds_fail(store, folder):
    write(folder / "a.csv")
    result, _ = imported(store, folder, table_format=TableFormat(unit="ms"))
    assert "seconds? give --unit s" in result.failed[0].reason


def test_given_seconds_may_end_after_the_video_with_a_warning(store, folder):
    write(folder / "a.csv", np.arange(0, 100, 0.2))
    write(folder / "b.csv")
    assert imported(store, folder)[0].failed
    result, progress = imported(store, folder, table_format=TableFormat(unit="s"))
    assert result.done == ["a"]
    assert "1 video has labels that end far beyond it; check --unit s (a)" in progress.warnings
    np.testing.assert_allclose(valence(store)[::5], np.sin(TIMES_S), atol=1e-5)


def test_frame_numbers_from_1_are_reported(store, folder):
    write(folder / "a.csv", np.arange(1, FRAMES + 1), header="frame,valence,arousal")
    _, progress = imported(store, folder)
    np.testing.assert_allclose(valence(store), np.sin(np.arange(1, FRAMES + 1)), atol=1e-5)
    assert "frame numbers: 1 is a video's first frame" in progress.messages


def test_scale_from_0_to_1_is_warned_of(store, folder):
    write(folder / "a.csv", scale=0.4, offset=0.5)
    asked = "no label is below 0; give --range 0 1 if that is the scale of the annotations"
    assert asked in imported(store, folder)[1].warnings
    options = {"table_format": TableFormat(value_range=(0.0, 1.0)), "force": True}
    assert asked not in imported(store, folder, **options)[1].warnings
    np.testing.assert_allclose(valence(store)[::5], 0.8 * np.sin(TIMES_S), atol=1e-5)
    write(folder / "b.csv")
    assert asked not in imported(store, folder, force=True)[1].warnings


def test_times_of_less_than_half_of_the_video_are_warned_of(store, folder):
    write(folder / "a.csv", TIMES_S / 60)  # minutes
    write(folder / "b.csv", TIMES_S * 0.7)
    _, progress = imported(store, folder)
    assert [w for w in progress.warnings if "check the unit" in w] == [
        "1 video has times of labels for less than half of its frames; check the unit (a)"
    ]


def test_video_without_a_labelled_frame_fails(store, folder):
    write(folder / "a.csv")
    write(folder / "b.csv", TIMES_S + 11)
    result, _ = imported(store, folder)
    assert result.done == ["a"]
    assert "no frame of b has a label" in result.failed[0].reason


def test_refused_videos_are_named_as_failed_only(store, folder, tmp_path):
    write(folder / "a_rater1.csv")
    (folder / "b_rater1.csv").write_text("time,valence,arousal\n0,zero,0\n")
    people = tmp_path / "people.csv"
    people.write_text("video,subject\nx.mp4,ben\n")
    result, progress = imported(store, folder, subjects=people)
    assert [failure.name for failure in result.failed] == ["b_rater1"]
    assert (result.refused, result.unlabelled) == ({"b"}, [])
    assert any(m.startswith("1 video labelled (0 unchanged); rows: ") for m in progress.messages)
    write(folder / "a_rater1.csv", phase=0.4)
    result, progress = imported(store, folder, subjects=people)
    assert (result.refused, result.unlabelled) == ({"a", "b"}, [])
    assert not any("subject" in warning for warning in progress.warnings)


def test_no_labelled_frame_at_all_is_an_error(store, folder):
    (folder / "a.txt").write_text("valence,arousal\n" + "-5,-5\n" * FRAMES)
    with pytest.raises(LabelError, match="no frame of any video has a label"):
        imported(store, folder)
    assert not store.video("a").has("label")


def test_no_matching_name_is_an_error(store, folder):
    write(folder / "A 1.csv")
    with pytest.raises(
        LabelError, match=r"no annotation in .*labels matches a video .*\(A 1: the store has no"
    ):
        imported(store, folder)


def test_partly_matched_folder_is_imported_with_warnings(store, folder):
    write(folder / "a.csv")
    write(folder / "x.csv")
    result, progress = imported(store, folder)
    assert (result.done, result.failed, result.unlabelled) == (["a"], [], ["b"])
    assert any(w.startswith("x: the store has no video") for w in progress.warnings)
    assert any(w == "1 video has no annotation (b)" for w in progress.warnings)


def test_raters_are_averaged_and_their_agreement_is_reported(store, folder):
    for rater, phase in (("rater1", 0.0), ("rater2", 0.4)):
        for video in "ab":
            write(folder / rater / f"{video}.csv", phase=phase)
    result, progress = imported(store, folder)
    wanted = (np.sin(TIMES_S) + np.sin(TIMES_S + 0.4)) / 2
    np.testing.assert_allclose(valence(store)[::5], wanted, atol=1e-5)
    made = attributes(store)
    assert made["raters"] == {"method": "mean", "weights": {"1": [0.5, 0.5], "2": [0.5, 0.5]}}
    assert made["agreement"]["valence"]["ccc"] == pytest.approx(result.agreement["valence"].ccc)
    assert 0.8 < result.agreement["valence"].ccc < result.agreement["valence"].alpha < 1
    assert "2 videos have several raters; labels are their mean" in progress.messages
    assert any(
        m.startswith("inter-rater agreement of arousal: mean pairwise CCC 0.") for m in progress.messages
    )


def test_raters_weighted_by_their_correlation(store, folder):
    header = "time,valence_1,arousal_1,valence_2,arousal_2,valence_3,arousal_3"
    noise = np.random.default_rng(0).uniform(-1, 1, (len(TIMES_S), 2))
    rows = [
        f"{t},{np.sin(t):.4f},{np.cos(t):.4f},{np.sin(t):.4f},{np.cos(t):.4f},{v:.4f},{a:.4f}"
        for t, (v, a) in zip(TIMES_S, noise, strict=True)
    ]
    (folder / "a.csv").write_text("\n".join([header, *rows]))
    _, progress = imported(store, folder, raters="ewe")
    error = np.abs(valence(store)[::5] - np.sin(TIMES_S)).mean()
    imported(store, folder, raters="mean", force=True)
    assert error < 0.8 * np.abs(valence(store)[::5] - np.sin(TIMES_S)).mean()
    assert any("evaluator-weighted mean" in m for m in progress.messages)


def test_long_table_of_several_videos(store, folder):
    rows = [f"{t};{video}.mp4;{np.sin(t):.4f};0" for t in TIMES_S for video in "ba"]
    table = folder / "all.csv"
    table.write_text(
        "\n".join(["time;movie;valence;arousal", *rows]).replace(".", ",").replace(",mp4", ".mp4")
    )
    result, _ = imported(store, table, table_format=TableFormat(columns=ColumnNames(video="movie")))
    assert result.done == ["a", "b"]
    np.testing.assert_allclose(valence(store, "b")[::5], np.sin(TIMES_S), atol=1e-4)


def test_subjects_of_a_column_are_stored(store, folder):
    write(folder / "a.csv", header="time,valence,arousal,subject", more=",anna")
    imported(store, folder)
    assert attributes(store)["subject"] == "anna"


def test_subjects_of_a_table_take_precedence_and_absent_ones_are_named(store, folder, tmp_path):
    write(folder / "a.csv", header="time,valence,arousal,subject", more=",anna")
    write(folder / "b.csv")
    people = tmp_path / "people.csv"
    people.write_text("video,subject\na.mp4,ben\n")
    _, progress = imported(store, folder, subjects=people)
    assert attributes(store)["subject"] == "ben"
    assert any(w == "1 video has no subject (b)" for w in progress.warnings)


def test_subjects_of_a_pattern(store, folder):
    write(folder / "a.csv")
    imported(store, folder, subject_pattern="^.")
    assert attributes(store)["subject"] == "a"
    with pytest.raises(UsageError, match="--subjects and --subject-pattern"):
        imported(store, folder, subject_pattern="x", subjects=folder / "a.csv")


def test_changed_subject_of_equal_labels_is_written_without_force(store, folder):
    write(folder / "a.csv")
    imported(store, folder)
    before = valence(store)
    result, _ = imported(store, folder, subject_pattern="^.")
    assert (result.done, result.failed) == (["a"], [])
    assert attributes(store)["subject"] == "a"
    np.testing.assert_array_equal(valence(store), before)
    assert imported(store, folder)[0].skipped == ["a"]  # without subjects the stored one stays
    assert attributes(store)["subject"] == "a"
    write(folder / "a.csv", phase=0.3)
    imported(store, folder, force=True)
    assert attributes(store)["subject"] == "a"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"table_format": TableFormat(value_range=(7.0, 1.0))}, "--range 7 1"),
        ({"raters": "median"}, "--raters median"),
        ({"rater_pattern": "("}, "--rater-pattern"),
        ({"table_format": TableFormat(columns=ColumnNames(valence=("v",)))}, "1 --valence-column and 0"),
    ],
)
def test_invalid_options_are_usage_errors(store, folder, options, message):
    write(folder / "a.csv")
    with pytest.raises(UsageError, match=message):
        imported(store, folder, **options)
