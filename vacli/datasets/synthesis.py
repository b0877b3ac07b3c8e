"""Synthetic sequences from labelled face images and utterances, for training without annotated videos.

A sequence follows one speaker through utterances and pauses at the sound clock. Each piece shows face
images whose labels are near the utterance's. With the probabilities of `SynthesisConfig` the face disagrees,
is missing or has a gap, or the piece has no speech: then it has no sound, or background without speech. Some
sequences are a single utterance, as in an audio file. The label of a frame is the mean over its modalities.
A label is valid for a second after its modality has gone; later the label is 0. The labels of both sources
are mapped from categories (see `circumplex`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

FADE_FRAMES = 6
HOLD_FRAMES = (15, 50)  # shortest and longest time that one image is shown
PAUSE_FRAMES = (5, 40)
GAP_FRAMES = (3, 40)  # of a missing face
MEMORY_FRAMES = 25  # how long a label stays valid
P_SILENCE = 0.3  # probability that a pause has no sound; otherwise it has background


@dataclass(frozen=True, eq=False)
class FaceExamples:
    """Labelled face images. rows (N, D) float32 of the face feature; labels (N, 2)."""

    rows: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True, eq=False)
class UtteranceFeatures:
    """One utterance.

    features: name -> (T, D) float32 at the sound clock. label: (2,). silence_frames: frames of silence
    before and after the speech.
    """

    features: Mapping[str, np.ndarray]
    label: np.ndarray
    silence_frames: tuple[int, int] = (0, 0)

    def __len__(self) -> int:
        return len(next(iter(self.features.values())))


@dataclass(frozen=True, eq=False)
class SyntheticSequence:
    """One sequence of T frames.

    face (T, D) and voice name -> (T, D) float32, NaN rows where missing. picture (T,): number of the face
    image that is shown, the more visible one of two; -1 without a face. labels (T, 2).
    """

    face: np.ndarray
    picture: np.ndarray
    voice: Mapping[str, np.ndarray]
    labels: np.ndarray


@dataclass(frozen=True)
class SynthesisConfig:
    """Probabilities (p_) of the properties of a sequence and of its pieces.

    frames: approximate length. p_single_utterance: of a sequence to be one utterance without a face.
    p_non_speech: of such a sequence to have no speech. trim_silence: shorten the silence around an
    utterance by a random amount. label_radius: largest distance in the VA plane between the labels of an
    utterance and of its face images. face_noise: standard deviation of the noise a frame, relative to that
    of the face feature's column.
    """

    frames: int = 400
    p_single_utterance: float = 0.6
    p_non_speech: float = 0.0
    trim_silence: bool = False
    p_disagree: float = 0.1
    p_no_face: float = 0.25
    p_no_voice: float = 0.2
    p_pause: float = 0.5
    p_face_gap: float = 0.3
    label_radius: float = 0.25
    face_noise: float = 0.1


UTTERANCES = SynthesisConfig(p_single_utterance=1.0, p_non_speech=0.05, p_pause=0.0, trim_silence=True)


@dataclass(frozen=True, eq=False)
class SourceMaterial:
    """Face images and utterances that sequences are made from.

    backgrounds: sounds without speech, whose labels are ignored. sampling_weights: (V,) probability of each
    utterance, None for equal ones.
    """

    faces: FaceExamples
    voices: Sequence[UtteranceFeatures]
    backgrounds: Sequence[UtteranceFeatures] = ()
    sampling_weights: np.ndarray | None = None


def synthesize(
    material: SourceMaterial, config: SynthesisConfig, rng: np.random.Generator
) -> SyntheticSequence:
    """One sequence of about `config.frames` frames; equal generators give equal sequences."""
    pieces = (
        _single_utterance(material, config, rng)
        if rng.random() < config.p_single_utterance
        else _scene(material, config, rng)
    )
    names = pieces[0].voice
    return SyntheticSequence(
        face=np.concatenate([p.face for p in pieces]),
        picture=np.concatenate([p.picture for p in pieces]),
        voice={name: np.concatenate([p.voice[name] for p in pieces]) for name in names},
        labels=_zero_after_memory(np.concatenate([p.labels for p in pieces])),
    )


def _scene(
    material: SourceMaterial, config: SynthesisConfig, rng: np.random.Generator
) -> list[SyntheticSequence]:
    """Consecutive pieces of about `config.frames` frames in total."""
    pieces: list[SyntheticSequence] = []
    while sum(len(piece.labels) for piece in pieces) < config.frames:
        pieces.append(_piece(material, config, rng))
    return pieces


def _single_utterance(
    material: SourceMaterial, config: SynthesisConfig, rng: np.random.Generator
) -> list[SyntheticSequence]:
    """One utterance without a face, or background of the same length."""
    piece = _piece(material, replace(config, p_no_face=1.0), rng)
    if rng.random() < config.p_non_speech:
        sound = _non_speech(material, material.voices[0], len(piece.labels), rng)
        piece = replace(piece, voice=sound, labels=np.full_like(piece.labels, np.nan))
    return [piece]


def _trim(voice: UtteranceFeatures, rng: np.random.Generator) -> UtteranceFeatures:
    """The utterance with less silence around it, because corpora differ in its length."""
    before, after = (int(rng.integers(frames + 1)) for frames in voice.silence_frames)
    kept = slice(before, len(voice) - after)
    return replace(
        voice, features={name: x[kept] for name, x in voice.features.items()}, silence_frames=(0, 0)
    )


def _piece(material: SourceMaterial, config: SynthesisConfig, rng: np.random.Generator) -> SyntheticSequence:
    """An utterance with a face, and a pause after it with probability `p_pause`."""
    voice = material.voices[int(rng.choice(len(material.voices), p=material.sampling_weights))]
    voice = _trim(voice, rng) if config.trim_silence else voice
    pause = int(rng.integers(*PAUSE_FRAMES)) if rng.random() < config.p_pause else 0
    length = len(voice) + pause
    non_speech = _non_speech(material, voice, pause, rng)
    sound = {name: np.concatenate([x, non_speech[name]]) for name, x in voice.features.items()}
    voice_labels = np.repeat(voice.label[np.newaxis], length, axis=0).astype(np.float32)
    voice_labels[len(voice) :] = np.nan
    target = rng.uniform([-1, -1], [1, 1]) if rng.random() < config.p_disagree else voice.label
    face, picture, face_labels = _face_track(material.faces, target, length, config, rng)
    draw = rng.random()
    if draw < config.p_no_face:
        face[:], face_labels[:] = np.nan, np.nan
    elif draw < config.p_no_face + config.p_no_voice:
        voice_labels[:] = np.nan
        sound = _non_speech(material, voice, length, rng)
    elif rng.random() < config.p_face_gap:
        start = int(rng.integers(length))
        face[start : start + int(rng.integers(*GAP_FRAMES))] = np.nan
    picture = np.where(np.isnan(face).any(axis=1), -1, picture)
    return SyntheticSequence(face, picture, sound, _mean_of_present(voice_labels, face_labels))


def _non_speech(
    material: SourceMaterial, voice: UtteranceFeatures, length: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Features of `length` frames without speech: NaN (no sound), or those of a background."""
    if not material.backgrounds or rng.random() < P_SILENCE:
        return {name: np.full((length, x.shape[1]), np.nan, np.float32) for name, x in voice.features.items()}
    background = material.backgrounds[int(rng.integers(len(material.backgrounds)))]
    rows = (int(rng.integers(len(background))) + np.arange(length)) % len(background)
    return {name: x[rows] for name, x in background.features.items()}


def _zero_after_memory(labels: np.ndarray) -> np.ndarray:
    """Labels (T, 2) with 0 where they have been missing for MEMORY_FRAMES."""
    known = np.isfinite(labels).all(axis=1)
    frames = np.arange(len(labels))
    last = np.maximum.accumulate(np.where(known, frames, -MEMORY_FRAMES))
    return np.where((frames - last >= MEMORY_FRAMES)[:, np.newaxis], np.float32(0), labels)


def _face_track(
    faces: FaceExamples, target: np.ndarray, length: int, config: SynthesisConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cross-faded face images with labels near `target`: rows (T, D), pictures (T,) and labels (T, 2)."""
    near = _nearby(faces.labels, target, config.label_radius)
    weight = np.zeros((length, 0), np.float32)
    chosen: list[int] = []
    start = 0
    while start < length:
        hold = int(rng.integers(*HOLD_FRAMES))
        ramp = np.clip((np.arange(length) - start) / FADE_FRAMES, 0, 1).astype(np.float32)
        weight = np.column_stack([weight * (1 - ramp)[:, np.newaxis], ramp if chosen else np.ones(length)])
        chosen.append(int(rng.choice(near)))
        start += hold
    noise = faces.rows.std(axis=0) * config.face_noise
    rows = weight @ faces.rows[chosen] + rng.normal(size=(length, faces.rows.shape[1])) * noise
    pictures = np.array(chosen)[weight.argmax(axis=1)]
    return rows.astype(np.float32), pictures, (weight @ faces.labels[chosen]).astype(np.float32)


def _nearby(labels: np.ndarray, target: np.ndarray, radius: float) -> np.ndarray:
    """Indices of labels within `radius` of the target, at least the 20 nearest."""
    distance = np.linalg.norm(labels - target, axis=1)
    within = np.flatnonzero(distance < radius)
    return within if len(within) >= 20 else np.argsort(distance)[:20]


def _mean_of_present(*labels: np.ndarray) -> np.ndarray:
    """Mean over the modalities that are not NaN; NaN where all are."""
    stacked = np.stack(labels)
    known = ~np.isnan(stacked)
    total = np.where(known, stacked, 0).sum(axis=0)
    return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan).astype(np.float32)
