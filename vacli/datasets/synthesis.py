"""Sequences put together from labelled stills and utterances, where no annotated video can be had.

A sequence follows one speaker through utterances and pauses on the sound clock. Over each piece a
face is shown whose labels are near the utterance's; now and then it disagrees, is missing, is lost for a
moment, or nobody speaks: then there is no sound, or sound without speech. Some sequences are but one
utterance, as a sound file brings it. What a frame is labelled with is the mean over the modalities that it
shows; what it shows is remembered for a second, and nothing known for longer is the middle. The labels of
both sources are mapped ones (see `circumplex`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

FADE_FRAMES = 6
HOLD_FRAMES = (15, 50)  # how long one still stands for the face, shortest and longest
PAUSE_FRAMES = (5, 40)
GAP_FRAMES = (3, 40)  # a face lost for a moment
MEMORY_FRAMES = 25  # how long nothing new is no reason to change
DEAF = 0.3  # share of the pauses and silences without any sound, against sound without speech


@dataclass(frozen=True, eq=False)
class Faces:
    """Stills. rows (N, D) float32 of the face feature; labels (N, 2)."""

    rows: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True, eq=False)
class Voice:
    """One utterance.

    features: name -> (T, D) float32 on the sound clock. label: (2,). quiet: frames of silence before and
    after the speech.
    """

    features: Mapping[str, np.ndarray]
    label: np.ndarray
    quiet: tuple[int, int] = (0, 0)

    def __len__(self) -> int:
        return len(next(iter(self.features.values())))


@dataclass(frozen=True, eq=False)
class Composed:
    """One sequence. face (T, D) and voice name -> (T, D) float32, NaN rows where missing; labels (T, 2)."""

    face: np.ndarray
    voice: Mapping[str, np.ndarray]
    labels: np.ndarray


@dataclass(frozen=True)
class Mixture:
    """How often, of all pieces, each thing happens, and how near matching labels are."""

    frames: int = 400
    solo: float = 0.6  # of all sequences: one utterance by itself, without a face
    speechless: float = 0.0  # of those: as much sound without speech, or none, in its place
    cut: bool = False  # the silence around an utterance is made shorter, by chance
    disagree: float = 0.1
    no_face: float = 0.25
    no_voice: float = 0.2
    pause: float = 0.5
    gap: float = 0.3
    near: float = 0.25
    noise: float = 0.1  # of a face column's spread, per frame


UTTERANCES = Mixture(solo=1.0, speechless=0.05, pause=0.0, cut=True)


@dataclass(frozen=True, eq=False)
class Material:
    """What sequences are made of. backgrounds: sounds without speech, whose labels do not count; chances:
    the probability of each voice, all equal where it is None."""

    faces: Faces
    voices: Sequence[Voice]
    backgrounds: Sequence[Voice] = ()
    chances: np.ndarray | None = None


def compose(material: Material, mixture: Mixture, rng: np.random.Generator) -> Composed:
    """One sequence of about `mixture.frames` frames; equal generators give equal sequences."""
    pieces = _solo(material, mixture, rng) if rng.random() < mixture.solo else _scene(material, mixture, rng)
    names = pieces[0].voice
    return Composed(
        face=np.concatenate([p.face for p in pieces]),
        voice={name: np.concatenate([p.voice[name] for p in pieces]) for name in names},
        labels=_middle_after_a_while(np.concatenate([p.labels for p in pieces])),
    )


def _scene(material: Material, mixture: Mixture, rng: np.random.Generator) -> list[Composed]:
    """Pieces one after the other, of about `mixture.frames` frames together."""
    pieces: list[Composed] = []
    while sum(len(piece.labels) for piece in pieces) < mixture.frames:
        pieces.append(_piece(material, mixture, rng))
    return pieces


def _solo(material: Material, mixture: Mixture, rng: np.random.Generator) -> list[Composed]:
    """One utterance without anything before it, as a sound file brings it, or sound without speech."""
    piece = _piece(material, replace(mixture, no_face=1.0), rng)
    if rng.random() < mixture.speechless:
        sound = _unspoken(material, material.voices[0], len(piece.labels), rng)
        piece = replace(piece, voice=sound, labels=np.full_like(piece.labels, np.nan))
    return [piece]


def _cut(voice: Voice, rng: np.random.Generator) -> Voice:
    """The utterance with some of the silence around it: corpora differ in how much they have."""
    before, after = (int(rng.integers(quiet + 1)) for quiet in voice.quiet)
    kept = slice(before, len(voice) - after)
    return replace(voice, features={name: x[kept] for name, x in voice.features.items()}, quiet=(0, 0))


def _piece(material: Material, mixture: Mixture, rng: np.random.Generator) -> Composed:
    """An utterance, perhaps a pause after it, under a face."""
    voice = material.voices[rng.choice(len(material.voices), p=material.chances)]
    voice = _cut(voice, rng) if mixture.cut else voice
    pause = int(rng.integers(*PAUSE_FRAMES)) if rng.random() < mixture.pause else 0
    length = len(voice) + pause
    unspoken = _unspoken(material, voice, pause, rng)
    sound = {name: np.concatenate([x, unspoken[name]]) for name, x in voice.features.items()}
    said = np.repeat(voice.label[np.newaxis], length, axis=0).astype(np.float32)
    said[len(voice) :] = np.nan
    target = rng.uniform([-1, -1], [1, 1]) if rng.random() < mixture.disagree else voice.label
    face, shown = _face_track(material.faces, target, length, mixture, rng)
    dropped = rng.random()
    if dropped < mixture.no_face:
        face[:], shown[:] = np.nan, np.nan
    elif dropped < mixture.no_face + mixture.no_voice:
        said[:] = np.nan
        sound = _unspoken(material, voice, length, rng)
    elif rng.random() < mixture.gap:
        start = int(rng.integers(length))
        face[start : start + int(rng.integers(*GAP_FRAMES))] = np.nan
    return Composed(face, sound, _mean_of_known(said, shown))


def _unspoken(
    material: Material, voice: Voice, length: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Features of `length` frames without speech: of no sound at all (NaN), or of some background."""
    if not material.backgrounds or rng.random() < DEAF:
        return {name: np.full((length, x.shape[1]), np.nan, np.float32) for name, x in voice.features.items()}
    background = material.backgrounds[rng.integers(len(material.backgrounds))]
    rows = (int(rng.integers(len(background))) + np.arange(length)) % len(background)
    return {name: x[rows] for name, x in background.features.items()}


def _middle_after_a_while(labels: np.ndarray) -> np.ndarray:
    """Labels (T, 2) with 0 where nothing has been known for MEMORY_FRAMES."""
    known = np.isfinite(labels).all(axis=1)
    frames = np.arange(len(labels))
    last = np.maximum.accumulate(np.where(known, frames, -MEMORY_FRAMES))
    return np.where((frames - last >= MEMORY_FRAMES)[:, np.newaxis], np.float32(0), labels)


def _face_track(
    faces: Faces, target: np.ndarray, length: int, mixture: Mixture, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Stills near `target`, held and cross-faded. Returns rows (T, D) and labels (T, 2)."""
    near = _nearby(faces.labels, target, mixture.near)
    weight = np.zeros((length, 0), np.float32)
    chosen, start = [], 0
    while start < length:
        hold = int(rng.integers(*HOLD_FRAMES))
        ramp = np.clip((np.arange(length) - start) / FADE_FRAMES, 0, 1).astype(np.float32)
        weight = np.column_stack([weight * (1 - ramp)[:, np.newaxis], ramp if chosen else np.ones(length)])
        chosen.append(int(rng.choice(near)))
        start += hold
    spread = faces.rows.std(axis=0) * mixture.noise
    rows = weight @ faces.rows[chosen] + rng.normal(size=(length, faces.rows.shape[1])) * spread
    return rows.astype(np.float32), (weight @ faces.labels[chosen]).astype(np.float32)


def _nearby(labels: np.ndarray, target: np.ndarray, radius: float) -> np.ndarray:
    """Indices of labels within `radius` of the target, at least the 20 nearest."""
    distance = np.linalg.norm(labels - target, axis=1)
    within = np.flatnonzero(distance < radius)
    return within if len(within) >= 20 else np.argsort(distance)[:20]


def _mean_of_known(*labels: np.ndarray) -> np.ndarray:
    """Mean over the modalities that say something; NaN where none does."""
    stacked = np.stack(labels)
    known = ~np.isnan(stacked)
    total = np.where(known, stacked, 0).sum(axis=0)
    return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan).astype(np.float32)
