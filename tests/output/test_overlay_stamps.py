"""Shapes and texts that are blended into planes."""

from __future__ import annotations

import numpy as np
import pytest

from vacli.media.yuv import Planes
from vacli.output.overlay.stamps import (
    Layer,
    Stamp,
    Trail,
    ellipse_stamp,
    fill,
    frame_box,
    put_tile,
    ringed_dot,
    text_tile,
)

COLOUR, GROUND = (200, 60, 220), (40, 128, 128)


def ground(width: int = 40, height: int = 30) -> Planes:
    return Planes.filled(width, height, GROUND)


def blended(alpha: np.ndarray, x: int, y: int, target: Planes) -> list[np.ndarray]:
    """The slow reference: an alpha plane of the whole size, and half of it for chroma."""
    height, width = target.y.shape
    whole = np.zeros((height + 200, width + 200))
    whole[y + 100 : y + 100 + alpha.shape[0], x + 100 : x + 100 + alpha.shape[1]] = alpha
    whole = whole[100 : 100 + height, 100 : 100 + width]
    half = whole.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
    weights = (whole, half, half)
    return [w * c + (1 - w) * g for w, c, g in zip(weights, COLOUR, GROUND, strict=True)]


@pytest.mark.parametrize("place", [(4, 6), (5, 6), (4, 7), (5, 7), (-3, -2), (36, 27), (-5, 20), (60, 4)])
def test_a_stamp_is_blended_as_by_the_reference(place):
    alpha = np.random.default_rng(0).uniform(0, 1, (9, 11))
    target = ground()
    expected = blended(alpha, *place, target)
    Stamp(Layer(alpha, COLOUR)).draw(target, *place)
    for plane, reference in zip((target.y, target.u, target.v), expected, strict=True):
        np.testing.assert_allclose(plane, reference, atol=1.6)


def test_an_upper_layer_hides_the_lower_one():
    target = ground()
    lower, upper = Layer(np.ones((8, 8)), (20, 90, 90)), Layer(np.pad(np.ones((4, 4)), 2), COLOUR)
    Stamp(lower, upper).draw(target, 10, 10)
    assert target.y[13, 13] == COLOUR[0]
    assert target.y[10, 10] == 20
    assert (int(target.u[7, 7]), int(target.v[7, 7])) == COLOUR[1:]


def test_a_ringed_dot_has_the_ring_outside():
    target = ground()
    dot = ringed_dot(8, 2, COLOUR, (235, 128, 128))
    dot.draw(target, 10, 10)
    assert target.y[16, 16] == COLOUR[0]
    assert target.y[16, 10] > 200


def test_an_ellipse_is_faint_inside_and_stronger_at_its_edge():
    target = ground()
    ellipse_stamp(20, 10, COLOUR).draw(target, 10, 10)
    assert GROUND[0] < target.y[15, 20] < target.y[15, 10] < COLOUR[0]
    assert target.y[11, 11] == GROUND[0]


def test_a_trail_becomes_stronger_towards_its_last_dot():
    target = ground()
    points = np.array([[6, 6], [20, 6], [34, 6]])
    Trail(4, COLOUR, np.linspace(0.2, 0.8, 3)).draw(target, points)
    values = [int(target.y[6, x]) for x in (6, 20, 34)]
    assert GROUND[0] < values[0] < values[1] < values[2] < COLOUR[0]
    assert target.y[20].max() == GROUND[0]


def test_a_short_trail_has_the_last_opacities():
    whole, short = ground(), ground()
    trail = Trail(4, COLOUR, np.linspace(0.2, 0.8, 3))
    trail.draw(whole, np.array([[6, 6], [6, 16], [34, 6]]))
    trail.draw(short, np.array([[34, 6]]))
    assert whole.y[6, 34] == short.y[6, 34]


def test_dots_at_the_corners_stay_within_the_plane():
    target = ground()
    Trail(6, COLOUR, np.ones(2)).draw(target, np.array([[0, 0], [39, 29]]))
    assert target.y[0, 0] == target.y[29, 39] == COLOUR[0]
    assert target.y[15].max() == GROUND[0]


def test_a_text_has_its_colour_on_its_ground():
    tile = text_tile("face 0", 20, COLOUR, GROUND)
    assert tile.y.max() == pytest.approx(COLOUR[0], abs=2)
    assert tile.y.min() == GROUND[0]
    assert not any(size % 2 for size in tile.y.shape)


def test_tiles_are_cut_off_at_the_edges():
    target, tile = ground(), Planes.filled(10, 10, COLOUR)
    put_tile(target, tile, 34, 25)
    put_tile(target, tile, 100, 0)
    put_tile(target, tile, -5, -5)
    assert (target.y == COLOUR[0]).sum() == 6 * 6 + 10 * 10


def test_a_box_has_edges_of_its_colour_and_an_empty_inside():
    target = ground()
    frame_box(target, (6, 4, 30, 24), 2, COLOUR)
    assert (target.y[4:6, 6:30] == COLOUR[0]).all()
    assert (target.y[4:24, 28:30] == COLOUR[0]).all()
    assert (target.y[6:22, 8:28] == GROUND[0]).all()
    assert (target.y[:4] == GROUND[0]).all()
    assert target.u[2, 3] == COLOUR[1]


@pytest.mark.parametrize("box", [(-20, -20, 10, 10), (30, 20, 90, 90), (-5, -5, 100, 100), (50, 50, 60, 60)])
def test_boxes_outside_are_cut_off(box):
    target = ground()
    frame_box(target, box, 2, COLOUR)
    assert target.y.shape == (30, 40)
    fill(target, *box, COLOUR)
    left, top, right, bottom = box
    inside = (max(min(right, 40) - max(left, 0), 0) // 2) * (max(min(bottom, 30) - max(top, 0), 0) // 2)
    assert (target.u == COLOUR[1]).sum() == inside
