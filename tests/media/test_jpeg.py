"""Damaged JPEG data are detected; the padding of cameras is ignored."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from vacli.media.jpeg import END_MARKER, MotionJpegChecker, jpeg_error


@pytest.fixture
def frame() -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, "jpeg")
    return out.getvalue()


def test_intact_data_have_no_error(frame):
    assert jpeg_error(frame) is None
    assert not MotionJpegChecker().is_damaged(frame)


def test_changed_and_truncated_data_are_damaged(frame):
    middle = len(frame) // 2
    zeros = frame[:middle] + bytes(40) + frame[middle + 40 :]
    for damaged in (zeros, frame[:middle], frame[:middle] + frame[middle + 300 :]):
        assert MotionJpegChecker().is_damaged(damaged)


def test_padding_and_a_missing_end_marker_are_ignored(frame):
    body = frame.removesuffix(END_MARKER)
    assert body != frame
    for harmless in (body, body + bytes(8) + END_MARKER, frame + bytes(64), frame + frame):
        assert not MotionJpegChecker().is_damaged(harmless)


def test_missing_huffman_tables_are_ignored(frame):
    while (start := frame.find(b"\xff\xc4")) >= 0:
        length = int.from_bytes(frame[start + 2 : start + 4], "big")
        frame = frame[:start] + frame[start + 2 + length :]
    assert not MotionJpegChecker().is_damaged(frame)


def test_errors_count_only_in_streams_that_libjpeg_supports(frame):
    lossless = frame.replace(b"\xff\xc0", b"\xff\xc3", 1)
    assert jpeg_error(lossless)
    check = MotionJpegChecker()
    assert not check.is_damaged(lossless)
    assert not check.is_damaged(frame)
    assert check.is_damaged(lossless)
