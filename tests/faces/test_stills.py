"""Single pictures: found at any size, taken whole where there is no face."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut, coffee

from vacli.faces.align import TEMPLATE_224, umeyama
from vacli.faces.stills import Aligner

FACE = (170, 60, 280, 180)  # x0 y0 x1 y1 in the photograph


@pytest.fixture(scope="module")
def aligner():
    return Aligner()


@pytest.mark.parametrize("side", [48, 160, 512, 2000])
def test_a_portrait_is_found_at_any_size(side, aligner):
    portrait = Image.fromarray(astronaut()).crop(FACE)
    picture = np.asarray(portrait.resize((side, round(side * 120 / 110)), Image.Resampling.BICUBIC))
    still = aligner.align(picture)
    assert still.face is not None
    fit = umeyama(still.face.landmarks, TEMPLATE_224)
    points = still.face.landmarks @ fit[:, :2].T + fit[:, 2]
    assert np.abs(points - TEMPLATE_224).max() < 25


def test_crops_of_one_face_agree_between_sizes(aligner):
    crops = []
    for side in (300, 900):
        picture = np.asarray(Image.fromarray(astronaut()).resize((side, side), Image.Resampling.BICUBIC))
        crops.append(aligner.align(picture).crop.astype(float))
    assert np.abs(crops[0] - crops[1]).mean() < 12


def test_a_picture_without_a_face_is_taken_whole(aligner):
    picture = coffee()[:300, :400]
    still = aligner.align(picture)
    assert still.face is None
    assert still.crop.shape == (224, 224, 3)
    assert abs(still.crop.mean() - picture[:, 50:350].mean()) < 2
