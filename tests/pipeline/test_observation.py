"""People of one recording are described in common batches and stay apart."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np
import pytest
from synth.faces import write_video

from vacli.errors import InputError
from vacli.faces.tracker import Face, FaceFrame
from vacli.media.audio import Sound
from vacli.pipeline import observation
from vacli.pipeline.face_embedding import Describer, FaceReader
from vacli.pipeline.observation import Crowd, Heard, Senses
from vacli.progress import Quiet


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


def test_two_people_in_turns_keep_their_own_rows(mean):
    crowd = Crowd(Senses({"mean": mean}, {}), count=100)
    for index in range(0, 100, 2):
        both = (face(0, index, 50.0), face(1, 200 - index, 0.0))
        crowd.add(FaceFrame(index, index / 25, both))
    for choice, track, sign, start in (("right", 0, 1, 0), ("left", 1, -1, 200), ("largest", 1, -1, 200)):
        ((chosen, reader),) = crowd.wanted(choice)
        assert chosen == track
        values = reader.features()["mean"][:, 0]
        np.testing.assert_array_equal(values[::2], start + sign * np.arange(0, 100, 2))
        assert np.isnan(values[1::2]).all()
        np.testing.assert_array_equal(reader.rows().found, np.arange(100) % 2 == 0)
    assert mean.batches == [32, 32, 32, 4]


def test_nobody_is_rows_without_a_face(mean):
    crowd = Crowd(Senses({"mean": mean}, {}), count=3)
    ((track, reader),) = crowd.wanted("largest")
    assert track == -1
    assert np.isnan(reader.features()["mean"]).all()
    assert not reader.rows().found.any()
    assert np.isnan(reader.rows().box).all()


def test_a_picture_without_a_face_is_described_and_not_found(mean):
    reader = FaceReader(Describer({"mean": mean}), 1)
    reader.add(0, np.full((224, 224, 3), 7, np.uint8), None, found=False)
    assert reader.features()["mean"].tolist() == [[7.0]]
    assert not reader.rows().found[0]


def test_frames_that_are_not_described_lie_between_those_that_are(mean):
    reader = FaceReader(Describer({"mean": mean}), 40)
    for index in (*range(2, 9), 20, 21):
        crop = None if index % 4 else np.full((224, 224, 3), 10 * index, np.uint8)
        reader.add(index, crop, face(0, 0, 0.0))
    values = reader.features()["mean"][:, 0]
    np.testing.assert_allclose(values[2:9], [40, 40, 40, 50, 60, 70, 80])
    np.testing.assert_allclose(values[[20, 21]], [200, 200])
    assert np.isnan(np.delete(values, [*range(2, 9), 20, 21])).all()


def test_parts_are_those_of_the_whole_once_they_are_settled(mean):
    there = np.flatnonzero(np.random.default_rng(3).random(300) < 0.7)
    describer = Describer({"mean": mean})
    reader, told, parts = FaceReader(describer, 300), 0, []
    for index in range(300):
        if index in there:
            crop = np.full((224, 224, 3), index % 256, np.uint8)
            reader.add(index, crop if index % 3 == 0 and index % 60 < 40 else None, face(0, 0, 0.0))
        if index % 50 == 49:
            describer.flush()
        if (settled := reader.settled(index + 1)) > told:
            parts.append(reader.features(told, settled)["mean"])
            found = reader.rows(told, settled).found
            np.testing.assert_array_equal(found, np.isin(range(told, settled), there))
            told = settled
    assert told > 290
    np.testing.assert_array_equal(np.concatenate(parts), reader.features()["mean"][:told])


def test_rows_settle_though_the_person_has_left_or_nothing_describes_faces(mean):
    crowd = Crowd(Senses({"mean": mean}, {}), count=200)
    for index in range(200):
        there = (face(0, index, 50.0),) if index < 40 else ()
        crowd.add(FaceFrame(index, index / 25, there))
    ((_, reader),) = crowd.wanted("largest")
    reader.features()
    blind = FaceReader(Describer({}), 200)
    for index in range(64):
        blind.add(index, np.zeros((224, 224, 3), np.uint8), face(0, 0, 0.0))
    assert (reader.settled(200), blind.settled(64)) == (192, 56)


def test_sound_in_parts_is_the_sound_in_one_go():
    class Loudness:
        spec = SimpleNamespace(dim=1)

        def extract(self, sound, times_s):
            at = np.round(times_s * sound.rate_hz).astype(int)
            return np.array(
                [[np.abs(sound.samples[max(i - 8000, 0) : i + 8000]).sum()] for i in at], np.float32
            )

    samples = np.random.default_rng(0).standard_normal(70 * 16000).astype(np.float32)
    times_s, senses = np.arange(70 * 25) / 25, Senses({}, {"loudness": Loudness()})
    for present in (((0.0, 70.0),), ((3.0, 61.0),), ((0.0, 7.0), (30.0, 70.0))):
        sound = Sound(samples, 16000, present)
        parts, whole = Heard(senses, sound, times_s).listen_in_parts(), Heard(senses, sound, times_s).listen()
        np.testing.assert_array_equal(parts.features["loudness"], whole.features["loudness"])
        assert parts.known == whole.known == len(times_s)


def test_a_face_that_was_never_described_has_no_description(mean):
    reader = FaceReader(Describer({"mean": mean}), 3)
    reader.add(1, None, face(0, 0, 0.0))
    assert np.isnan(reader.features()["mean"]).all()


def test_sound_that_fails_is_told_at_once(tmp_path, monkeypatch):
    def fail(path, track=None):
        raise InputError("no sound to be had")

    class Count:
        frames = 0

        def see(self, crowd, frame, heard):
            self.frames += 1
            time.sleep(0.01)  # the sound's thread has its turn

    monkeypatch.setattr(observation, "read_sound", fail)
    path = write_video(tmp_path / "a.mp4", [np.zeros((64, 64, 3), np.uint8)] * 100)
    look = observation.Look(Senses({}, {}), "largest", "auto")
    with pytest.raises(InputError, match="no sound to be had"):
        observation.observe_video(path, look, Quiet(), watcher := Count())
    assert watcher.frames < 50
