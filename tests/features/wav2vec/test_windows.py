"""Windows of speech networks and the times of their frames."""

from __future__ import annotations

import numpy as np
import pytest

from vacli.features.wav2vec.windows import RATE_HZ, FrameClock, Windows, batches

CLOCK = FrameClock.of([10, 3, 3, 3, 3, 2, 2], [5, 2, 2, 2, 2, 2, 2])


def test_frames_of_wav2vec_reach_over_25_ms_every_20_ms():
    assert (CLOCK.reach, CLOCK.hop) == (400, 320)


def test_a_row_at_the_centre_of_a_frame_equals_the_frame():
    frames = np.arange(8, dtype=np.float32)[:, np.newaxis] ** 2
    times_s = 1.0 + 0.0125 + 0.02 * np.arange(8)
    np.testing.assert_allclose(CLOCK.at(frames, RATE_HZ, times_s), frames, atol=1e-4)


def test_rows_between_frames_are_interpolated_and_constant_beyond_the_ends():
    frames = np.array([[0.0], [1.0]], np.float32)
    found = CLOCK.at(frames, 0, np.array([0.0, 0.0125, 0.0175, 0.0225, 0.0325, 9.0]))
    np.testing.assert_allclose(found[:, 0], [0, 0, 0.25, 0.5, 1, 1], atol=1e-6)


def test_windows_are_cut_at_the_ends_of_the_sound():
    windows = Windows(step_s=8.0, before_s=4.0, after_s=12.0)
    assert windows.span(0, 10 * RATE_HZ) == (0, 10 * RATE_HZ)
    assert windows.span(1, 100 * RATE_HZ) == (4 * RATE_HZ, 20 * RATE_HZ)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_only_windows_of_equal_length_share_a_batch(size):
    samples = np.arange(20, dtype=np.float32)
    spans = [(0, 4), (2, 6), (4, 8), (6, 9)]
    found = list(batches(samples, spans, size, 4))
    assert [where.stop for where, _ in found][-1] == len(spans)
    assert all(len(windows) <= size for _, windows in found)
    rows = {k: row for where, windows in found for k, row in zip(range(4)[where], windows, strict=True)}
    np.testing.assert_array_equal(rows[1], [2, 3, 4, 5])
    np.testing.assert_array_equal(rows[3], [6, 7, 8, 0])  # too short: zeros at the end
