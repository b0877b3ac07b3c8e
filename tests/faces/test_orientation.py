"""Rotated and upside-down faces have the landmarks and track ids of upright ones."""

from __future__ import annotations

import numpy as np
import pytest
from synth.faces import frames, portrait, scene

from vacli.faces.align import TEMPLATE_224
from vacli.faces.detect import Detection
from vacli.faces.face_frame import FaceFrame
from vacli.faces.images import ImageAligner
from vacli.faces.orientation import most_upright, pose, rotate_quarters
from vacli.faces.tracker import track_faces
from vacli.media.video import open_video


def a_face(points: np.ndarray, score: float = 0.999) -> Detection:
    return Detection(np.float32([0, 0, 224, 224]), score, np.float32(points))


def rotated(points: np.ndarray, clockwise_deg: float) -> np.ndarray:
    """Rotate points (N, 2) about the corner of a picture; y points down."""
    angle = np.radians(clockwise_deg)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return points @ turn


@pytest.mark.parametrize("angle", [0, 30, -75, 90, 150, 180])
def test_roll_is_the_rotation_that_makes_a_face_upright(angle):
    tilted = a_face(rotated(TEMPLATE_224, -angle) * 0.7 + 40)
    assert pose(tilted).roll_deg == pytest.approx(angle, abs=0.01)
    assert pose(tilted).misfit_px == pytest.approx(0, abs=0.05)


def test_implausible_landmarks_have_a_large_misfit():
    upside_down_mouth = TEMPLATE_224[[3, 4, 2, 0, 1]]
    assert pose(a_face(upside_down_mouth)).misfit_px > 12


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_detection_is_rotated_back_to_the_original_picture(turns):
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[10, 25] = 255  # x 25.5, y 10.5
    row, column = np.argwhere(rotate_quarters(picture, turns)[..., 0])[0]
    points = np.float32([[column + 0.5, row + 0.5]] * 5)
    found = Detection(np.float32([column, row, column + 1, row + 1]), 1.0, points)
    there = found.rotated_back(turns, (60, 40))
    np.testing.assert_allclose(there.landmarks, [[25.5, 10.5]] * 5)
    np.testing.assert_allclose(there.box, [25, 10, 26, 11])
    assert there.quarter_turns == turns


def test_most_upright_returns_the_best_upright_face_or_none():
    good, weak = a_face(TEMPLATE_224, 0.99), a_face(TEMPLATE_224, 0.95)
    tilted = a_face(rotated(TEMPLATE_224, 80), 0.999)
    assert most_upright([weak, tilted, good]) is good
    assert most_upright([tilted]) is None


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_rotated_portrait_has_the_crop_of_the_upright_one(turns):
    aligner = ImageAligner()
    upright, tilted = aligner.align(portrait()), aligner.align(rotate_quarters(portrait(), turns))
    assert tilted.face.quarter_turns == -turns % 4
    assert np.abs(tilted.crop.astype(float) - upright.crop).mean() < 14
    points = turned_points(upright.face.landmarks, turns, 512)
    assert np.abs(tilted.face.landmarks - points).max() < 2


def turned_points(points: np.ndarray, turns: int, side_px: int) -> np.ndarray:
    """Apply `rotate_quarters` to points (N, 2) of a square picture."""
    for _ in range(turns):
        points = np.stack([points[:, 1], side_px - points[:, 0]], axis=1)
    return points


def tracks(faces: list[FaceFrame]) -> set[tuple[int, ...]]:
    return {tuple(face.track_id for face in frame.faces) for frame in faces}


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_rotated_video_has_the_crops_of_the_upright_one(turns):
    pictures = [scene((150 + 2 * i, 120)) for i in range(8)]
    upright = list(track_faces(frames(pictures)))
    tilted = list(track_faces(frames([rotate_quarters(picture, turns) for picture in pictures])))
    assert tracks(tilted) == {(0,)}
    for one, other in zip(upright, tilted, strict=True):
        assert np.abs(one.faces[0].crop.astype(float) - other.faces[0].crop).mean() < 14
        width_px = rotate_quarters(pictures[0], turns).shape[1]
        assert 0 < other.faces[0].box[0] < other.faces[0].box[2] < width_px


@pytest.mark.parametrize("turns", [1, 2])
def test_the_track_survives_a_rotation_of_the_camera(turns):
    square = [scene((120, 120))[:, :240]] * 10
    faces = list(
        track_faces(frames([*square, *(rotate_quarters(picture, turns) for picture in square), *square]))
    )
    assert tracks(faces) == {(0,)}


def test_two_upside_down_people_are_tracked(clips):
    with open_video(clips / "20_derived_two_faces_grid.mp4") as video:
        pictures = [rotate_quarters(frame.rgb, 2) for frame, _ in zip(video, range(10), strict=False)]
    assert tracks(list(track_faces(frames(pictures)))) == {(0, 1)}
