from __future__ import annotations

import numpy as np
import pytest
from synth.sounds import noise, sound, voice

from vacli.media.audio_segments import RATE_HZ
from vacli.media.live_input import SoundBlock
from vacli.media.live_sound import GRID, KEPT_S, NewSamples, RollingSound
from vacli.media.sound_level import level_db
from vacli.media.speech_level import speech_level
from vacli.media.synthetic_speech import syllables


def add(rolling: RollingSound, samples: np.ndarray, start_s: float, block: int = 320) -> list[NewSamples]:
    return [
        new
        for first in range(0, len(samples), block)
        for new in rolling.add(SoundBlock(start_s + first / RATE_HZ, samples[first : first + block]))
    ]


def joined(parts: list[NewSamples]) -> np.ndarray:
    return np.concatenate([part.samples for part in parts])


def test_blocks_are_joined_from_a_point_of_the_grid_on():
    samples = noise(0.5)
    parts = add(RollingSound(), samples, 0.2)
    assert [part.restart for part in parts] == [True] + [False] * (len(parts) - 1)
    assert parts[0].start == GRID
    np.testing.assert_array_equal(joined(parts)[round(0.2 * RATE_HZ) - GRID :], samples)
    assert not joined(parts)[: round(0.2 * RATE_HZ) - GRID].any()


def test_small_deviations_of_block_times_are_ignored_until_they_add_up():
    rolling, samples = RollingSound(), noise(4)
    parts = [
        new
        for k in range(100)  # each block is 1 ms later than the end of the one before it
        for new in rolling.add(SoundBlock(k * 0.021, samples[k * 320 : (k + 1) * 320]))
    ]
    assert len(joined(parts)) == pytest.approx(100 * 0.021 * RATE_HZ, abs=0.021 * RATE_HZ)


def test_a_short_hole_is_missing_sound():
    rolling = RollingSound()
    add(rolling, noise(0.5), 0)
    parts = add(rolling, noise(0.5), 0.8)
    assert not any(part.restart for part in parts)
    assert len(parts[0].samples) == round(0.3 * RATE_HZ)
    assert not parts[0].samples.any()
    assert [rolling.is_present_at(s) for s in (0.4, 0.6, 0.9)] == [True, False, True]
    assert [rolling.is_audible_at(s) for s in (0.4, 0.6, 0.9)] == [True, False, True]


@pytest.mark.parametrize("start_s", [8.2, 1.1], ids=["hole", "back"])
def test_a_jump_of_more_than_a_second_restarts_the_sound(start_s):
    rolling = RollingSound()
    add(rolling, noise(1), 6.0)
    parts = add(rolling, noise(0.1), start_s)
    assert parts[0].restart
    assert rolling.end_s == pytest.approx(start_s + 0.1)


def test_samples_that_were_added_before_are_dropped():
    rolling, samples = RollingSound(), noise(1)
    add(rolling, samples, 0)
    assert len(joined(add(rolling, samples, 0.5, len(samples)))) == RATE_HZ // 2


def test_digital_silence_counts_from_two_seconds_on():
    rolling = RollingSound()
    add(rolling, noise(0.5), 0)
    add(rolling, np.zeros(RATE_HZ, np.float32), 0.5)
    assert rolling.is_audible_at(1.4)
    add(rolling, np.zeros(round(1.5 * RATE_HZ), np.float32), 1.5)
    assert not rolling.is_audible_at(2.9)
    assert rolling.is_audible_at(0.3)
    add(rolling, noise(0.1), 3.0)
    assert rolling.is_audible_at(3.05)


def test_levels_equal_those_of_a_sound_that_ends_now():
    samples, rolling = syllables(30), RollingSound()
    for end_s in (2, 9, 30):
        add(rolling, samples[round(max(rolling.end_s, 0) * RATE_HZ) : end_s * RATE_HZ], max(rolling.end_s, 0))
        whole = sound(samples[: end_s * RATE_HZ])
        wanted = level_db(whole, np.array([end_s - 0.01]))[0]
        assert rolling.level_db(end_s - 0.01) == pytest.approx(wanted, abs=1e-6)
        points = np.arange(end_s * 25 - 40, end_s * 25)
        live, file = rolling.speech_level(points[0], points / 25), speech_level(whole, points / 25)
        np.testing.assert_allclose(live.level_db, file.level_db, atol=0.5)
        np.testing.assert_allclose(live.activity, file.activity, atol=0.05)


def test_faint_sound_is_amplified_after_ten_seconds():
    rolling, faint = RollingSound(), 0.002 * voice(25) / np.abs(voice(25)).max()
    amplified = joined(add(rolling, faint.astype(np.float32), 0))
    early, late = (slice(a * RATE_HZ, (a + 5) * RATE_HZ) for a in (0, 18))
    np.testing.assert_array_equal(amplified[early], faint.astype(np.float32)[early])
    assert np.abs(amplified[late]).max() > 10 * np.abs(faint[late]).max()


def test_memory_is_bounded():
    rolling = RollingSound()
    for k in range(60):
        add(rolling, noise(1, k), k)
    held = sum(x.nbytes for x in vars(rolling).values() if isinstance(x, np.ndarray))
    assert held < 2 * 4 * KEPT_S * RATE_HZ
    assert len(rolling._loud) <= 150
