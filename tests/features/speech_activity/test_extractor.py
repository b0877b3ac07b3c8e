from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from synth.sounds import RATE_HZ, noise, sound

from vacli.datasets.audio_augmentation import background, coloured_noise
from vacli.errors import WeightsError
from vacli.features.registry import create, recreate
from vacli.features.speech_activity.extractor import WINDOW_S
from vacli.inference.voice import SPEECH_PRESENT
from vacli.media.audio import read_sound
from vacli.media.synthetic_speech import syllables

SECONDS = 6.0
TIMES_S = np.arange(round(25 * SECONDS)) / 25


@pytest.fixture(scope="module")
def extractor():
    return create("speech")


def speech(extractor, samples: np.ndarray, times_s: np.ndarray = TIMES_S) -> np.ndarray:
    """The probability of speech at `times_s`, (N,)."""
    return extractor.extract(sound(samples.astype(np.float32)), times_s)[:, 0]


def harmonics(pitch_hz: float, count: int = 12) -> np.ndarray:
    times_s = np.arange(round(SECONDS * RATE_HZ)) / RATE_HZ
    return 0.1 * sum(np.sin(2 * np.pi * pitch_hz * h * times_s) / h for h in range(1, count + 1))


def band(seed: int) -> np.ndarray:
    """A tune, chords and drums together."""
    rng, count = np.random.default_rng(seed), round(SECONDS * RATE_HZ)
    beat = round(0.3 * RATE_HZ)
    time_s = np.arange(count) / RATE_HZ
    notes_hz = 220 * 2 ** (rng.choice([0, 2, 4, 5, 7, 9, 11, 12], count // beat + 1) / 12)
    decay = np.exp(-4 * (np.arange(count) % beat) / RATE_HZ)
    tune = sum(np.sin(2 * np.pi * np.repeat(notes_hz, beat)[:count] * h * time_s) / h for h in range(1, 8))
    chords = sum(
        np.sin(2 * np.pi * 110 * 2 ** (k / 12) * h * time_s) / h for k in (0, 4, 7) for h in (1, 2, 3)
    )
    drums = rng.standard_normal(count) * np.exp(-20 * (np.arange(count) % (2 * beat)) / RATE_HZ)
    return 0.05 * (tune * decay + chords * decay + drums)


def test_speech_is_detected_at_every_row(extractor):
    for seed in range(3):
        assert speech(extractor, syllables(SECONDS, seed)).min() > 0.5


NON_SPEECH = {
    "white noise": noise(SECONDS),
    "brown noise": 0.1 * coloured_noise(round(SECONDS * RATE_HZ), np.random.default_rng(3)),
    "50 Hz": harmonics(50, 1),
    "mains hum": harmonics(50),
    "organ": harmonics(220),
    "band": band(0),
    "another band": band(1),
    "background": np.concatenate([background(1.5, np.random.default_rng(seed)) for seed in range(4)]),
}


@pytest.mark.parametrize("name", NON_SPEECH)
def test_non_speech_has_a_low_probability(extractor, name):
    assert np.mean(speech(extractor, NON_SPEECH[name]) > SPEECH_PRESENT) <= 0.05


@pytest.mark.parametrize("seconds", [0.4, 0.8, 1.2])
def test_short_sounds_are_classified(extractor, seconds):
    times_s = np.arange(0, seconds, 0.04)
    assert speech(extractor, syllables(seconds, 1), times_s).min() > 0.3
    assert speech(extractor, noise(seconds), times_s).max() < 0.1
    assert speech(extractor, band(2)[: round(seconds * RATE_HZ)], times_s).max() < 0.3


@pytest.mark.parametrize("factor", [0.003, 0.03, 3.0])
def test_the_level_of_a_sound_does_not_matter(extractor, factor):
    mixed = np.concatenate([syllables(2.5), band(0)[: round(1.5 * RATE_HZ)], syllables(2.0, 1)])
    np.testing.assert_allclose(
        speech(extractor, mixed * np.float32(factor)), speech(extractor, mixed), atol=0.01
    )


def test_speech_is_detected_in_its_time(extractor):
    samples = noise(SECONDS, level=0.001)
    samples[2 * RATE_HZ : 4 * RATE_HZ] += syllables(2.0)
    found = speech(extractor, samples) > 0.5
    assert found[(TIMES_S >= 2.0) & (TIMES_S < 4.0)].all()
    assert not found[(TIMES_S < 1.5) | (TIMES_S > 4.6)].any()


def test_faint_speech_after_loud_speech_is_detected(extractor):
    samples = np.concatenate([syllables(SECONDS - 3, level=0.2), syllables(4.0, 1, level=0.002)])
    assert speech(extractor, samples, np.arange(6.0, 7.0, 0.04)).min() > 0.5


def test_digital_silence_is_0_and_missing_samples_are_nan(extractor):
    samples = syllables(SECONDS)
    recording = replace(sound(samples), present=((1.0, 5.0),), audible=((1.0, 2.0), (4.0, 5.0)))
    found = extractor.extract(recording, TIMES_S)[:, 0]
    np.testing.assert_array_equal(np.isnan(found), (TIMES_S < 1) | (TIMES_S >= 5))
    np.testing.assert_array_equal(found == 0, (TIMES_S >= 2) & (TIMES_S < 4))
    assert (speech(extractor, np.zeros(RATE_HZ), TIMES_S[:25]) < 0.01).all()


@pytest.mark.parametrize("count", [0, 1, 511, 512, 513, 700])
def test_very_short_sounds_have_finite_probabilities(extractor, count):
    found = speech(extractor, noise(1)[:count], np.array([0.0, 0.5]))
    assert np.isfinite(found).tolist() == [count > 0, False]


@pytest.mark.parametrize("step", [1, 7, 60])
def test_a_stream_gives_the_rows_of_the_whole(extractor, step):
    recording = sound(np.concatenate([syllables(25.0), band(0), noise(2)])[:-77])
    times_s = np.arange(round(25 * recording.duration_s)) / 25
    stream = extractor.stream(recording)
    parts = [stream.extract(times_s[at : at + step]) for at in range(0, len(times_s), step)]
    np.testing.assert_allclose(np.concatenate(parts), extractor.extract(recording, times_s), atol=1e-5)


def test_a_stream_computes_no_more_than_it_needs(extractor, monkeypatch):
    network, n_windows = extractor._network, []
    plain = network.probabilities

    def count_windows(samples, state):
        n_windows.append((len(samples) - 64) // 512)
        return plain(samples, state)

    monkeypatch.setattr(network, "probabilities", count_windows)
    stream = extractor.stream(sound(noise(60.0)))
    stream.extract(np.arange(0, 2, 0.04))
    assert sum(n_windows) * WINDOW_S < 3
    stream.extract(np.arange(2, 60, 0.04))
    assert sum(n_windows) == 60 / WINDOW_S


def test_rows_do_not_depend_on_the_order_of_times(extractor):
    samples, order = syllables(SECONDS), np.random.default_rng(0).permutation(len(TIMES_S))
    np.testing.assert_array_equal(
        speech(extractor, samples, TIMES_S[order]), speech(extractor, samples)[order]
    )


def test_damaged_weights_are_refused(tmp_path):
    (tmp_path / "silero-vad.onnx").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="not readable as ONNX"):
        recreate("speech", {}, {"weights": tmp_path / "silero-vad.onnx"}, {})


@pytest.mark.parametrize("name", ["01_grid_swiz3n_male.mpg", "03_grid_lwbsza_female_older.mpg"])
def test_recorded_speech_is_detected(extractor, clips, name):
    recording = read_sound(clips / name)
    times_s = recording.row_times()
    level = np.array([recording.samples[round(t * RATE_HZ) :][:640].std() for t in times_s])
    loud = level > level.max() / 10
    assert extractor.extract(recording, times_s)[loud].min() > 0.3
