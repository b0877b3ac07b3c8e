"""Every frame is covered, the tail too, and cutting then stitching changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vacli.errors import UsageError
from vacli.recipe.schema import Window
from vacli.sequences.windows import cut, mask, plan, smooth, stitch


def test_default_plan_keeps_the_tail():
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


def test_no_frames_no_windows():
    assert plan(0, Window()).tolist() == []
    assert stitch(np.empty((0, 300, 2)), plan(0, Window()), 0).shape == (0, 2)


def test_gaps_are_refused():
    with pytest.raises(UsageError, match="300 frames every 301"):
        plan(1000, Window(stride_frames=301))


def test_a_mean_of_less_than_no_frames_is_refused():
    with pytest.raises(UsageError, match="smooth_frames is -1"):
        plan(1000, Window(smooth_frames=-1))


@given(st.integers(1, 12), st.integers(1, 30), st.integers(1, 40))
def test_smoothing_is_the_mean_of_the_real_frames_around(real, length, frames):
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
    assert stitch(windows, starts, 6)[:, 0].tolist() == [1, 1, 2, 2, 3, 3]


lengths = st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n)))


@given(st.integers(0, 150), lengths, st.sampled_from([np.float32, np.float64]))
def test_stitch_undoes_cut_exactly(frames, window, dtype):
    length, stride = window
    starts = plan(frames, Window(length_frames=length, stride_frames=stride))
    x = np.random.default_rng(frames).normal(size=(frames, 2)).astype(dtype)
    back = stitch(cut(x, starts, length), starts, frames)
    assert back.dtype == x.dtype
    np.testing.assert_array_equal(back, x)


@given(st.integers(1, 150), lengths)
def test_every_frame_is_in_a_window_and_every_window_is_full_if_it_can_be(frames, window):
    length, stride = window
    starts = plan(frames, Window(length_frames=length, stride_frames=stride))
    inside = mask(frames, starts, length)
    covered = (starts[:, None] + np.arange(length))[inside]
    assert set(covered) == set(range(frames))
    assert (np.diff(starts) > 0).all()
    assert inside.all() == (frames >= length)


@given(st.integers(1, 100), lengths)
def test_stitch_is_the_mean_of_what_covers_a_frame(frames, window):
    length, stride = window
    starts = plan(frames, Window(length_frames=length, stride_frames=stride))
    values = np.random.default_rng(1).normal(size=(len(starts), length))
    stitched = stitch(values, starts, frames)
    for frame in range(frames):
        seen = [values[w, frame - s] for w, s in enumerate(starts) if s <= frame < s + length]
        assert stitched[frame] == pytest.approx(np.mean(seen), abs=1e-12)
