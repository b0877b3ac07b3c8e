"""Faces that lie or are upside down: their points and identities are those of upright ones."""

from __future__ import annotations

import numpy as np
import pytest
from synth.faces import frames, portrait, scene

from vacli.faces.align import TEMPLATE_224
from vacli.faces.detect import Detection
from vacli.faces.orientation import most_upright, pose, turned
from vacli.faces.stills import Aligner
from vacli.faces.tracker import FaceFrame, follow
from vacli.media.video import open_video


def a_face(points: np.ndarray, score: float = 0.999) -> Detection:
    return Detection(np.float32([0, 0, 224, 224]), score, np.float32(points))


def rotated(points: np.ndarray, clockwise_deg: float) -> np.ndarray:
    """Points (N, 2) of a picture turned about its corner; y points down."""
    angle = np.radians(clockwise_deg)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return points @ turn


@pytest.mark.parametrize("angle", [0, 30, -75, 90, 150, 180])
def test_the_roll_is_the_turn_that_makes_a_face_upright(angle):
    lying = a_face(rotated(TEMPLATE_224, -angle) * 0.7 + 40)
    assert pose(lying).roll_deg == pytest.approx(angle, abs=0.01)
    assert pose(lying).misfit_px == pytest.approx(0, abs=0.05)


def test_points_that_make_no_face_fit_badly():
    upside_down_mouth = TEMPLATE_224[[3, 4, 2, 0, 1]]
    assert pose(a_face(upside_down_mouth)).misfit_px > 12


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_face_of_a_turned_picture_is_where_the_picture_shows_it(turns):
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[10, 25] = 255  # x 25.5, y 10.5
    row, column = np.argwhere(turned(picture, turns)[..., 0])[0]
    points = np.float32([[column + 0.5, row + 0.5]] * 5)
    found = Detection(np.float32([column, row, column + 1, row + 1]), 1.0, points)
    there = found.turned_back(turns, (60, 40))
    np.testing.assert_allclose(there.landmarks, [[25.5, 10.5]] * 5)
    np.testing.assert_allclose(there.box, [25, 10, 26, 11])
    assert there.quarter_turns == turns


def test_of_several_views_the_surest_face_counts_and_none_where_all_lie():
    sure, unsure = a_face(TEMPLATE_224, 0.99), a_face(TEMPLATE_224, 0.95)
    lying = a_face(rotated(TEMPLATE_224, 80), 0.999)
    assert most_upright([unsure, lying, sure]) is sure
    assert most_upright([lying]) is None


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_portrait_on_its_side_or_upside_down_is_aligned_as_upright(turns):
    aligner = Aligner()
    upright, lying = aligner.align(portrait()), aligner.align(turned(portrait(), turns))
    assert lying.face.quarter_turns == -turns % 4
    assert np.abs(lying.crop.astype(float) - upright.crop).mean() < 14
    points = turned_points(upright.face.landmarks, turns, 512)
    assert np.abs(lying.face.landmarks - points).max() < 2


def turned_points(points: np.ndarray, turns: int, side_px: int) -> np.ndarray:
    """Where `turned` brings points (N, 2) of a square picture."""
    for _ in range(turns):
        points = np.stack([points[:, 1], side_px - points[:, 0]], axis=1)
    return points


def tracks(faces: list[FaceFrame]) -> set[tuple[int, ...]]:
    return {tuple(face.track for face in frame.faces) for frame in faces}


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_video_on_its_side_or_upside_down_shows_the_same_faces(turns):
    pictures = [scene((150 + 2 * i, 120)) for i in range(8)]
    upright = list(follow(frames(pictures)))
    lying = list(follow(frames([turned(picture, turns) for picture in pictures])))
    assert tracks(lying) == {(0,)}
    for one, other in zip(upright, lying, strict=True):
        assert np.abs(one.faces[0].crop.astype(float) - other.faces[0].crop).mean() < 14
        width_px = turned(pictures[0], turns).shape[1]
        assert 0 < other.faces[0].box[0] < other.faces[0].box[2] < width_px


@pytest.mark.parametrize("turns", [1, 2])
def test_a_camera_that_is_turned_while_it_records_keeps_the_person(turns):
    square = [scene((120, 120))[:, :240]] * 10
    faces = list(follow(frames([*square, *(turned(picture, turns) for picture in square), *square])))
    assert tracks(faces) == {(0,)}


def test_two_people_upside_down_are_both_found(clips):
    with open_video(clips / "20_derived_two_faces_grid.mp4") as video:
        pictures = [turned(frame.rgb, 2) for frame, _ in zip(video, range(10), strict=False)]
    assert tracks(list(follow(frames(pictures)))) == {(0, 1)}
