"""Synthetic sequences: their labels are the mean over the modalities of a frame."""

from __future__ import annotations

import numpy as np
import pytest

from vacli.datasets.synthesis import (
    MEMORY_FRAMES,
    UTTERANCES,
    FaceExamples,
    SourceMaterial,
    SynthesisConfig,
    UtteranceFeatures,
    synthesize,
)


@pytest.fixture
def faces():
    rng = np.random.default_rng(0)
    labels = rng.uniform(-1, 1, (400, 2)).astype(np.float32)
    return FaceExamples(np.concatenate([labels, labels**2], axis=1), labels)


@pytest.fixture
def voices():
    rng = np.random.default_rng(1)
    points = rng.uniform(-0.8, 0.8, (12, 2)).astype(np.float32)
    return [
        UtteranceFeatures({"a": np.tile(p, (30, 1)), "b": np.ones((30, 3), np.float32)}, p) for p in points
    ]


def test_equal_seeds_give_equal_sequences(faces, voices):
    first, again, other = (
        synthesize(
            SourceMaterial(faces, voices), SynthesisConfig(p_single_utterance=0), np.random.default_rng(s)
        )
        for s in (3, 3, 4)
    )
    assert len(first.labels) >= 400
    assert first.face.shape == (len(first.labels), 4)
    assert first.voice["b"].shape == (len(first.labels), 3)
    np.testing.assert_array_equal(first.face, again.face)
    assert first.face.shape != other.face.shape or not np.array_equal(first.face, other.face)


def test_labels_are_the_mean_of_face_and_voice(faces, voices):
    calm = SynthesisConfig(
        p_single_utterance=0,
        p_disagree=0,
        p_no_face=0,
        p_no_voice=0,
        p_pause=0,
        p_face_gap=0,
        face_noise=0,
        frames=2000,
    )
    sequence = synthesize(SourceMaterial(faces, voices), calm, np.random.default_rng(0))
    face, voice = sequence.face[:, :2], sequence.voice["a"]
    np.testing.assert_allclose(sequence.labels, (face + voice) / 2, atol=1e-5)
    assert np.abs(face - voice).max() < 2 * calm.label_radius + 0.05


def test_labels_are_those_of_the_present_modality(faces, voices):
    sequence = synthesize(
        SourceMaterial(faces, voices),
        SynthesisConfig(
            p_single_utterance=0,
            p_no_face=0.5,
            p_no_voice=0.5,
            p_pause=0,
            p_face_gap=0,
            face_noise=0,
            frames=3000,
        ),
        np.random.default_rng(0),
    )
    no_face, no_voice = np.isnan(sequence.face[:, 0]), np.isnan(sequence.voice["a"][:, 0])
    assert no_face.any()
    assert no_voice.any()
    assert not (no_face & no_voice).any()
    np.testing.assert_allclose(sequence.labels[no_face], sequence.voice["a"][no_face], atol=1e-6)
    np.testing.assert_allclose(sequence.labels[no_voice], sequence.face[no_voice][:, :2], atol=1e-5)


def test_labels_without_modalities_are_nan_and_later_0(faces, voices):
    config = SynthesisConfig(p_single_utterance=0, p_no_face=1.0, p_no_voice=0.0, p_pause=1.0)
    sequence = synthesize(SourceMaterial(faces, voices), config, np.random.default_rng(0))
    silent = np.isnan(sequence.voice["a"][:, 0])
    assert silent.any()
    assert np.isfinite(sequence.labels[~silent]).all()
    since = np.zeros(len(silent), int)
    for frame in range(1, len(silent)):
        since[frame] = since[frame - 1] + 1 if silent[frame] else 0
    assert np.isnan(sequence.labels[silent & (since < MEMORY_FRAMES)]).all()
    assert not sequence.labels[since >= MEMORY_FRAMES].any()


def test_labels_continue_through_gaps_of_the_face(faces, voices):
    config = SynthesisConfig(
        p_single_utterance=0,
        p_disagree=0,
        p_no_face=0,
        p_no_voice=0,
        p_pause=0,
        p_face_gap=1.0,
        face_noise=0,
        frames=2000,
    )
    sequence = synthesize(SourceMaterial(faces, voices), config, np.random.default_rng(0))
    lost = np.isnan(sequence.face[:, 0])
    assert 0.1 < lost.mean() < 0.9
    assert np.isfinite(sequence.labels[lost]).all()
    assert np.abs(sequence.labels[lost] - sequence.voice["a"][lost]).max() > 0.01  # with the face


def test_silence_is_missing_audio_or_background(faces, voices):
    noise = UtteranceFeatures(
        {"a": np.full((7, 2), 5, np.float32), "b": np.ones((7, 3), np.float32)}, np.zeros(2)
    )
    config = SynthesisConfig(p_single_utterance=0, p_no_face=0, p_no_voice=1.0, frames=4000)
    sequence = synthesize(SourceMaterial(faces, voices, [noise]), config, np.random.default_rng(0))
    first = sequence.voice["a"][:, 0]
    assert set(np.unique(first[np.isfinite(first)])) == {5.0}
    assert 0.05 < np.isnan(first).mean() < 0.6
    np.testing.assert_array_equal(np.isnan(first), np.isnan(sequence.voice["b"][:, 0]))


def test_single_utterance_has_no_face(faces, voices):
    sequence = synthesize(
        SourceMaterial(faces, voices),
        SynthesisConfig(p_single_utterance=1, p_pause=0, p_no_voice=0),
        np.random.default_rng(0),
    )
    assert len(sequence.labels) == 30
    assert np.isnan(sequence.face).all()
    np.testing.assert_array_equal(sequence.labels, sequence.voice["a"])


def test_utterances_are_drawn_by_their_sampling_weights(faces, voices):
    weights = np.zeros(len(voices))
    weights[[2, 5]] = 0.25, 0.75
    material = SourceMaterial(faces, voices, sampling_weights=weights)
    config = SynthesisConfig(p_single_utterance=1, p_pause=0, p_no_voice=0)
    rows = [synthesize(material, config, np.random.default_rng(n)).voice["a"][0] for n in range(80)]
    third = [np.array_equal(row, voices[2].label) for row in rows]
    sixth = [np.array_equal(row, voices[5].label) for row in rows]
    assert sum(third) + sum(sixth) == 80
    assert 10 <= sum(third) <= 30


def test_utterances_include_non_speech_with_label_0(faces, voices):
    noise = UtteranceFeatures(
        {"a": np.full((7, 2), 5, np.float32), "b": np.ones((7, 3), np.float32)}, np.zeros(2)
    )
    material = SourceMaterial(faces, voices, [noise])
    sequence = [synthesize(material, UTTERANCES, np.random.default_rng(n)) for n in range(200)]
    assert all(np.isnan(one.face).all() for one in sequence)
    assert {len(one.labels) for one in sequence} == {30}  # no pause follows
    non_speech = [one for one in sequence if np.isnan(first := one.voice["a"][0, 0]) or first == 5]
    assert 4 <= len(non_speech) <= 18
    assert not any(one.labels.any() for one in non_speech)


def test_trimming_shortens_silence_and_keeps_speech(faces):
    steps = np.arange(30, dtype=np.float32)
    voice = UtteranceFeatures(
        {"a": np.tile(steps[:, np.newaxis], (1, 2))}, np.zeros(2), silence_frames=(8, 5)
    )
    config = SynthesisConfig(p_single_utterance=1, p_pause=0, p_no_voice=0, trim_silence=True)
    sequence = [
        synthesize(SourceMaterial(faces, [voice]), config, np.random.default_rng(n)).voice["a"][:, 0]
        for n in range(60)
    ]
    assert {int(rows[0]) for rows in sequence} == set(range(9))
    assert {int(rows[-1]) for rows in sequence} == set(range(24, 30))
    assert all((np.diff(rows) == 1).all() for rows in sequence)
