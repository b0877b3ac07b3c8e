"""Every frame is covered, the tail too, and cutting then stitching changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vacli.errors import UsageError
from vacli.recipe.schema import Window
from vacli.sequences.windows import cut, mask, overlap_average, plan, smooth


def test_default_plan_covers_the_last_frame():
    # What published code loses: 499 frames kept 0..299 only, 1000 lost the last 100.
    assert plan(499, Window()).tolist() == [0, 199]
    assert plan(1000, Window()).tolist() == [0, 200, 400, 600, 700]
    assert plan(700, Window()).tolist() == [0, 200, 400]


def test_short_clip_is_padded_and_masked():
    starts = plan(7, Window())
    assert starts.tolist() == [0]
    windows = cut(np.arange(7.0)[:, None], starts, 300)
    assert windows.shape == (1, 300, 1)
    assert np.isnan(windows[0, 7:]).all()
    assert mask(7, starts, 300).sum() == 7


def test_empty_sequence_has_no_windows():
    assert plan(0, Window()).tolist() == []
    assert overlap_average(np.empty((0, 300, 2)), plan(0, Window()), 0).shape == (0, 2)


def test_stride_beyond_the_length_is_refused():
    with pytest.raises(UsageError, match="stride_frames is 301, the length 300"):
        plan(1000, Window(stride_frames=301))


def test_negative_smoothing_is_refused():
    with pytest.raises(UsageError, match="smooth_frames is -1"):
        plan(1000, Window(smooth_frames=-1))


@given(st.integers(1, 12), st.integers(1, 30), st.integers(1, 40))
def test_smoothing_is_a_moving_average_of_real_frames(real, length, frames):
    rng = np.random.default_rng(frames)
    values = rng.normal(size=(2, length, 2)).astype(np.float32)
    there = np.arange(length) < np.array([[real], [length]])
    values[~there] = 1e9  # what a network says of padding does not count
    made = smooth(values, there, frames)
    assert made.dtype == np.float32
    for window, kept, row in zip(values, there, made, strict=True):
        for at in np.flatnonzero(kept):
            around = slice(max(at - frames // 2, 0), at + frames // 2 + 1)
            expected = window[around][kept[around]].mean(axis=0, dtype=np.float64)
            np.testing.assert_allclose(row[at], expected, atol=1e-6)
        assert not row[~kept].any()


def test_overlaps_are_averaged():
    starts = np.array([0, 2])
    windows = np.array([[1.0, 1, 1, 1], [3, 3, 3, 3]], np.float32)[..., None]
    assert overlap_average(windows, starts, 6)[:, 0].tolist() == [1, 1, 2, 2, 3, 3]


lengths = st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n)))


@given(st.integers(0, 150), lengths, st.sampled_from([np.float32, np.float64]))
def test_overlap_average_inverts_cut_exactly(frames, window, dtype):
    length, stride = window
    starts = plan(frames, Window(length_frames=length, stride_frames=stride))
    x = np.random.default_rng(frames).normal(size=(frames, 2)).astype(dtype)
    back = overlap_average(cut(x, starts, length), starts, frames)
    assert back.dtype == x.dtype
    np.testing.assert_array_equal(back, x)


@given(st.integers(1, 150), lengths)
def test_windows_cover_all_frames_and_are_full_where_possible(frames, window):
    length, stride = window
    starts = plan(frames, Window(length_frames=length, stride_frames=stride))
    inside = mask(frames, starts, length)
    covered = (starts[:, None] + np.arange(length))[inside]
    assert set(covered) == set(range(frames))
    assert (np.diff(starts) > 0).all()
    assert inside.all() == (frames >= length)


@given(st.integers(1, 100), lengths)
def test_overlap_average_is_the_mean_of_covering_windows(frames, window):
    length, stride = window
    starts = plan(frames, Window(length_frames=length, stride_frames=stride))
    values = np.random.default_rng(1).normal(size=(len(starts), length))
    stitched = overlap_average(values, starts, frames)
    for frame in range(frames):
        seen = [values[w, frame - s] for w, s in enumerate(starts) if s <= frame < s + length]
        assert stitched[frame] == pytest.approx(np.mean(seen), abs=1e-12)
