"""The quality of frames: the lowest factor of the modality that a frame is based on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vacli.faces.align import TEMPLATE_224
from vacli.output.frame_table import QUALITY_LIMITS
from vacli.pipeline.face_embedding import FaceDetections
from vacli.pipeline.frame_quality import SOUND_WEIGHT, frame_quality
from vacli.pipeline.observation import Observation

CERTAIN = np.array([[0.2, 0.2]])
UNKNOWN = np.full((1, 2), np.nan)


def observed(size_px=100.0, sharpness=0.5, landmarks=TEMPLATE_224, score=0.999, level_db=-30.0):
    """One frame with a clear face and voice, or with the given measures."""
    faces = FaceDetections(
        detected=np.array([True]),
        score=np.array([score]),
        box=np.array([[10.0, 10.0, 10 + size_px, 10 + size_px / 2]]),
        landmarks=np.asarray(landmarks, np.float64)[None],
        sharpness=np.array([sharpness]),
    )
    return Observation(
        times_s=np.zeros(1),
        face_id=0,
        faces=faces,
        audio_present=np.array([True]),
        speaking=np.full(1, np.nan),
        level_db=np.array([level_db]),
        speech=np.full(1, np.nan),
        features={},
    )


def quality(one, modality="visual", uncertainty=CERTAIN):
    made = frame_quality(one, np.array([modality]), uncertainty)
    assert made.limits[0] in QUALITY_LIMITS
    return float(made.values[0]), str(made.limits[0])


def turned(yaw_deg: float) -> np.ndarray:
    """Landmarks of a face that is turned by a yaw and tilted by 30 degrees in the picture."""
    depth = np.array([0.0, 0.0, 45.0, 18.0, 18.0])
    yaw, roll = np.deg2rad(yaw_deg), np.deg2rad(30)
    x = (TEMPLATE_224[:, 0] - 112) * np.cos(yaw) + depth * np.sin(yaw)
    z = (x + 1j * (TEMPLATE_224[:, 1] - 112)) * np.exp(1j * roll) * 0.4
    return np.stack([z.real, z.imag], axis=1) + 300


@pytest.mark.parametrize("modality", ["visual", "audio", "audiovisual"])
def test_a_clear_frame_has_quality_1_and_no_limit(modality):
    assert quality(observed(), modality) == (1.0, "")


@pytest.mark.parametrize(
    ("measures", "limit"),
    [
        ({"size_px": 16.0}, "face_size"),
        ({"sharpness": 0.02}, "sharpness"),
        ({"landmarks": turned(60)}, "pose"),
        ({"score": 0.92}, "face_score"),
    ],
)
def test_each_measure_of_a_face_limits_the_quality(measures, limit):
    value, named = quality(observed(**measures))
    assert 0 < value < 0.6
    assert named == limit


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("size_px", (5.0, 12.0, 20.0, 29.0, 60.0)),
        ("sharpness", (0.001, 0.01, 0.03, 0.1, 1.5)),
        ("score", (0.5, 0.85, 0.93, 0.98, 0.9999)),
    ],
)
def test_quality_grows_with_each_measure_from_0_to_1(name, values):
    qualities = [quality(observed(**{name: value}))[0] for value in values]
    assert qualities == sorted(qualities)
    assert (qualities[0], qualities[-1]) == (0.0, 1.0)
    assert len(set(qualities)) == len(values)


def test_quality_falls_with_the_yaw_and_not_with_size_or_roll():
    qualities = [quality(observed(landmarks=turned(yaw)))[0] for yaw in (0, 30, 50, 65, 85)]
    assert qualities[:2] == [1.0, 1.0]
    assert qualities[2] > qualities[3] > qualities[4] == 0.0


def test_the_level_limits_a_sound():
    assert quality(observed(level_db=-57.5), "audio") == (0.5, "sound_level")
    assert quality(observed(level_db=-80.0), "audio") == (0.0, "sound_level")


def test_a_sound_counts_in_part_where_there_is_a_face():
    blurred = observed(sharpness=0.004)
    assert quality(blurred, "visual") == (0.0, "sharpness")
    assert quality(blurred, "audiovisual") == (SOUND_WEIGHT, "sharpness")
    assert quality(observed(level_db=-90), "audiovisual") == (1.0, "")


def test_a_large_uncertainty_limits_any_frame():
    for modality in ("visual", "audio", "audiovisual"):
        value, limit = quality(observed(), modality, np.array([[0.6, 0.6]]))
        assert 0 < value < 0.5
        assert limit == "uncertainty"


def test_unknown_measures_are_left_out():
    nan = float("nan")
    nothing_known = observed(nan, nan, np.full((5, 2), nan), nan, nan)
    for modality in ("visual", "audio", "audiovisual"):
        assert quality(nothing_known, modality, UNKNOWN) == (1.0, "")
    blurred = replace(nothing_known, faces=replace(nothing_known.faces, sharpness=np.array([0.02])))
    assert quality(blurred, "visual", UNKNOWN)[1] == "sharpness"


def test_frames_without_face_and_speech_have_quality_0():
    assert quality(observed(), "none") == (0.0, "no_face_or_speech")
