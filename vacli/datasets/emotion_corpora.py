"""Corpora with emotion categories, mapped to valence and arousal: FER+ faces, RAVDESS and EmoDB speech.

FER+: Barsoum et al., ICMI 2016, arXiv 1608.01041. RAVDESS: Livingstone and Russo, PLoS ONE 13(5),
2018. EmoDB: Burkhardt et al., Interspeech 2005. `circumplex` maps their categories to points.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vacli.circumplex import EMOTION_VA, EMOTIONS, NORMAL_INTENSITY, point
from vacli.errors import InputError, LabelError

LEAST_VOTES = 8  # images with fewer votes for the eight emotions are left out
FER_SPLITS = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
RAVDESS_EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happiness",
    "04": "sadness",
    "05": "anger",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
}
EMODB_EMOTIONS = {
    "W": "anger",
    "L": "boredom",
    "E": "disgust",
    "A": "fear",
    "F": "happiness",
    "T": "sadness",
    "N": "neutral",
}


@dataclass(frozen=True, eq=False)
class FaceImages:
    """One split of FER+.

    images: (N, 48, 48) uint8 grey. votes: (N, 8) shares of the eight emotions. labels: (N, 2) float32 mapped
    valence and arousal.
    """

    split: str
    images: np.ndarray
    votes: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Utterance:
    """One recording of acted speech with its mapped valence and arousal.

    A recording without a speaker has no speech; its valence and arousal are 0.
    """

    path: Path
    speaker: str
    valence: float
    arousal: float


def read_ferplus(path: Path) -> Iterator[FaceImages]:
    """The splits of a FER+ archive (npz: images, votes, usage); raises InputError for other files."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            images, votes, usage = archive["images"], archive["votes"], archive["usage"]
    except (OSError, KeyError, ValueError) as error:
        raise InputError(
            f"{path} is not a FER+ archive: {error}", hint="it must be an .npz with images, votes and usage"
        ) from None
    counts = votes[:, : len(EMOTIONS)].astype(np.float64)
    kept = counts.sum(1) >= LEAST_VOTES
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    labels = shares @ np.asarray(EMOTION_VA)
    for name, split in FER_SPLITS.items():
        rows = kept & (usage == name)
        if rows.any():
            yield FaceImages(
                split, images[rows], shares[rows].astype(np.float32), labels[rows].astype(np.float32)
            )


def read_ravdess(folder: Path) -> list[Utterance]:
    """Utterances of RAVDESS. File names: modality-channel-emotion-intensity-statement-repetition-actor."""
    return [_ravdess(path) for path in _sounds(folder)]


def read_emodb(folder: Path) -> list[Utterance]:
    """Utterances of EmoDB. File names: speaker (2), text (3), emotion letter, version."""
    return [_emodb(path) for path in _sounds(folder)]


def read_background(folder: Path) -> list[Utterance]:
    """Sounds without speech."""
    return [Utterance(path, "", 0.0, 0.0) for path in _sounds(folder)]


def _ravdess(path: Path) -> Utterance:
    fields = path.stem.split("-")
    if len(fields) != 7 or fields[2] not in RAVDESS_EMOTIONS:
        raise LabelError(f"{path} does not have a file name of RAVDESS", hint="expected 03-01-05-01-...")
    strength = 1.0 if fields[3] == "02" else NORMAL_INTENSITY
    return Utterance(path, f"ravdess-{fields[6]}", *point(RAVDESS_EMOTIONS[fields[2]], strength))


def _emodb(path: Path) -> Utterance:
    letter = path.stem[5:6]
    if letter not in EMODB_EMOTIONS:
        raise LabelError(f"{path} does not have a file name of EmoDB", hint="expected 03a01Fa")
    return Utterance(path, f"emodb-{path.stem[:2]}", *point(EMODB_EMOTIONS[letter]))


def _sounds(folder: Path) -> list[Path]:
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".flac", ".wav"))
    if not found:
        raise InputError(f"no .flac or .wav file below {folder}", hint="name the corpus's own folder")
    return found
