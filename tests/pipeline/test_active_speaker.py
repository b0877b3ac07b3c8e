"""Synthetic mouths that move with a sound: who speaks, from parts of a video and from the whole."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from vacli.clock import regular_times
from vacli.faces.align import TEMPLATE_224
from vacli.faces.face_frame import FaceFrame
from vacli.media.audio import Sound
from vacli.media.speech_level import speech_level
from vacli.pipeline.active_speaker import SPEAKING, ActiveSpeaker, grid_times
from vacli.pipeline.face_tracks import FaceTracks
from vacli.pipeline.mouth_track import MouthTrack, sampling_stride

RATE_HZ = 16_000
DURATION_S = 6.0
SPEECH_S = (1.5, 4.5)


def syllables(times_s: np.ndarray, seed: int) -> np.ndarray:
    """(N,) from 0 to 1: openings of a mouth at irregular times within SPEECH_S."""
    rng = np.random.default_rng(seed)
    starts_s = SPEECH_S[0] + np.cumsum(rng.uniform(0.16, 0.42, 20))
    lengths_s = rng.uniform(0.08, 0.16, 20)
    return sum(
        np.clip(1 - np.abs(times_s - start) / length, 0, None)
        for start, length in zip(starts_s, lengths_s, strict=True)
        if start < SPEECH_S[1]
    )


def voice(seed: int, delay_s: float = 0.05) -> Sound:
    time_s = np.arange(int(DURATION_S * RATE_HZ)) / RATE_HZ
    noise = np.random.default_rng(99).normal(0, 0.1, len(time_s))
    samples = noise * (syllables(time_s - delay_s, seed) + 1e-3)
    return Sound(samples.astype(np.float32), RATE_HZ, ((0.0, DURATION_S),))


def face(track_id: int, time_s: float, seed: int | None) -> SimpleNamespace:
    """A face with noise; its mouth follows `syllables`, or is still without a seed."""
    rng = np.random.default_rng([track_id, round(time_s * 1000)])
    opening = 0.0 if seed is None else float(syllables(np.array([time_s]), seed)[0])
    cells = np.random.default_rng(track_id).uniform(60, 160, (14, 14)) + rng.normal(0, 0.5, (14, 14))
    cells[8:12, 4:10] -= 50 * opening * (1 + np.random.default_rng(1).uniform(0, 1, (4, 6)))
    landmarks = TEMPLATE_224 + rng.normal(0, 0.2, (5, 2))
    landmarks[3:, 1] += 8 * opening
    return SimpleNamespace(track_id=track_id, landmarks=landmarks, lower_face=cells.astype(np.float32))


def watched(times_s: np.ndarray, seeds: dict, first_s: dict | None = None) -> ActiveSpeaker:
    """The faces of a video. seeds: track -> its syllables, None for a still face. first_s: track -> start."""
    speaker = ActiveSpeaker(times_s)
    for index, time_s in enumerate(times_s):
        if index % speaker.stride:
            continue
        shown = {track: seed for track, seed in seeds.items() if time_s >= (first_s or {}).get(track, 0)}
        speaker.add(FaceFrame(index, time_s, tuple(face(track, time_s, s) for track, s in shown.items())))
    return speaker


def level_of(sound: Sound, times_s: np.ndarray):
    return speech_level(sound, grid_times(times_s))


RATES = {rate_hz: regular_times(int(DURATION_S * rate_hz), rate_hz) for rate_hz in (15, 25, 30, 60)}
RATES["variable"] = np.cumsum(np.random.default_rng(0).uniform(0.014, 0.06, 160))


@pytest.mark.parametrize("rate", RATES)
def test_one_face_speaks_where_its_sound_is(rate):
    times_s = RATES[rate]
    speaking = watched(times_s, {0: 1}).speaking(0, times_s, level_of(voice(1), times_s))
    inside = (times_s > SPEECH_S[0] + 0.4) & (times_s < SPEECH_S[1] - 0.4)
    outside = (times_s < SPEECH_S[0]) | (times_s > SPEECH_S[1] + 0.4)
    assert np.mean(speaking[inside] >= SPEAKING) > 0.9
    assert np.nanmax(speaking[outside]) < 0.5
    assert np.nanmin(speaking) >= 0
    assert np.nanmax(speaking) <= 1


@pytest.mark.parametrize("rate", [15, 25, 30])
@pytest.mark.parametrize("seeds", [{0: 1, 1: 2}, {0: 1, 1: None}, {0: 1, 1: 2, 2: 3}])
def test_of_several_faces_that_one_speaks_whose_mouth_follows_the_sound(seeds, rate):
    times_s = RATES[rate]
    speaker = watched(times_s, seeds)
    inside = (times_s > SPEECH_S[0] + 0.4) & (times_s < SPEECH_S[1] - 0.4)
    for track in (track for track, seed in seeds.items() if seed):
        level = level_of(voice(seeds[track]), times_s)
        values = np.stack([speaker.speaking(t, times_s, level)[inside] for t in seeds])
        assert np.mean(values.argmax(axis=0) == track) > 0.9
        assert values.sum(axis=0).max() <= 1 + 1e-9
        durations_s = speaker.durations_s(level)
        assert max(durations_s, key=lambda t: durations_s[t]) == track


def test_a_voice_from_outside_leaves_all_faces_at_low_values():
    times_s = RATES[25]
    speaker = watched(times_s, {0: 1, 1: None})
    level = level_of(voice(7), times_s)
    inside = (times_s > SPEECH_S[0] + 0.4) & (times_s < SPEECH_S[1] - 0.4)
    for track in (0, 1):
        assert np.mean(speaker.speaking(track, times_s, level)[inside]) < 0.3


def test_small_shifts_of_the_sound_are_tolerated():
    times_s = RATES[25]
    speaker = watched(times_s, {0: 1})
    inside = (times_s > SPEECH_S[0] + 0.5) & (times_s < SPEECH_S[1] - 0.5)
    means = {
        delay_s: speaker.speaking(0, times_s, level_of(voice(1, delay_s), times_s))[inside].mean()
        for delay_s in (-0.05, 0.05, 0.15, 1.0)
    }
    assert min(means[-0.05], means[0.05], means[0.15]) > 0.5
    assert means[1.0] < 0.3


def test_without_sound_in_the_recording_nobody_speaks():
    times_s = RATES[25]
    silence = Sound(np.zeros(int(DURATION_S * RATE_HZ), np.float32), RATE_HZ, ((0.0, DURATION_S),))
    assert watched(times_s, {0: 1}).speaking(0, times_s, level_of(silence, times_s)).max() == 0


def test_an_unknown_or_just_visible_face_is_unknown():
    times_s = RATES[25]
    speaker = watched(times_s, {0: 1, 1: 2}, {1: 3.0})
    level = level_of(voice(1), times_s)
    assert np.isnan(speaker.speaking(5, times_s, level)).all()
    late = speaker.speaking(1, times_s, level)
    assert np.isnan(late[times_s < 2.4]).all()
    assert np.isfinite(late[times_s > 3.0]).all()
    early = watched(times_s, {0: 1}).speaking(0, times_s, level)
    np.testing.assert_array_equal(speaker.speaking(0, times_s, level)[times_s < 2.1], early[times_s < 2.1])


@pytest.mark.parametrize("rate", RATES)
def test_final_rows_of_a_part_equal_those_of_the_whole(rate):
    times_s = RATES[rate]
    level = level_of(voice(1), times_s)
    whole = watched(times_s, {0: 1, 1: 2}, {1: 2.0}).speaking(0, times_s, level)
    part, emitted = ActiveSpeaker(times_s), 0
    for index, time_s in enumerate(times_s):
        if index % part.stride == 0:
            faces = [face(0, time_s, 1)] + ([face(1, time_s, 2)] if time_s >= 2.0 else [])
            part.add(FaceFrame(index, time_s, tuple(faces)))
        known = part.n_final(index + 1)
        if known > emitted and index % 7 == 0:
            rows = part.speaking(0, times_s[emitted:known], level)
            np.testing.assert_array_equal(rows, whole[emitted:known])
            emitted = known
    assert part.n_final(len(times_s)) == len(times_s)
    assert emitted > 0.7 * len(times_s)


@pytest.mark.parametrize("rate", RATES)
def test_rows_are_final_after_less_than_a_second(rate):
    times_s = RATES[rate]
    speaker = ActiveSpeaker(times_s)
    for frames in range(len(times_s) // 2, len(times_s)):
        assert times_s[frames - 1] - times_s[speaker.n_final(frames)] < 0.95
    assert speaker.n_final(1) == 0


def test_a_lost_face_leaves_a_hole_that_later_frames_do_not_fill():
    track = MouthTrack()
    for index in (*range(10), *range(12, 20)):
        time_s = index / 25
        one = face(0, time_s, 1)
        track.add(index, time_s, one.lower_face, one.landmarks)
    motion, opening = track.on_grid(0, 25)
    assert np.flatnonzero(np.isnan(opening)).tolist() == [10, 11, *range(20, 25)]
    assert np.flatnonzero(np.isnan(motion)).tolist() == [0, 10, 11, 12, *range(20, 25)]


def test_the_motion_does_not_depend_on_when_it_is_asked_for(monkeypatch):
    monkeypatch.setattr("vacli.pipeline.mouth_track.MAX_PENDING", 6)
    asked, unasked = MouthTrack(), MouthTrack()
    for index in range(30):
        one = face(0, 1.6 + index / 25, 1)
        for track in (asked, unasked):
            track.add(index, index / 25, one.lower_face, one.landmarks)
        if index % 4 == 3:
            asked.on_grid(0, 10)
    for one, other in zip(asked.on_grid(0, 30), unasked.on_grid(0, 30), strict=True):
        np.testing.assert_array_equal(one, other)


def test_mouths_are_sampled_at_25_hz_or_more():
    rates = (10.0, 24.0, 25.0, 29.97, 49.9, 50.0, 60.0, 120.0, float("nan"))
    assert [sampling_stride(rate) for rate in rates] == [1, 1, 1, 1, 2, 2, 2, 4, 1]


def test_a_mouth_does_not_change_when_older_frames_are_forgotten():
    draw = np.random.default_rng(0)
    whole, recent = MouthTrack(), MouthTrack()
    for k in range(200):
        lower_face, landmarks = draw.uniform(0, 255, (14, 14)).astype(np.float32), draw.uniform(0, 99, (5, 2))
        for track in (whole, recent):
            track.add(k, k / 25, lower_face, landmarks)
        if k % 50 == 49:
            recent.forget(k / 25 - 1)
    assert recent.span() == (174, 200)
    for one, other in zip(recent.on_grid(176, 198), whole.on_grid(176, 198), strict=True):
        np.testing.assert_array_equal(one, other)
        assert np.isfinite(one).all()


def test_a_voice_of_another_face_is_none_of_a_hidden_one():
    times_s = RATES[25]
    audio = SimpleNamespace(
        present=np.ones(len(times_s), bool), speech_level=level_of(voice(2), times_s), times_s=times_s
    )
    tracks = FaceTracks({}, times_s)
    tracks.speaker = watched(times_s, {0: 1, 1: 2}, {1: 1.0})
    detected = times_s < 1.0  # face 0 leaves when face 1 comes
    speaking = tracks.speaking(0, audio, detected)
    during = (times_s > 2) & (times_s < 4)
    assert (speaking[during] == 0).mean() > 0.6
    assert np.isnan(speaking[times_s > 5.2]).all()  # nobody speaks
    part = tracks.speaking(0, audio, detected[60:90], 60, 90)
    np.testing.assert_array_equal(part, speaking[60:90])
    alone = FaceTracks({}, times_s)
    alone.speaker = watched(times_s, {0: 1})
    assert np.isnan(alone.speaking(0, audio, detected)[~detected]).all()
