"""Descriptors of a sound that is still arriving equal those of the whole sound."""

from __future__ import annotations

import threading
from functools import cache

import numpy as np
import pytest
from synth.sounds import RATE_HZ, sound, voice

from vacli.features.opensmile.lld import LiveDescriptors
from vacli.features.registry import create
from vacli.media.synthetic_speech import syllables

pytest.importorskip("opensmile", reason="openSMILE is not installed")

create = cache(create)
SOUNDS = {"voice": voice(3), "syllables": syllables(3)}
TIMES_S = np.arange(80) / 30


def final_row(stream: LiveDescriptors, time_s: float) -> tuple[np.ndarray, bool]:
    """The row once openSMILE has computed it; it fails after some seconds."""
    for _ in range(2000):
        row, is_final = stream.row(time_s)
        if is_final:
            break
    return row, is_final


def arriving(
    name: str, samples: np.ndarray, ahead_s: float, *, wait: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The rows (N, D) at TIMES_S and whether they are final, each when the sound reaches `ahead_s` later."""
    stream, position, rows = create(name).live(), 0, []
    for time_s in TIMES_S:
        end = round((time_s + ahead_s) * RATE_HZ)
        stream.add(samples[position:end])
        position = end
        rows.append(final_row(stream, time_s) if wait else stream.row(time_s))
    stream.close()
    return np.stack([row for row, _ in rows]), np.array([is_final for _, is_final in rows])


@pytest.mark.parametrize("samples", SOUNDS.values(), ids=SOUNDS)
@pytest.mark.parametrize("name", ["egemaps", "mfcc39"])
def test_final_rows_equal_those_of_the_whole_sound(name, samples):
    whole = create(name).extract(sound(samples), TIMES_S)
    rows, final = arriving(name, samples, ahead_s=0.15, wait=True)
    assert final.all()
    np.testing.assert_array_equal(rows, whole)


def test_descriptors_without_pitch_are_known_after_50_ms():
    whole = create("egemaps").extract(sound(SOUNDS["syllables"]), TIMES_S)
    rows, final = arriving("egemaps", SOUNDS["syllables"], ahead_s=0.06)
    np.testing.assert_array_equal(rows[1:, :10], whole[1:, :10])
    assert not final.all()


def test_a_late_row_is_replaced_by_a_recent_one():
    samples = SOUNDS["syllables"]
    rows, final = arriving("mfcc39", samples, ahead_s=0.0)
    assert not final.any()
    recent_s = TIMES_S[:, np.newaxis] - np.arange(0, 0.1, 0.01)
    candidates = create("mfcc39").extract(sound(samples), recent_s[10:].clip(0).ravel())
    candidates = candidates.reshape(-1, recent_s.shape[1], rows.shape[1])
    assert (np.abs(candidates - rows[10:, np.newaxis]).max(axis=2).min(axis=1) == 0).all()


def test_the_first_row_is_missing_until_it_is_known():
    stream = create("egemaps").live()
    stream.add(np.zeros(160, np.float32))
    row, is_final = stream.row(0.0)
    stream.close()
    assert np.isnan(row).all()
    assert not is_final


def test_closing_ends_the_thread():
    before = threading.active_count()
    stream = create("mfcc39").live()
    stream.add(SOUNDS["voice"])
    assert threading.active_count() == before + 1
    stream.close()
    assert threading.active_count() == before
