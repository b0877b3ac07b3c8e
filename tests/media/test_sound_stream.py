"""Sound stays at its timestamps although a sound card is too fast or too slow."""

from __future__ import annotations

import itertools
from fractions import Fraction

import av
import numpy as np
import pytest

from vacli.media.audio_segments import RATE_HZ
from vacli.media.sound_stream import MAX_STRETCH, SoundStream

FRAME = 1024
CARD_HZ = 48_000


def frames(seconds: float, true_hz: float, start_s: float = 0.0) -> list[av.AudioFrame]:
    """A tone of 440 Hz of a card that runs at another rate than its nominal CARD_HZ."""
    made = []
    for first in range(0, int(seconds * true_hz) - FRAME, FRAME):
        wave = np.sin(2 * np.pi * 440 * (first + np.arange(FRAME)) / true_hz)
        one = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), "fltp", "mono")
        one.sample_rate, one.time_base = CARD_HZ, Fraction(1, 1_000_000)
        one.pts = round(1e6 * (start_s + first / true_hz))
        made.append(one)
    return made


@pytest.mark.parametrize("true_hz", [CARD_HZ * 1.002, CARD_HZ * 0.998])
def test_drift_of_a_sound_card_is_corrected(true_hz):
    stream, blocks = SoundStream(0.0), []
    for one in frames(20, true_hz):
        blocks += stream.add(one)
    assert stream.end_s == pytest.approx(20, abs=0.05)  # 40 ms off without a correction, and the last frame
    last_s = one.pts / 1e6 + FRAME / true_hz
    assert abs(stream.end_s - last_s) < 0.012
    for before, after in itertools.pairwise(blocks):
        assert after.start_s == pytest.approx(before.start_s + len(before.samples) / RATE_HZ)
    samples = np.concatenate([block.samples for block in blocks[3:]])
    assert np.abs(np.diff(samples)).max() < 2 * np.pi * 440 / RATE_HZ * (1 + 2 * MAX_STRETCH)  # no click


def test_exact_timestamps_leave_sound_unchanged():
    stream = SoundStream(0.0)
    count = sum(len(block.samples) for one in frames(5, CARD_HZ) for block in stream.add(one))
    assert stream.end_s == count / RATE_HZ
    assert count == pytest.approx(len(frames(5, CARD_HZ)) * FRAME / 3, abs=64)


def test_gap_is_a_hole_between_two_blocks():
    stream, blocks = SoundStream(0.0), []
    for one in [*frames(1, CARD_HZ), *frames(1, CARD_HZ, start_s=3.0)]:
        blocks += stream.add(one)
    holes_s = [b.start_s - a.start_s - len(a.samples) / RATE_HZ for a, b in itertools.pairwise(blocks)]
    assert [hole_s for hole_s in holes_s if hole_s > 0.01] == [pytest.approx(2, abs=0.03)]


def test_sound_that_is_sent_twice_is_used_once():
    stream, blocks = SoundStream(0.0), []
    for one in [*frames(1, CARD_HZ), *frames(1, CARD_HZ, start_s=0.5)]:
        blocks += stream.add(one)
    ends_s = [block.start_s + len(block.samples) / RATE_HZ for block in blocks]
    assert all(after.start_s >= end_s - 1e-9 for end_s, after in zip(ends_s, blocks[1:], strict=False))
    assert stream.end_s == pytest.approx(1.5, abs=0.05)


@pytest.mark.parametrize("inverted", [1.0, -1.0])
def test_an_inverted_channel_is_corrected_from_the_first_block_on(inverted):
    stream, blocks = SoundStream(0.0), []
    for one in frames(3, CARD_HZ):
        left = one.to_ndarray()[0]
        both = av.AudioFrame.from_ndarray(np.stack([left, inverted * left]), "fltp", "stereo")
        both.sample_rate, both.time_base, both.pts = CARD_HZ, one.time_base, one.pts
        blocks += stream.add(both)
    samples = np.concatenate([block.samples for block in blocks])
    assert np.sqrt(np.square(samples[100:]).mean()) == pytest.approx(0.5**0.5, rel=0.01)
    assert [note.split(";")[0] for note in stream.notes] == (
        ["its channels are in opposite phase"] if inverted < 0 else []
    )
