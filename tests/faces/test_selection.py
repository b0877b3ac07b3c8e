from __future__ import annotations

import numpy as np
import pytest

from vacli.errors import InputError, UsageError
from vacli.faces.quality import sharpness
from vacli.faces.selection import Presence, check_choice, chosen

PEOPLE = [Presence(0, 50.0, 300.0), Presence(1, 900.0, 500.0), Presence(2, 700.0, 100.0)]


@pytest.mark.parametrize(
    ("choice", "tracks"),
    [("largest", [1]), ("all", [1, 2, 0]), ("left", [2]), ("right", [1]), ("0", [0])],
)
def test_who_is_wanted(choice, tracks):
    assert chosen(PEOPLE, choice) == tracks


def test_nobody_seen_is_nobody_chosen():
    assert chosen([], "largest") == chosen([], "left") == chosen([], "all") == []


def test_a_person_who_is_not_there_is_an_error():
    with pytest.raises(InputError, match="person 7 was not seen"):
        chosen(PEOPLE, "7")
    with pytest.raises(InputError, match="one person was seen"):
        chosen(PEOPLE[:1], "left")


@pytest.mark.parametrize("choice", ["biggest", "-1", "1.5", ""])
def test_an_unknown_choice_is_a_wrong_usage(choice):
    with pytest.raises(UsageError, match="--face"):
        check_choice(choice)


def test_sharpness_falls_with_blur_and_has_a_known_value():
    step = np.zeros((6, 6, 3), np.uint8)
    step[:, 3:] = 90
    # Laplacian of a step of 90: +90 and -90 in the two columns beside it, 0 in the other two.
    assert sharpness(step) == pytest.approx(90**2 / 2)
    soft = step.copy()
    soft[:, 3] = 45
    assert sharpness(soft) < sharpness(step)
