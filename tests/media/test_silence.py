"""Digital silence and very short sounds are not audible; faint speech is amplified."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synth.clips import Clip, steady, write_clip
from synth.sound_files import SoundTrack, write_sound, write_tracks
from synth.sounds import noise, voice

from vacli.media.audio import read_sound
from vacli.media.silence import (
    FAINT_DB,
    FULL_GAIN_DB,
    MIN_AUDIBLE_S,
    MIN_SILENCE_S,
    TARGET_DB,
    audible_spans,
    gain_db,
)

QUANTIZATION_STEP = 1 / 32768


def whole_span(samples: np.ndarray) -> tuple[tuple[float, float], ...]:
    return ((0.0, len(samples) / 16_000),)


def ok(samples: np.ndarray) -> list[tuple[float, float]]:
    return list(audible_spans(samples, 16_000, whole_span(samples)))


def dither(seconds: float) -> np.ndarray:
    draws = np.random.default_rng(0).uniform(-0.5, 0.5, (2, round(seconds * 16_000))).sum(axis=0)
    return (np.round(draws) * QUANTIZATION_STEP).astype(np.float32)


@pytest.mark.parametrize("seconds", [0.5, 10.0])
@pytest.mark.parametrize("kind", ["zeros", "constant", "dither"])
def test_silence_has_no_audible_spans(kind: str, seconds: float):
    zeros = np.zeros(round(seconds * 16_000), np.float32)
    samples = {"zeros": zeros, "constant": zeros + 0.25, "dither": dither(seconds)}[kind]
    assert ok(samples) == []
    assert gain_db(samples, 16_000, ()) == 0.0


def test_a_long_silence_is_not_audible():
    silent = np.zeros(48_000, np.float32)
    samples = np.concatenate([voice(2.0), silent, voice(1.5)])
    (first, second) = ok(samples)
    assert first == (0.0, pytest.approx(2.0, abs=0.05))
    assert second == (pytest.approx(5.0, abs=0.05), 6.5)


def test_a_short_muted_pause_is_audible():
    pause = np.zeros(round((MIN_SILENCE_S - 0.1) * 16_000), np.float32)
    samples = np.concatenate([pause, noise(1.0), pause, noise(1.0), pause])
    assert ok(samples) == list(whole_span(samples))


def test_microphone_noise_is_audible():
    samples = noise(10.0, level=3 * QUANTIZATION_STEP)
    assert ok(samples) == list(whole_span(samples))


@pytest.mark.parametrize("parts", [1, 2])
def test_a_very_short_sound_is_not_audible(parts: int):
    length_s, samples = 0.9 * MIN_AUDIBLE_S / parts, noise(3.0)
    spans = tuple((0.1 + 2 * n * length_s, 0.1 + (2 * n + 1) * length_s) for n in range(parts))
    assert audible_spans(samples, 16_000, spans) == ()
    assert audible_spans(samples, 16_000, (*spans, (2.0, 2.5))) == ((2.0, 2.5),)


def test_sound_with_dropouts_is_audible():
    samples = noise(3.0)
    spans = tuple((0.1 * n, 0.1 * n + 0.06) for n in range(25))
    assert audible_spans(samples, 16_000, spans) == spans


@given(st.lists(st.tuples(st.floats(0.01, 4), st.sampled_from(["sound", "silence", "gap"])), max_size=8))
def test_audible_spans_are_within_present_spans(parts: list[tuple[float, str]]):
    samples = np.concatenate(
        [noise(seconds) if kind == "sound" else 0 * noise(seconds) for seconds, kind in parts]
        or [np.zeros(0, np.float32)]
    )
    present, at = [], 0
    for seconds, kind in parts:
        end = at + round(seconds * 16_000)
        if kind != "gap" and present and present[-1][1] == at:
            present[-1] = (present[-1][0], end)
        elif kind != "gap" and end > at:
            present.append((at, end))
        at = end
    spans = tuple((a / 16_000, b / 16_000) for a, b in present)
    made = audible_spans(samples, 16_000, spans)
    assert list(made) == sorted(made)
    assert all(any(a <= x and y <= b for a, b in spans) for x, y in made)


@pytest.mark.parametrize(("level_db", "wanted_db"), [(-20, 0), (FAINT_DB + 0.5, 0), (FULL_GAIN_DB - 1, None)])
def test_only_faint_recordings_have_a_gain(level_db: float, wanted_db: float | None):
    samples = noise(5.0, level=10 ** (level_db / 20))
    wanted_db = TARGET_DB - level_db if wanted_db is None else wanted_db
    assert gain_db(samples, 16_000, whole_span(samples)) == pytest.approx(wanted_db, abs=0.5)


def test_a_knock_on_the_microphone_does_not_change_the_gain():
    faint = voice(10.0) * 10 ** (-50 / 20)
    knocked = faint.copy()
    knocked[40_000:41_000] += noise(1000 / 16_000, level=0.3)
    raised_db = gain_db(faint, 16_000, whole_span(faint))
    assert raised_db > 15
    assert gain_db(knocked, 16_000, whole_span(knocked)) == pytest.approx(raised_db, abs=1)


def test_a_few_loud_words_in_a_long_silence_have_no_gain():
    samples = np.concatenate([noise(60.0, level=1e-4), voice(2.0), noise(60.0, level=1e-4)])
    assert gain_db(samples, 16_000, whole_span(samples)) == 0.0


def test_a_faint_file_is_amplified_with_a_note(tmp_path: Path):
    usual = voice(4.0)
    path = write_sound(tmp_path / "a.wav", usual * 10 ** (-50 / 20), codec="pcm_s24le")
    sound = read_sound(path)
    assert sound.gain_db > 20
    factor = 10 ** ((sound.gain_db - 50) / 20)
    np.testing.assert_allclose(sound.samples, usual * factor, atol=1e-3)
    assert any("faint" in note for note in sound.notes)


def test_a_silent_track_is_read_but_not_audible(tmp_path: Path):
    path = write_clip(tmp_path / "a.mp4", Clip(steady(25, 3), sound_spans=((0.0, 3.0),)))
    sound = read_sound(path)
    assert sound.present
    assert not sound.is_audible_at(np.arange(75) / 25).any()
    assert any("digital silence" in note for note in sound.notes)


def test_ten_milliseconds_are_read_but_not_audible(tmp_path: Path):
    sound = read_sound(write_sound(tmp_path / "a.wav", noise(0.01)))
    assert sound.audible == ()
    assert any("too short" in note for note in sound.notes)
    track = SoundTrack(((0.0, noise(0.01)[None]), (2.0, noise(0.3)[None])))
    assert read_sound(write_tracks(tmp_path / "b.mka", track)).audible == (
        (2.0, pytest.approx(2.3, abs=0.01)),
    )


def test_a_real_clip_with_a_silent_track(clips: Path):
    sound = read_sound(next(clips.glob("07_*")))
    assert sound.present
    assert not sound.is_audible_at(np.arange(450) / 25).any()
