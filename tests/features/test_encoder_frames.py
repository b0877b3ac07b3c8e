"""The record of an encoder's frames: compact, complete, and matched by file or by id."""

from __future__ import annotations

import numpy as np
import pytest

from vacli.errors import RunError
from vacli.features.encoder_frames import (
    FRAMES_FILE,
    EncoderFrames,
    UsedFrames,
    progressions,
    read_encoder_frames,
    strongest,
)
from vacli.features.flags import ENCODER_TRAINING, MISSING


def used(video, rows, sha256="", subject=""):
    return UsedFrames(video=video, sha256=sha256, subject=subject, rows=np.array(rows, np.int64))


RECORD = EncoderFrames(
    train=(used("a", [0, 3, 6, 9, 10], "1", "ann"), used("b", [2], "", "bob"), used("empty", [])),
    validation=(used("c", [1, 2], "3", "cid"),),
)


@pytest.mark.parametrize("rows", [[], [4], [4, 5], [0, 3, 6, 9, 10, 11, 40], list(range(0, 900, 7))])
def test_progressions_cover_the_rows_in_order(rows):
    assert [row for part in progressions(rows) for row in part] == rows


def test_every_nth_frame_is_one_progression():
    assert progressions(range(5, 3_000_000, 4)) == [range(5, 2_999_998, 4)]


def test_a_written_record_is_read_again(tmp_path):
    RECORD.write(tmp_path)
    made = read_encoder_frames(tmp_path)
    for one, two in zip((*made.train, *made.validation), (*RECORD.train, *RECORD.validation), strict=True):
        assert (one.video, one.sha256, one.subject) == (two.video, two.sha256, two.subject)
        np.testing.assert_array_equal(one.rows, two.rows)


def test_weights_without_a_record_have_none(tmp_path):
    assert read_encoder_frames(None) is None
    assert read_encoder_frames(tmp_path) is None
    (tmp_path / FRAMES_FILE).write_text("{}")
    with pytest.raises(RunError, match="cannot be read"):
        read_encoder_frames(tmp_path)


def test_training_rows_are_marked_beside_other_flags():
    flags = np.zeros(10, np.uint8)
    flags[3] = MISSING
    marked = RECORD.mark(flags, "renamed", "1")
    assert np.flatnonzero(marked & ENCODER_TRAINING).tolist() == [0, 3, 6, 9]  # the video has 10 frames
    assert marked[3] == MISSING | ENCODER_TRAINING
    assert not (flags & ENCODER_TRAINING).any()
    assert not RECORD.mark(flags, "c", "3")[1] & ENCODER_TRAINING


@pytest.mark.parametrize(
    ("video", "sha256", "subject", "use"),
    [
        ("a", "1", "", ("training", "")),
        ("copy", "1", "", ("training", "")),
        ("a", "other", "", ("", "")),
        ("b", "5", "", ("training", "")),
        ("c", "3", "ann", ("early stopping", "training")),
        ("new", "9", "cid", ("", "early stopping")),
        ("new", "9", "dan", ("", "")),
    ],
)
def test_use_of_a_video_and_of_its_subject(video, sha256, subject, use):
    made = RECORD.attributes(video, sha256, subject)["encoder_data"]
    assert (made["video"], made["subject"]) == use


def test_training_is_the_strongest_use():
    assert strongest(["", "early stopping", "training"]) == "training"
    assert strongest(["", "early stopping"]) == "early stopping"
    assert strongest([]) == ""


def test_a_decomposed_name_of_an_earlier_version_is_read_composed():
    assert UsedFrames.from_json(used("a", [1], subject="Jose\u0301").to_json()).subject == "Jos\u00e9"
