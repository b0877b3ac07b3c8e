from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from synth.faces import portrait

from vacli.faces.resampling import (
    Grid,
    is_interior,
    resample,
    resample_reference,
    warp_affine,
    warp_affine_interior,
    warp_affine_reference,
)
from vacli.faces.roi_detect import MEAN_RGB

MATRICES = {
    "same": [[1, 0, 0], [0, 1, 0]],
    "turned": [[0.9, -0.3, 100], [0.3, 0.9, -20]],
    "enlarged": [[0.4, 0.05, 200], [-0.05, 0.4, 180]],
    "beyond": [[3, 0, -50], [0, 3, -50]],
    "elsewhere": [[1, 0, 9000], [0, 1, 0]],
}


@pytest.mark.parametrize("name", MATRICES)
def test_warp_affine_equals_pillow(name):
    matrix = np.array(MATRICES[name], np.float32)
    out = np.empty((224, 224, 3), np.uint8)
    warp_affine(portrait(), matrix, out)
    flat = tuple(matrix.ravel().tolist())
    picture = Image.fromarray(portrait())
    other = picture.transform(out.shape[:2], Image.Transform.AFFINE, flat, Image.Resampling.BILINEAR)
    seen = _inside(matrix, portrait().shape[1::-1])
    difference = np.abs(np.asarray(other).astype(int) - out)
    assert difference[seen].max(initial=0) <= 1  # Pillow truncates
    assert out[~_inside(matrix, portrait().shape[1::-1], margin=-0.01)].max(initial=0) == 0


def _inside(matrix: np.ndarray, size: tuple[int, int], margin: float = 0.01) -> np.ndarray:
    """Return which of 224 x 224 output pixels sample at least `margin` px inside the picture."""
    y, x = np.mgrid[:224, :224] + 0.5
    seen = np.moveaxis(matrix @ np.stack([x, y, np.ones_like(x)]).reshape(3, -1), 0, 1).reshape(224, 224, 2)
    return ((seen >= margin) & (seen <= np.array(size) - margin)).all(-1)


@pytest.mark.parametrize("name", MATRICES)
def test_warp_affine_equals_the_reference(name):
    matrix = np.array(MATRICES[name], np.float32)
    out = np.empty((224, 224, 3), np.uint8)
    warp_affine(portrait(), matrix, out)
    difference = np.abs(out.astype(int) - warp_affine_reference(portrait(), matrix, 224))
    assert difference.max() <= 1
    assert difference.mean() < 0.01


@pytest.mark.parametrize("corner", [(100.3, 80.7), (-60.0, -33.5), (400.2, 420.9), (-900.0, 3.0)])
@pytest.mark.parametrize("step", [0.4, 1.0, 1.37, 4.2])
@pytest.mark.parametrize("blue_first", [False, True])
def test_resample_equals_the_reference(corner, step, blue_first):
    grid = Grid(*corner, step, 40, 56)
    fast = resample(portrait(), grid, MEAN_RGB, blue_first)
    np.testing.assert_allclose(fast, resample_reference(portrait(), grid, MEAN_RGB, blue_first), atol=0.02)


@pytest.mark.parametrize("name", ["same", "enlarged", "turned inside"])
def test_warp_affine_interior_equals_warp_affine(name):
    matrix = np.array((MATRICES | {"turned inside": [[0.9, -0.3, 150], [0.3, 0.9, 40]]})[name], np.float32)
    matrix[:, 2] += 1.37
    assert is_interior(matrix, 224, *portrait().shape[1::-1])
    anywhere, within = np.empty((2, 224, 224, 3), np.uint8)
    warp_affine(portrait(), matrix, anywhere)
    warp_affine_interior(portrait(), matrix, within)
    difference = np.abs(anywhere.astype(int) - within)
    assert difference.max() <= 1
    assert difference.mean() < 0.05


@pytest.mark.parametrize(
    ("shift", "expected"),
    [((0.5, 0.5), True), ((-0.5, 9), False), ((9, -0.5), False), ((287, 287), True), ((288, 9), False)],
)
def test_a_crop_is_interior_if_all_neighbours_are_in_the_picture(shift, expected):
    matrix = np.column_stack([np.eye(2), shift]).astype(np.float32)
    assert is_interior(matrix, 224, *portrait().shape[1::-1]) is expected


def pillow_square(corner: tuple[float, float], side: float, mean: np.ndarray) -> np.ndarray:
    """Resample a square of the portrait to 96 x 96 x 3, with the mean around the picture."""
    wide = Image.new("RGB", (1512, 1512), tuple(mean.astype(int).tolist()))
    wide.paste(Image.fromarray(portrait()), (500, 500))
    box = tuple(float(edge) + 500 for edge in (*corner, *np.add(corner, side)))
    return np.asarray(wide.resize((96, 96), Image.Resampling.BILINEAR, box=box), np.float32)


@pytest.mark.parametrize("corner", [(100.3, 80.7), (-60.0, -33.5), (400.2, 420.9), (100.0, -30.0)])
@pytest.mark.parametrize("side", [40.0, 96.0, 133.3, 400.0])
def test_resample_equals_pillow(corner, side):
    planes = resample(portrait(), Grid(*corner, side / 96, 96, 96), MEAN_RGB)
    other = pillow_square(corner, side, MEAN_RGB)
    assert np.abs(planes.transpose(1, 2, 0) + MEAN_RGB - other).max() <= 1.01  # Pillow rounds


def test_channels_can_be_reversed():
    grid = Grid(3.2, 4.1, 1.3, 20, 30)
    planes = resample(portrait(), grid, MEAN_RGB)
    np.testing.assert_array_equal(resample(portrait(), grid, MEAN_RGB, blue_first=True), planes[::-1])


def test_a_square_outside_the_picture_is_zero():
    for corner in ((-900, 0), (0, -900), (9000, 0), (0, 9000)):
        assert np.abs(resample(portrait(), Grid(*corner, 1.0, 32, 32), MEAN_RGB)).max() == 0


def test_read_only_pictures_are_accepted():
    fixed = portrait().copy()
    fixed.flags.writeable = False
    out = np.empty((224, 224, 3), np.uint8)
    warp_affine(fixed, np.array(MATRICES["same"], np.float32), out)
    assert np.array_equal(out, fixed[:224, :224])


def test_non_contiguous_pictures_are_accepted():
    part = portrait()[10:200, 30:220]
    there = resample(part, Grid(3, 4, 1.2, 50, 60), MEAN_RGB)
    np.testing.assert_array_equal(there, resample(part.copy(), Grid(3, 4, 1.2, 50, 60), MEAN_RGB))
