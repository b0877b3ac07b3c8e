"""Alignment of single images."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut, coffee

from vacli.errors import InputError
from vacli.faces.align import TEMPLATE_224, umeyama
from vacli.faces.images import VIEW_ZOOMS, ImageAligner, tta_views

FACE = (170, 60, 280, 180)  # x0 y0 x1 y1 in the photograph


@pytest.fixture(scope="module")
def aligner():
    return ImageAligner()


@pytest.mark.parametrize("side", [48, 160, 512, 2000])
def test_a_portrait_is_detected_at_any_size(side, aligner):
    portrait = Image.fromarray(astronaut()).crop(FACE)
    picture = np.asarray(portrait.resize((side, round(side * 120 / 110)), Image.Resampling.BICUBIC))
    aligned = aligner.align(picture)
    assert aligned.face is not None
    fit = umeyama(aligned.face.landmarks, TEMPLATE_224)
    points = aligned.face.landmarks @ fit[:, :2].T + fit[:, 2]
    assert np.abs(points - TEMPLATE_224).max() < 25


def test_crops_of_one_face_agree_between_sizes(aligner):
    crops = []
    for side in (300, 900):
        picture = np.asarray(Image.fromarray(astronaut()).resize((side, side), Image.Resampling.BICUBIC))
        crops.append(aligner.align(picture).crop.astype(float))
    assert np.abs(crops[0] - crops[1]).mean() < 12


def test_an_image_without_a_face_gives_its_central_square(aligner):
    picture = coffee()[:300, :400]
    aligned = aligner.align(picture)
    assert aligned.face is None
    assert aligned.crop.shape == (224, 224, 3)
    assert abs(aligned.crop.mean() - picture[:, 50:350].mean()) < 2


def test_tta_views_are_three_zooms_and_their_mirror_images(aligner):
    crop = aligner.align(astronaut()).crop
    seen = tta_views(crop)
    assert seen.shape == (6, 224, 224, 3)
    np.testing.assert_array_equal(seen[0], crop)
    np.testing.assert_array_equal(seen[3:], seen[:3, :, ::-1])
    for view, zoom in zip(seen[1:3], VIEW_ZOOMS[1:], strict=True):
        side = round(224 * zoom)
        edge = (224 - side) // 2
        whole = Image.fromarray(crop).crop((edge, edge, edge + side, edge + side))
        other = np.asarray(whole.resize((224, 224), Image.Resampling.BILINEAR), float)
        assert np.abs(view - other)[20:-20, 20:-20].mean() < 2


def two_faces() -> np.ndarray:
    """A smaller face on the left of a larger one."""
    small = np.asarray(Image.fromarray(astronaut()).resize((384, 384), Image.Resampling.BICUBIC))
    return np.hstack([np.pad(small, ((128, 0), (0, 0), (0, 0))), astronaut()[:, ::-1]])


@pytest.mark.parametrize(
    ("choice", "expected"),
    [("largest", [0]), ("right", [0]), ("0", [0]), ("left", [1]), ("1", [1]), ("all", [0, 1])],
)
@pytest.mark.parametrize("turns", [0, 2])
def test_faces_of_one_picture_are_selected(aligner, choice, expected, turns):
    picture = np.rot90(two_faces(), turns)
    if turns and choice in ("left", "right"):
        expected = [1 - number for number in expected]
    selected = aligner.align_selected(picture, choice)
    assert sorted(selected) == expected
    for number, aligned in selected.items():
        is_left = (aligned.face.centre[0] < 384) != bool(turns)
        assert is_left == (number == 1), "the larger one has number 0"
    if 0 in selected:
        np.testing.assert_array_equal(selected[0].crop, aligner.align(picture).crop)


def test_a_face_that_a_picture_lacks_is_refused(aligner):
    for choice, picture in (("7", two_faces()), ("left", astronaut()), ("0", coffee()[:300, :400])):
        with pytest.raises(InputError):
            aligner.align_selected(picture, choice)
    assert list(aligner.align_selected(coffee()[:300, :400], "all")) == [-1]
