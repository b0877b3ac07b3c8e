from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from synth.faces import portrait, scene

from vacli.faces.detect import Detector
from vacli.faces.roi_detect import RegionDetector


@pytest.fixture(scope="module")
def region() -> RegionDetector:
    return RegionDetector()


@pytest.fixture(scope="module")
def box() -> np.ndarray:
    return Detector().detect(portrait())[0].box


def eyes_px(landmarks: np.ndarray) -> float:
    return float(np.hypot(*(landmarks[0] - landmarks[1])))


def moved(a: np.ndarray, b: np.ndarray) -> float:
    """Return the mean distance between two sets of landmarks as a fraction of the eye distance."""
    return float(np.hypot(*(a - b).T).mean() / eyes_px(b))


def test_redetection_agrees_with_detection_on_the_whole_picture(region, box):
    (whole,) = Detector().detect(portrait())
    found = region.redetect(portrait(), box)
    assert found.score > 0.9
    assert moved(found.landmarks, whole.landmarks) < 0.05


def test_a_shift_of_the_picture_shifts_the_landmarks(region, box):
    found = region.redetect(portrait(), box)
    shifted = np.roll(portrait(), (5, 3), (0, 1))
    there = region.redetect(shifted, box + np.float32([3, 5, 3, 5]))
    np.testing.assert_allclose(there.landmarks, found.landmarks + [3, 5], atol=0.02)


@pytest.mark.parametrize("scale", [0.5, 0.8, 1.25, 2.0])
def test_landmarks_do_not_depend_on_the_resolution(region, box, scale):
    found = region.redetect(portrait(), box)
    size = round(512 * scale)
    scaled = np.asarray(Image.fromarray(portrait()).resize((size, size), Image.Resampling.BICUBIC))
    there = region.redetect(scaled, box * np.float32(size / 512))
    assert moved(there.landmarks * 512 / size, found.landmarks) < 0.02


def test_a_shifted_box_gives_the_same_landmarks(region, box):
    exact = region.redetect(portrait(), box)
    stale = region.redetect(portrait(), box + np.float32([12, -10, 12, -10]))
    assert moved(stale.landmarks, exact.landmarks) < 0.04


def test_a_picture_without_a_face_gives_none(region):
    assert region.redetect(scene(None), np.float32([100, 60, 200, 180])) is None


def test_a_face_far_from_the_box_gives_none(region):
    assert region.redetect(scene((250, 120), zoom=0.6), np.float32([90, 80, 150, 160])) is None
