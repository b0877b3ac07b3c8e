from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synth.sounds import RATE_HZ, noise, sound

from vacli.features.audio_flags import TemporalContext, rows_and_flags, sound_flags
from vacli.features.flags import MISSING, PADDED, SILENT
from vacli.spec import AUDIO, FeatureSpec

HALF = TemporalContext(before_s=0.5, after_s=0.5)


def flags_of(recording, times_s, context=HALF):
    times_s = np.asarray(times_s, float)
    values = np.where(recording.is_audible_at(times_s)[:, None], 1.0, np.nan)
    return sound_flags(recording, times_s, context, values).tolist()


def test_a_window_beyond_the_recording_is_padded():
    recording = sound(noise(3))
    assert flags_of(recording, [0.0, 0.49, 0.5, 1.5, 2.5, 2.51, 2.99]) == [
        PADDED,
        PADDED,
        0,
        0,
        0,
        PADDED,
        PADDED,
    ]


def test_a_missing_row_has_no_other_flag():
    late = sound(noise(2), start_s=1.0, total_s=4.0)
    assert flags_of(late, [0.0, 0.9, 1.0, 1.6, 2.9, 3.0, 10.0]) == [1, 1, PADDED, 0, PADDED, MISSING, MISSING]


def test_silence_is_flagged_beside_padding():
    samples = noise(4)
    samples[RATE_HZ : 3 * RATE_HZ] = 0
    recording = sound(samples)
    assert flags_of(recording, [1.49, 1.5, 2.5, 2.51]) == [0, SILENT, SILENT, 0]
    assert flags_of(sound(np.zeros(RATE_HZ, np.float32)), [0.1]) == [SILENT | PADDED]


def test_values_below_16_bits_are_silence():
    recording = sound(np.full(2 * RATE_HZ, 0.4 / 32768, np.float32))
    assert flags_of(recording, [1.0]) == [SILENT]
    assert flags_of(sound(np.full(2 * RATE_HZ, 0.6 / 32768, np.float32)), [1.0]) == [0]


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 2), st.floats(0.05, 3), st.floats(0.01, 0.6), st.floats(0.01, 0.6))
def test_flags_equal_those_of_a_loop_over_samples(start_s, seconds, before_s, after_s):
    recording = sound(noise(seconds), start_s=round(start_s, 3), total_s=6.0)
    times_s = np.arange(0, 6, 0.0371)
    (first_s, last_s), context = recording.present[0], TemporalContext(before_s=before_s, after_s=after_s)
    for time_s, flag in zip(times_s, flags_of(recording, times_s, context), strict=True):
        present = first_s <= time_s < last_s
        margin = min(abs(time_s - before_s - first_s), abs(time_s + after_s - last_s))
        if margin > 1e-4:  # a hair at the edge is rounding
            inside = first_s <= time_s - before_s and time_s + after_s <= last_s
            assert flag == (MISSING if not present else 0 if inside else PADDED)


class Counting:
    """An extractor whose rows hold the length of the sound."""

    spec = FeatureSpec(name="count", version="1", modality=AUDIO, dim=2)
    context = HALF

    def extract(self, recording, times_s):
        values = np.full((len(times_s), 2), len(recording.samples), np.float32)
        values[~recording.is_audible_at(times_s)] = np.nan
        return values


@pytest.mark.parametrize("recording", [None, sound(np.zeros(0, np.float32))])
def test_without_sound_all_rows_are_missing(recording):
    values, flags = rows_and_flags(Counting(), recording, np.arange(5) / 25)
    assert np.isnan(values).all()
    assert values.shape == (5, 2)
    assert flags.tolist() == [MISSING] * 5


def test_rows_and_flags_are_consistent():
    values, flags = rows_and_flags(Counting(), sound(noise(1.0)), np.array([0.5, 2.0]))
    assert values[0].tolist() == [RATE_HZ, RATE_HZ]
    assert flags.tolist() == [0, MISSING]
    assert flags.dtype == np.uint8
