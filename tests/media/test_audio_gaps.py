"""Long holes in a sound cost nothing, and what is on both sides stays what it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synth.clips import Clip, steady, write_clip
from synth.sound_files import SoundTrack, write_tracks
from synth.sounds import voice

from vacli.features.audio_flags import rows_and_flags
from vacli.features.flags import MISSING
from vacli.features.registry import create
from vacli.media.audio import Sound, read_sound
from vacli.media.audio_blocks import LONGEST_TAIL_S
from vacli.media.audio_gaps import KEPT_S, Cut, HoleCutter, clock_times, own_times

CUTS = (Cut(2.5, 3), Cut(8.0, 36_000), Cut(8.5, 1))


def with_hole(path: Path, hole_s: float, suffix_s: float = 2.0) -> Path:
    stretches = ((0.0, voice(2.0)[None]), (2.0 + hole_s, voice(suffix_s, 1)[None]))
    return write_tracks(path, SoundTrack(stretches))


def dense(sound: Sound) -> Sound:
    """The same sound with all its holes as zeros."""
    first = np.round(clock_times(sound.cuts, np.arange(len(sound.samples)) / 16_000) * 16_000).astype(int)
    samples = np.zeros(first[-1] + 1, np.float32)
    samples[first] = sound.samples
    starts, ends = np.array(sound.present).T
    starts = clock_times(sound.cuts, starts)
    ends = starts + np.diff(np.array(sound.present), axis=1)[:, 0]
    return Sound(samples, 16_000, tuple(zip(starts.tolist(), ends.tolist(), strict=True)))


@pytest.mark.parametrize("hole_s", [36_000.0, 80_000.0])
def test_hours_without_sound_are_not_held(tmp_path: Path, hole_s: float):
    sound = read_sound(with_hole(tmp_path / "a.mka", hole_s))
    assert len(sound.samples) < (4 + KEPT_S + 1) * 16_000
    rows_s = sound.row_times()
    assert len(rows_s) < 25 * (4 + KEPT_S + 1)
    assert (np.diff(rows_s) > 0).all()
    assert rows_s[-1] == pytest.approx(4 + hole_s, abs=0.05)
    ok = sound.ok_at(sound.own_times(rows_s))
    assert ok.sum() == pytest.approx(100, abs=2)
    assert not ok[(rows_s > 2.01) & (rows_s < 1.99 + hole_s)].any()
    assert any(f"missing for {hole_s:.0f} s after 2.0 s" in note for note in sound.notes)


def test_a_short_hole_is_kept_as_it_is(tmp_path: Path):
    sound = read_sound(with_hole(tmp_path / "a.mka", KEPT_S + 0.9))
    assert sound.cuts == sound.notes == ()
    assert sound.duration_s == pytest.approx(4 + KEPT_S + 0.9, abs=0.01)
    assert sound.row_times()[-1] == pytest.approx(sound.duration_s, abs=0.05)


@pytest.mark.parametrize("name", ["egemaps", "mfcc39", "gemaps-functionals"])
def test_features_beside_a_cut_are_those_of_the_whole(tmp_path: Path, name: str):
    pytest.importorskip("opensmile", reason="openSMILE is not installed")
    sound = read_sound(with_hole(tmp_path / "a.mka", 20.0))
    assert len(sound.cuts) == 1
    times_s = np.arange(0, 24, 0.04)
    whole, whole_flags = rows_and_flags(create(name), dense(sound), times_s)
    values, flags = rows_and_flags(create(name), sound, times_s)
    np.testing.assert_array_equal(values, whole)
    np.testing.assert_array_equal(flags, whole_flags)
    assert 80 < (flags != MISSING).sum() < 110


def test_a_picture_that_outlasts_its_sound_by_far_costs_no_sound(tmp_path: Path):
    clip = Clip(steady(5, 60), (2,), sound_spans=((0.0, 1.0),), sound_codec="pcm_s16le")
    sound = read_sound(write_clip(tmp_path / "a.mkv", clip))
    assert sound.duration_s == pytest.approx(1.0 + LONGEST_TAIL_S, abs=0.05)


@given(st.lists(st.floats(0, 40_000), min_size=1, max_size=30).map(sorted))
def test_the_two_clocks_agree_outside_of_cuts(times_s: list[float]):
    own_s = own_times(CUTS, np.array(times_s))
    assert (np.diff(own_s) >= -1e-6).all()
    back_s = clock_times(CUTS, own_s)
    spans = [(2.5, 5.5), (11.0, 36_011.0), (36_011.5, 36_012.5)]
    in_a_cut = np.array([any(a - 1e-6 <= t < b + 1e-6 for a, b in spans) for t in times_s])
    np.testing.assert_allclose(back_s[~in_a_cut], np.array(times_s)[~in_a_cut], atol=1e-6)
    edges_s = np.array([2.5, 8.0, 8.5])
    assert all(np.abs(edges_s - own).min() < 1e-6 for own in own_s[in_a_cut])


@given(
    st.lists(st.tuples(st.integers(0, 10_000_000), st.integers(1, 50_000)), min_size=1, max_size=20),
    st.booleans(),
)
def test_pieces_keep_their_order_and_their_short_distances(steps: list[tuple[int, int]], late: bool):
    cutter, clock, own_end, end = HoleCutter(16_000), 10**9 if late else 0, 0, 0
    for hole, length in steps:
        first = clock + hole
        own = cutter.closed(first, first + length)
        assert own >= own_end
        assert own - own_end <= max(KEPT_S + 1, 0) * 16_000
        if first - end < (KEPT_S + 1) * 16_000:
            assert own - own_end == first - end
        clock = end = first + length
        own_end = own + length
    removed = sum(cut.length_s for cut in cutter.cuts) * 16_000
    assert own_end + removed == end
