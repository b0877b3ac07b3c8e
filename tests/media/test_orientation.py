"""Display matrices of all eight orientations."""

from __future__ import annotations

import numpy as np
import pytest

from vacli.media.orientation import UPRIGHT_AS_STORED, Orientation

PICTURE = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
@pytest.mark.parametrize("mirror", [False, True])
def test_orientations_equal_those_of_numpy(quarters: int, mirror: bool) -> None:
    is_transposed = quarters % 2 == 1
    orientation = {
        0: Orientation(),
        1: Orientation(transpose=True, mirror_y=True),
        2: Orientation(mirror_x=True, mirror_y=True),
        3: Orientation(transpose=True, mirror_x=True),
    }[quarters]
    orientation = Orientation(orientation.transpose, orientation.mirror_x ^ mirror, orientation.mirror_y)
    expected = np.rot90(PICTURE, quarters)
    expected = expected[:, ::-1] if mirror else expected
    np.testing.assert_array_equal(orientation.apply(PICTURE), expected)
    assert orientation.apply(PICTURE).flags.c_contiguous
    assert orientation.size(3, 2) == ((2, 3) if is_transposed else (3, 2))
    assert orientation.mirrored == mirror
    if not mirror:
        assert orientation.rotation_deg == 90 * quarters


def test_an_upright_picture_is_not_copied() -> None:
    assert UPRIGHT_AS_STORED.apply(PICTURE) is PICTURE
