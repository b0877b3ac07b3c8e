"""Composed sequences: labels are the mean of what a frame shows, and nothing depends on chance alone."""

from __future__ import annotations

import numpy as np
import pytest

from vacli.datasets.synthesis import MEMORY_FRAMES, UTTERANCES, Faces, Material, Mixture, Voice, compose


@pytest.fixture
def faces():
    rng = np.random.default_rng(0)
    labels = rng.uniform(-1, 1, (400, 2)).astype(np.float32)
    return Faces(np.concatenate([labels, labels**2], axis=1), labels)


@pytest.fixture
def voices():
    rng = np.random.default_rng(1)
    points = rng.uniform(-0.8, 0.8, (12, 2)).astype(np.float32)
    return [Voice({"a": np.tile(p, (30, 1)), "b": np.ones((30, 3), np.float32)}, p) for p in points]


def test_lengths_agree_and_seeds_repeat(faces, voices):
    first, again, other = (
        compose(Material(faces, voices), Mixture(solo=0), np.random.default_rng(s)) for s in (3, 3, 4)
    )
    assert len(first.labels) >= 400
    assert first.face.shape == (len(first.labels), 4)
    assert first.voice["b"].shape == (len(first.labels), 3)
    np.testing.assert_array_equal(first.face, again.face)
    assert first.face.shape != other.face.shape or not np.array_equal(first.face, other.face)


def test_labels_follow_what_is_shown(faces, voices):
    calm = Mixture(solo=0, disagree=0, no_face=0, no_voice=0, pause=0, gap=0, noise=0, frames=2000)
    made = compose(Material(faces, voices), calm, np.random.default_rng(0))
    face, voice = made.face[:, :2], made.voice["a"]
    np.testing.assert_allclose(made.labels, (face + voice) / 2, atol=1e-5)
    assert np.abs(face - voice).max() < 2 * calm.near + 0.05


def test_missing_modalities_leave_the_other_to_say(faces, voices):
    made = compose(
        Material(faces, voices),
        Mixture(solo=0, no_face=0.5, no_voice=0.5, pause=0, gap=0, noise=0, frames=3000),
        np.random.default_rng(0),
    )
    no_face, no_voice = np.isnan(made.face[:, 0]), np.isnan(made.voice["a"][:, 0])
    assert no_face.any()
    assert no_voice.any()
    assert not (no_face & no_voice).any()
    np.testing.assert_allclose(made.labels[no_face], made.voice["a"][no_face], atol=1e-6)
    np.testing.assert_allclose(made.labels[no_voice], made.face[no_voice][:, :2], atol=1e-5)


def test_where_nothing_is_known_nothing_is_claimed_and_after_a_while_the_middle(faces, voices):
    mixture = Mixture(solo=0, no_face=1.0, no_voice=0.0, pause=1.0)
    made = compose(Material(faces, voices), mixture, np.random.default_rng(0))
    silent = np.isnan(made.voice["a"][:, 0])
    assert silent.any()
    assert np.isfinite(made.labels[~silent]).all()
    since = np.zeros(len(silent), int)
    for frame in range(1, len(silent)):
        since[frame] = since[frame - 1] + 1 if silent[frame] else 0
    assert np.isnan(made.labels[silent & (since < MEMORY_FRAMES)]).all()
    assert not made.labels[since >= MEMORY_FRAMES].any()


def test_a_face_that_is_lost_for_a_moment_is_remembered(faces, voices):
    mixture = Mixture(solo=0, disagree=0, no_face=0, no_voice=0, pause=0, gap=1.0, noise=0, frames=2000)
    made = compose(Material(faces, voices), mixture, np.random.default_rng(0))
    lost = np.isnan(made.face[:, 0])
    assert 0.1 < lost.mean() < 0.9
    assert np.isfinite(made.labels[lost]).all()
    assert np.abs(made.labels[lost] - made.voice["a"][lost]).max() > 0.01  # the face counts on


def test_silence_is_no_sound_or_sound_without_speech(faces, voices):
    noise = Voice({"a": np.full((7, 2), 5, np.float32), "b": np.ones((7, 3), np.float32)}, np.zeros(2))
    mixture = Mixture(solo=0, no_face=0, no_voice=1.0, frames=4000)
    made = compose(Material(faces, voices, [noise]), mixture, np.random.default_rng(0))
    first = made.voice["a"][:, 0]
    assert set(np.unique(first[np.isfinite(first)])) == {5.0}
    assert 0.05 < np.isnan(first).mean() < 0.6
    np.testing.assert_array_equal(np.isnan(first), np.isnan(made.voice["b"][:, 0]))


def test_a_solo_is_one_utterance_without_a_face(faces, voices):
    made = compose(Material(faces, voices), Mixture(solo=1, pause=0, no_voice=0), np.random.default_rng(0))
    assert len(made.labels) == 30
    assert np.isnan(made.face).all()
    np.testing.assert_array_equal(made.labels, made.voice["a"])


def test_voices_come_as_often_as_their_chances_say(faces, voices):
    chances = np.zeros(len(voices))
    chances[[2, 5]] = 0.25, 0.75
    material = Material(faces, voices, chances=chances)
    mixture = Mixture(solo=1, pause=0, no_voice=0)
    said = [compose(material, mixture, np.random.default_rng(n)).voice["a"][0] for n in range(80)]
    third = [np.array_equal(row, voices[2].label) for row in said]
    sixth = [np.array_equal(row, voices[5].label) for row in said]
    assert sum(third) + sum(sixth) == 80
    assert 10 <= sum(third) <= 30


def test_among_utterances_is_sound_without_speech_of_which_nothing_is_known(faces, voices):
    noise = Voice({"a": np.full((7, 2), 5, np.float32), "b": np.ones((7, 3), np.float32)}, np.zeros(2))
    material = Material(faces, voices, [noise])
    made = [compose(material, UTTERANCES, np.random.default_rng(n)) for n in range(200)]
    assert all(np.isnan(one.face).all() for one in made)
    assert {len(one.labels) for one in made} == {30}  # no pause comes after them
    unspoken = [one for one in made if np.isnan(first := one.voice["a"][0, 0]) or first == 5]
    assert 4 <= len(unspoken) <= 18
    assert not any(one.labels.any() for one in unspoken)


def test_the_silence_around_an_utterance_is_made_shorter_and_never_the_speech(faces):
    steps = np.arange(30, dtype=np.float32)
    voice = Voice({"a": np.tile(steps[:, np.newaxis], (1, 2))}, np.zeros(2), quiet=(8, 5))
    mixture = Mixture(solo=1, pause=0, no_voice=0, cut=True)
    made = [
        compose(Material(faces, [voice]), mixture, np.random.default_rng(n)).voice["a"][:, 0]
        for n in range(60)
    ]
    assert {int(said[0]) for said in made} == set(range(9))
    assert {int(said[-1]) for said in made} == set(range(24, 30))
    assert all((np.diff(said) == 1).all() for said in made)
