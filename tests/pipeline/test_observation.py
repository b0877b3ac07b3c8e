"""The tracks of one recording share batches and keep their own rows."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np
import pytest
from synth.faces import write_video
from synth.sounds import sound

from vacli.clock import regular_times
from vacli.errors import InputError
from vacli.faces.face_frame import Face, FaceFrame
from vacli.features.audio_flags import TemporalContext
from vacli.features.registry import create
from vacli.media.audio import Sound
from vacli.media.synthetic_speech import syllables
from vacli.pipeline import observation
from vacli.pipeline.audio_features import AudioFeatures
from vacli.pipeline.face_embedding import FaceEmbedder, FaceTrackFeatures
from vacli.pipeline.face_tracks import FaceTracks
from vacli.pipeline.observation import Extractors, ObservationSettings
from vacli.progress import RecordingProgress

SILENCE = AudioFeatures({}, None, np.zeros(1))


class Mean:
    """An extractor whose one value is the mean of the crop."""

    spec = SimpleNamespace(dim=1)

    def __init__(self) -> None:
        self.batches: list[int] = []

    def extract(self, crops: np.ndarray) -> np.ndarray:
        self.batches.append(len(crops))
        return crops.reshape(len(crops), -1).mean(axis=1, keepdims=True).astype(np.float32)


def face(track: int, value: int, left: float) -> Face:
    box, points = np.float32([left, 0, left + 10 + track, 10]), np.zeros((5, 2), np.float32)
    return Face(track, box, points, 0.9, np.full((224, 224, 3), value, np.uint8), 1.0, 10.0)


@pytest.fixture
def mean() -> Mean:
    return Mean()


def test_two_alternating_tracks_keep_their_own_rows(mean):
    tracks = FaceTracks({"mean": mean}, regular_times(100, 25))
    for index in range(0, 100, 2):
        both = (face(0, index, 50.0), face(1, 200 - index, 0.0))
        tracks.add(FaceFrame(index, index / 25, both))
    for choice, track, sign, start in (("right", 0, 1, 0), ("left", 1, -1, 200), ("largest", 1, -1, 200)):
        ((chosen, reader),) = tracks.select(choice, SILENCE)
        assert chosen == track
        values = reader.features()["mean"][:, 0]
        np.testing.assert_array_equal(values[::2], start + sign * np.arange(0, 100, 2))
        assert np.isnan(values[1::2]).all()
        np.testing.assert_array_equal(reader.detections().detected, np.arange(100) % 2 == 0)
    assert mean.batches == [32, 32, 32, 4]


def test_a_video_without_faces_has_empty_rows(mean):
    tracks = FaceTracks({"mean": mean}, regular_times(3, 25))
    ((track, reader),) = tracks.select("largest", SILENCE)
    assert track == -1
    assert np.isnan(reader.features()["mean"]).all()
    assert not reader.detections().detected.any()
    assert np.isnan(reader.detections().box).all()


def test_a_picture_without_a_face_has_features_and_no_detection(mean):
    reader = FaceTrackFeatures(FaceEmbedder({"mean": mean}), 1)
    reader.add(0, np.full((224, 224, 3), 7, np.uint8), None, detected=False)
    assert reader.features()["mean"].tolist() == [[7.0]]
    assert not reader.detections().detected[0]


def test_frames_without_a_crop_are_interpolated(mean):
    reader = FaceTrackFeatures(FaceEmbedder({"mean": mean}), 40)
    for index in (*range(2, 9), 20, 21):
        crop = None if index % 4 else np.full((224, 224, 3), 10 * index, np.uint8)
        reader.add(index, crop, face(0, 0, 0.0))
    values = reader.features()["mean"][:, 0]
    np.testing.assert_allclose(values[2:9], [40, 40, 40, 50, 60, 70, 80])
    np.testing.assert_allclose(values[[20, 21]], [200, 200])
    assert np.isnan(np.delete(values, [*range(2, 9), 20, 21])).all()


def test_final_rows_equal_those_of_the_whole_video(mean):
    there = np.flatnonzero(np.random.default_rng(3).random(300) < 0.7)
    describer = FaceEmbedder({"mean": mean})
    reader, told, parts = FaceTrackFeatures(describer, 300), 0, []
    for index in range(300):
        if index in there:
            crop = np.full((224, 224, 3), index % 256, np.uint8)
            reader.add(index, crop if index % 3 == 0 and index % 60 < 40 else None, face(0, 0, 0.0))
        if index % 50 == 49:
            describer.flush()
        if (n_final := reader.n_final(index + 1)) > told:
            parts.append(reader.features(told, n_final)["mean"])
            found = reader.detections(told, n_final).detected
            np.testing.assert_array_equal(found, np.isin(range(told, n_final), there))
            told = n_final
    assert told > 290
    np.testing.assert_array_equal(np.concatenate(parts), reader.features()["mean"][:told])


def test_rows_become_final_after_a_track_ends_and_without_extractors(mean):
    tracks = FaceTracks({"mean": mean}, regular_times(200, 25))
    for index in range(200):
        there = (face(0, index, 50.0),) if index < 40 else ()
        tracks.add(FaceFrame(index, index / 25, there))
    ((_, reader),) = tracks.select("largest", SILENCE)
    reader.features()
    blind = FaceTrackFeatures(FaceEmbedder({}), 200)
    for index in range(64):
        blind.add(index, np.zeros((224, 224, 3), np.uint8), face(0, 0, 0.0))
    assert (reader.n_final(200), blind.n_final(64)) == (192, 56)


@pytest.mark.parametrize("reach_s", [0.5, 4.0])
def test_chunked_audio_features_equal_those_of_the_whole(reach_s):
    reach = round(reach_s * 16000)

    class Loudness:
        spec = SimpleNamespace(dim=1)
        context = TemporalContext(before_s=reach_s, after_s=reach_s)

        def extract(self, sound, times_s):
            at = np.round(times_s * sound.rate_hz).astype(int)
            return np.array(
                [[np.abs(sound.samples[max(i - reach, 0) : i + reach]).sum()] for i in at], np.float32
            )

    samples = np.random.default_rng(0).standard_normal(70 * 16000).astype(np.float32)
    times_s, extractors = np.arange(70 * 25) / 25, {"loudness": Loudness()}
    for present in (((0.0, 70.0),), ((3.0, 61.0),), ((0.0, 7.0), (30.0, 70.0))):
        sound = Sound(samples, 16000, present)
        parts = AudioFeatures(extractors, sound, times_s).extract_chunked()
        whole = AudioFeatures(extractors, sound, times_s).extract()
        np.testing.assert_array_equal(parts.features["loudness"], whole.features["loudness"])
        assert parts.n_known == whole.n_known == len(times_s)


def test_chunked_speech_probabilities_equal_those_of_the_whole():
    recording, extractors = sound(syllables(40.0)), {"speech": create("speech")}
    times_s = recording.row_times()
    parts = AudioFeatures(extractors, recording, times_s).extract_chunked()
    whole = AudioFeatures(extractors, recording, times_s).extract()
    np.testing.assert_allclose(parts.features["speech"], whole.features["speech"], atol=1e-5)


def test_a_face_without_any_crop_has_no_features(mean):
    reader = FaceTrackFeatures(FaceEmbedder({"mean": mean}), 3)
    reader.add(1, None, face(0, 0, 0.0))
    assert np.isnan(reader.features()["mean"]).all()


def test_a_failure_of_the_audio_thread_is_raised_at_once(tmp_path, monkeypatch):
    def fail(path, track=None):
        raise InputError("no sound to be had")

    class Count:
        frames = 0

        def on_frame(self, tracks, frame, audio):
            self.frames += 1
            time.sleep(0.01)  # gives the audio thread a turn

    monkeypatch.setattr(observation, "read_sound", fail)
    path = write_video(tmp_path / "a.mp4", [np.zeros((64, 64, 3), np.uint8)] * 100)
    settings = ObservationSettings(Extractors({}, {}), "largest", "auto")
    with pytest.raises(InputError, match="no sound to be had"):
        observation.observe_video(path, settings, RecordingProgress(), callback := Count())
    assert callback.frames < 50


def test_the_sharpness_of_the_nearest_crop_within_eight_frames_is_used():
    count = 40
    track = FaceTrackFeatures(FaceEmbedder({}), count)
    crop = np.zeros((224, 224, 3), np.uint8)
    for index in range(count):
        known = {0: 5.0, 4: 9.0, 30: 2.0}.get(index)
        sharp = float("nan") if known is None else known
        track.add(index, None if known is None else crop, face(0, 0, 0.0), sharpness=sharp)
    whole = track.detections().sharpness
    assert whole[[0, 2, 3, 12, 22, 38]].tolist() == [5.0, 5.0, 9.0, 9.0, 2.0, 2.0]
    assert np.isnan(whole[[13, 21, 39]]).all()
    parts = [track.detections(start, min(start + 7, count)).sharpness for start in range(0, count, 7)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
