from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from vacli.faces.detect import Detection
from vacli.pipeline.face_embedding import FaceEmbedder, FaceTrackFeatures

COUNT, STRIDE = 60, 2


class Mean:
    """The mean grey level of each crop."""

    spec = SimpleNamespace(dim=1)

    def extract(self, crops: np.ndarray) -> np.ndarray:
        return crops.mean(axis=(1, 2, 3), keepdims=True)[:, 0, 0].astype(np.float32)


def filled() -> FaceTrackFeatures:
    """A track in every frame, with a crop in every second one."""
    embedder = FaceEmbedder({"mean": Mean()})
    track = FaceTrackFeatures(embedder, COUNT)
    for index in range(COUNT):
        crop = np.full((224, 224, 3), index, np.uint8) if index % STRIDE == 0 else None
        face = Detection(np.array([0, 0, index, 9], np.float32), 0.9, np.zeros((5, 2), np.float32))
        track.add(index, crop, face, sharpness=0.1 if crop is None else 0.01 * index)
    embedder.flush()
    return track


def test_rows_do_not_change_when_older_ones_are_forgotten():
    whole, recent = filled(), filled()
    recent.forget(30)
    for start, end in ((30, 31), (31, 40), (58, COUNT)):
        np.testing.assert_array_equal(recent.features(start, end)["mean"], whole.features(start, end)["mean"])
        wanted, got = whole.detections(start, end), recent.detections(start, end)
        np.testing.assert_array_equal(got.box, wanted.box)
        np.testing.assert_array_equal(got.sharpness, wanted.sharpness)
    assert np.isnan(recent.features(10, 12)["mean"]).all()
    assert not recent.detections(10, 12).detected.any()


def test_the_features_of_the_latest_frame_are_those_of_the_last_crop():
    embedder = FaceEmbedder({"mean": Mean()})
    track = FaceTrackFeatures(embedder, 0)
    for index in range(3):
        crop = np.full((224, 224, 3), 10 * index, np.uint8) if index != 1 else None
        track.add(index, crop, None)
        embedder.flush()
        if index == 1:
            assert track.features(1, 2)["mean"] == 0
    assert track.features(1, 2)["mean"] == 10  # interpolated
