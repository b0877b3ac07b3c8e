"""Display matrices: each of the eight ways to lay a picture down."""

from __future__ import annotations

import numpy as np
import pytest

from vacli.media.orientation import AS_STORED, Turn

PICTURE = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
@pytest.mark.parametrize("mirror", [False, True])
def test_turns_are_those_of_numpy(quarters: int, mirror: bool) -> None:
    swap = quarters % 2 == 1
    turn = {
        0: Turn(),
        1: Turn(swap=True, mirror_y=True),
        2: Turn(mirror_x=True, mirror_y=True),
        3: Turn(swap=True, mirror_x=True),
    }[quarters]
    turn = Turn(turn.swap, turn.mirror_x ^ mirror, turn.mirror_y)
    expected = np.rot90(PICTURE, quarters)
    expected = expected[:, ::-1] if mirror else expected
    np.testing.assert_array_equal(turn.apply(PICTURE), expected)
    assert turn.apply(PICTURE).flags.c_contiguous
    assert turn.size(3, 2) == ((2, 3) if swap else (3, 2))
    assert turn.mirrored == mirror
    if not mirror:
        assert turn.rotation_deg == 90 * quarters


def test_a_picture_as_stored_is_not_copied() -> None:
    assert AS_STORED.apply(PICTURE) is PICTURE
