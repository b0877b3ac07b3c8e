from __future__ import annotations

import numpy as np
from synth.faces import portrait, somebody_else

from vacli.faces.appearance import KNOWN_LOOK, Looks, look
from vacli.faces.detect import Detection
from vacli.faces.identity import MEMORY_S, People, without_repeats
from vacli.faces.shot_boundary import CutFinder

ANNA, BERT = look(portrait()), look(somebody_else())


def face(x: float, side: float = 50.0) -> Detection:
    return Detection(np.float32([x, 0, x + side, side]), 0.99, np.zeros((5, 2), np.float32))


def test_looks_tell_two_people_apart_and_forgive_brightness():
    darker = (portrait() * 0.7).astype(np.uint8)
    assert look(darker) @ ANNA > 0.99
    assert look(darker) @ BERT < 0.5


def test_only_looks_that_are_new_are_kept():
    looks = Looks()
    assert looks.likeness(ANNA) == -1
    for _ in range(20):
        looks.keep(ANNA)
    assert looks.likeness(BERT) < KNOWN_LOOK
    looks.keep(BERT)
    assert min(looks.likeness(BERT), looks.likeness(ANNA)) > 0.999


def test_strangers_get_new_numbers():
    people = People()
    assert [p.track for p in people.recognise([(face(0), ANNA), (face(200), BERT)], [], 0.0)] == [0, 1]


def test_after_a_cut_the_look_decides_and_not_the_place():
    people = People()
    anna, bert = people.recognise([(face(0), ANNA), (face(200), BERT)], [], 0.0)
    people.forget_places()
    assert people.around(0.04) == []
    swapped = people.recognise([(face(0), BERT), (face(200), ANNA)], people.known, 0.04)
    assert swapped == [bert, anna]


def test_a_stranger_in_the_place_of_somebody_is_not_that_person():
    people = People()
    (anna,) = people.recognise([(face(0), ANNA)], [], 0.0)
    (other,) = people.recognise([(face(2), BERT)], [anna], 0.5)
    assert other.track == 1


def test_a_changed_look_is_forgiven_where_the_place_agrees():
    people = People()
    (anna,) = people.recognise([(face(0), ANNA)], [], 0.0)
    similar = ANNA * 0.6 + _across(ANNA) * 0.8
    assert people.recognise([(face(5), similar)], [anna], 0.5) == [anna]
    people.forget_places()
    other = ANNA * 0.6 - _across(ANNA) * 0.8
    assert people.recognise([(face(5), other)], [anna], 0.6) != [anna]


def test_a_place_is_remembered_for_a_while_only():
    people = People()
    (anna,) = people.recognise([(face(0), ANNA)], [], 0.0)
    assert people.around(MEMORY_S) == [anna]
    assert people.around(MEMORY_S + 0.01) == []


def test_repeated_faces_are_dropped():
    first, again, far = face(0), face(4), face(100)
    assert without_repeats([first, again, far]) == [first, far]
    assert without_repeats([again, far], [first]) == [far]


def test_a_change_of_picture_is_a_cut_and_movement_is_none():
    cuts = CutFinder()
    assert cuts.is_cut(portrait())
    assert not cuts.is_cut(np.roll(portrait(), 6, 1))
    assert cuts.is_cut(255 - portrait())
    assert cuts.is_cut(portrait()[:200])


def _across(look: np.ndarray) -> np.ndarray:
    """A unit vector at a right angle to a look."""
    noise = np.random.default_rng(0).normal(size=len(look)).astype(np.float32)
    rest = noise - (noise @ look) * look
    return rest / np.linalg.norm(rest)
