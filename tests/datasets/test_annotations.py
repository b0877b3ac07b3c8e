"""Generic annotation tables: what a cell may say, and how rows with times meet frames."""

from __future__ import annotations

import numpy as np
import pytest

from vacli.datasets.affwild2 import LabelFile
from vacli.datasets.annotations import (
    ANNOTATED,
    NOT_ANNOTATED,
    OUTSIDE,
    Annotation,
    AnnotationTable,
    on_frames,
)
from vacli.datasets.label_tables import TableFormat, read
from vacli.errors import LabelError

HEADER = "time_s,valence,arousal"


def written(tmp_path, *lines: str):
    path = tmp_path / "clip.csv"
    path.write_text("\n".join(lines) + "\n")
    return read(LabelFile(path, "", ""), TableFormat())[0]


def annotation(times, values) -> Annotation:
    pairs = np.column_stack([values, np.negative(values)]).astype(np.float32)
    return Annotation(
        path=None, trial="clip", split="", values=pairs, times_s=None if times is None else np.array(times)
    )


def test_columns_may_be_in_any_order_with_others(tmp_path):
    made = written(tmp_path, "frame, arousal ,time_s,valence", "0,0.5,0.04,-1", "1,,0.08,nan")
    assert made.trial == "clip"
    np.testing.assert_allclose(made.times_s, [0.04, 0.08])
    np.testing.assert_array_equal(made.values, np.array([[-1, 0.5], [np.nan, np.nan]], np.float32))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["time,valence,calm", "0,0,0"], r"clip\.csv:1: no column arousal in the header 'time,"),
        ([HEADER, "0,0,0", "0.1,O.3,0"], r"clip\.csv:3: 'O\.3' is not a number"),
        ([HEADER, "0,0,1.2"], r"clip\.csv:2: 1\.2 is outside"),
        ([HEADER, "0,0,-5"], r"clip\.csv:2: -5 is outside"),
        ([HEADER, "0,0"], r"clip\.csv:2: 2 values under a header of 3"),
        ([HEADER, "1,0,0", "1,0,0"], r"clip\.csv:3: the time of '1,0,0' is not later than"),
        ([HEADER, "nan,0,0"], r"clip\.csv:2: the time of 'nan,0,0'"),
        ([""], r"clip\.csv is empty"),
    ],
)
def test_errors_name_file_and_line(tmp_path, lines, message):
    with pytest.raises(LabelError, match=message):
        written(tmp_path, *lines)


def test_binary_file_is_named(tmp_path):
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00binary")
    with pytest.raises(LabelError, match=r"x\.csv cannot be read"):
        AnnotationTable(tmp_path / "x.csv")


def test_byte_order_mark_carriage_returns_and_trailing_blank_lines(tmp_path):
    path = tmp_path / "clip.csv"
    for encoding in ("utf-8", "utf-16"):
        text = "time_s,valence,arousal\r\n0,0.5,0.25\r\n\r\n"
        path.write_bytes(("\ufeff" + text if encoding == "utf-8" else text).encode(encoding))
        assert AnnotationTable(path).header == ("time_s", "valence", "arousal")
        assert read(LabelFile(path, "", ""), TableFormat())[0].values.tolist() == [[0.5, 0.25]]


def test_a_spreadsheet_is_named(tmp_path):
    (tmp_path / "x.csv").write_bytes(b"PK\x03\x04 of Excel")
    with pytest.raises(LabelError, match=r"x\.csv is a spreadsheet, Parquet or an archive"):
        AnnotationTable(tmp_path / "x.csv")


def test_frames_between_rows_are_linear():
    made = on_frames(annotation([0.0, 1.0, 2.0], [0.0, 0.5, 0.0]), np.array([0.0, 0.5, 1.0, 1.25, 2.0]))
    np.testing.assert_allclose(made.values[:, 0], [0, 0.25, 0.5, 0.375, 0], atol=1e-7)
    np.testing.assert_allclose(made.values[:, 1], [0, -0.25, -0.5, -0.375, 0], atol=1e-7)
    assert (made.source == ANNOTATED).all()


def test_frames_more_than_half_a_step_outside_are_flagged():
    made = on_frames(annotation([1.0, 2.0], [0.2, 0.4]), np.array([0.4, 0.5, 2.5, 2.6]))
    assert made.source.tolist() == [OUTSIDE, ANNOTATED, ANNOTATED, OUTSIDE]
    np.testing.assert_allclose(made.values[1:3, 0], [0.2, 0.4], atol=1e-7)
    assert np.isnan(made.values[[0, 3]]).all()


def test_wide_gaps_are_not_interpolated():
    made = on_frames(annotation([0, 0.1, 0.2, 0.3, 5.0], [0, 0, 0, 0, 1]), np.array([0.25, 2.0, 5.0]))
    assert made.source.tolist() == [ANNOTATED, NOT_ANNOTATED, ANNOTATED]


def test_frame_next_to_unannotated_row_has_the_nearer_value():
    times = np.arange(5) * 0.04
    values = [0.1, np.nan, 0.3, 0.4, 0.5]
    for jitter in (0.0, 0.001, -0.001):  # times rounded in the file must not spread the gap
        made = on_frames(annotation(times, values), times + jitter)
        assert np.isnan(made.values[:, 0]).tolist() == [False, True, False, False, False]


def test_equal_times_keep_the_values():
    times = np.cumsum(np.random.default_rng(0).uniform(0.02, 0.05, 100))
    values = np.random.default_rng(1).uniform(-1, 1, 100)
    made = on_frames(annotation(times, values), times)
    np.testing.assert_array_equal(made.values[:, 0], values.astype(np.float32))


def test_one_row_reaches_half_a_second():
    made = on_frames(annotation([1.0], [0.3]), np.array([0.4, 0.6, 1.5, 1.6]))
    assert made.source.tolist() == [OUTSIDE, ANNOTATED, ANNOTATED, OUTSIDE]


@pytest.mark.parametrize("times", [None, []])
def test_annotation_without_rows_labels_nothing(times):
    made = on_frames(annotation(times, []), np.arange(3.0))
    assert made.source.tolist() == [OUTSIDE] * 3
    assert np.isnan(made.values).all()


@pytest.mark.parametrize("frames", [3, 4, 5, 40])
def test_rows_without_times_label_frames_in_order(frames):
    made = on_frames(annotation(None, [0.1, np.nan, 0.3, 0.4]), np.arange(frames) / 25)
    wanted = [ANNOTATED, NOT_ANNOTATED, ANNOTATED, ANNOTATED][:frames] + [OUTSIDE] * (frames - 4)
    assert made.source.tolist() == wanted
    assert np.isnan(made.values[:, 0]).tolist() == [code != ANNOTATED for code in wanted]
