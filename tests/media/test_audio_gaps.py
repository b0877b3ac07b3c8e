"""Long gaps of the audio are removed without a change of the rest."""

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
from vacli.media.audio_blocks import MAX_TAIL_S
from vacli.media.audio_gaps import KEPT_GAP_S, GapRemover, RemovedGap, to_audio_clock, to_frame_clock

GAPS = (RemovedGap(2.5, 3), RemovedGap(8.0, 36_000), RemovedGap(8.5, 1))


def with_gap(path: Path, gap_s: float, suffix_s: float = 2.0) -> Path:
    parts = ((0.0, voice(2.0)[None]), (2.0 + gap_s, voice(suffix_s, 1)[None]))
    return write_tracks(path, SoundTrack(parts))


def with_zeros(sound: Sound) -> Sound:
    """Return the same audio with all gaps as zeros."""
    first = np.round(
        to_frame_clock(sound.removed_gaps, np.arange(len(sound.samples)) / 16_000) * 16_000
    ).astype(int)
    samples = np.zeros(first[-1] + 1, np.float32)
    samples[first] = sound.samples
    starts, ends = np.array(sound.present).T
    starts = to_frame_clock(sound.removed_gaps, starts)
    ends = starts + np.diff(np.array(sound.present), axis=1)[:, 0]
    return Sound(samples, 16_000, tuple(zip(starts.tolist(), ends.tolist(), strict=True)))


@pytest.mark.parametrize("gap_s", [36_000.0, 80_000.0])
def test_a_gap_of_hours_takes_no_memory(tmp_path: Path, gap_s: float):
    sound = read_sound(with_gap(tmp_path / "a.mka", gap_s))
    assert len(sound.samples) < (4 + KEPT_GAP_S + 1) * 16_000
    rows_s = sound.row_times()
    assert len(rows_s) < 25 * (4 + KEPT_GAP_S + 1)
    assert (np.diff(rows_s) > 0).all()
    assert rows_s[-1] == pytest.approx(4 + gap_s, abs=0.05)
    ok = sound.is_audible_at(sound.to_audio_clock(rows_s))
    assert ok.sum() == pytest.approx(100, abs=2)
    assert not ok[(rows_s > 2.01) & (rows_s < 1.99 + gap_s)].any()
    assert any(f"missing for {gap_s:.0f} s after 2.0 s" in note for note in sound.notes)


def test_a_short_gap_is_kept(tmp_path: Path):
    sound = read_sound(with_gap(tmp_path / "a.mka", KEPT_GAP_S + 0.9))
    assert sound.removed_gaps == sound.notes == ()
    assert sound.duration_s == pytest.approx(4 + KEPT_GAP_S + 0.9, abs=0.01)
    assert sound.row_times()[-1] == pytest.approx(sound.duration_s, abs=0.05)


@pytest.mark.parametrize("name", ["egemaps", "mfcc39", "gemaps-functionals"])
def test_features_next_to_a_removed_gap_do_not_change(tmp_path: Path, name: str):
    pytest.importorskip("opensmile", reason="openSMILE is not installed")
    sound = read_sound(with_gap(tmp_path / "a.mka", 20.0))
    assert len(sound.removed_gaps) == 1
    times_s = np.arange(0, 24, 0.04)
    whole, whole_flags = rows_and_flags(create(name), with_zeros(sound), times_s)
    values, flags = rows_and_flags(create(name), sound, times_s)
    np.testing.assert_array_equal(values, whole)
    np.testing.assert_array_equal(flags, whole_flags)
    assert 80 < (flags != MISSING).sum() < 110


def test_the_tail_after_the_audio_is_limited(tmp_path: Path):
    clip = Clip(steady(5, 60), (2,), sound_spans=((0.0, 1.0),), sound_codec="pcm_s16le")
    sound = read_sound(write_clip(tmp_path / "a.mkv", clip))
    assert sound.duration_s == pytest.approx(1.0 + MAX_TAIL_S, abs=0.05)


@given(st.lists(st.floats(0, 40_000), min_size=1, max_size=30).map(sorted))
def test_the_clocks_agree_outside_removed_gaps(times_s: list[float]):
    audio_s = to_audio_clock(GAPS, np.array(times_s))
    assert (np.diff(audio_s) >= -1e-6).all()
    back_s = to_frame_clock(GAPS, audio_s)
    spans = [(2.5, 5.5), (11.0, 36_011.0), (36_011.5, 36_012.5)]
    in_a_gap = np.array([any(a - 1e-6 <= t < b + 1e-6 for a, b in spans) for t in times_s])
    np.testing.assert_allclose(back_s[~in_a_gap], np.array(times_s)[~in_a_gap], atol=1e-6)
    edges_s = np.array([2.5, 8.0, 8.5])
    assert all(np.abs(edges_s - time_s).min() < 1e-6 for time_s in audio_s[in_a_gap])


@given(
    st.lists(st.tuples(st.integers(0, 10_000_000), st.integers(1, 50_000)), min_size=1, max_size=20),
    st.booleans(),
)
def test_segments_keep_their_order_and_short_gaps(steps: list[tuple[int, int]], late: bool):
    remover, clock, shifted_end, end = GapRemover(16_000), 10**9 if late else 0, 0, 0
    for gap, length in steps:
        first = clock + gap
        shifted = remover.shift(first, first + length)
        assert shifted >= shifted_end
        assert shifted - shifted_end <= max(KEPT_GAP_S + 1, 0) * 16_000
        if first - end < (KEPT_GAP_S + 1) * 16_000:
            assert shifted - shifted_end == first - end
        clock = end = first + length
        shifted_end = shifted + length
    removed = sum(cut.length_s for cut in remover.removed_gaps) * 16_000
    assert shifted_end + removed == end
