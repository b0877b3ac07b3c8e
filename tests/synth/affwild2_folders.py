"""The folders of a small synthetic Aff-Wild2: videos in batches, aligned crops and annotations.

They have the irregularities of the published set: two people in one video, the same video in two batches,
AVI files, crops that are missing, annotations that are a row longer or shorter than the video, -5, and hidden
files of macOS.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache, partial
from pathlib import Path

import numpy as np
from PIL import Image
from synth import affwild2, clips, faces
from synth.affwild2 import Trial

from vacli.sequences.folds import recording

VIDEOS, CROPS, ANNOTATIONS = "videos", "cropped_aligned", "Third_ABAW_Annotations"
CROP_PX = 112
RATES_HZ = (Fraction(25), Fraction(30), Fraction(30_000, 1001))
TAIL = 8  # frames without a label at the end of `UNLABELLED_END`
LONGER, SHORTER, EXTRA_CROP, UNLABELLED_END, COPIED, AVI = (f"{i}-30-1280x720" for i in range(6))


@dataclass(frozen=True)
class Folders:
    """What was written.

    trials: with the labels of their annotation files, one row for each line. frames: trial -> its rows in a
    store. crops: trial -> its number of crops.
    """

    trials: tuple[Trial, ...]
    frames: dict[str, int]
    crops: dict[str, int]

    def annotated(self, split: str = "") -> dict[str, int]:
        """Trial -> annotated frames that the store has a row for; of one split if it is given."""
        chosen = [t for t in self.trials if split in ("", t.split)]
        return {t.name: int(_is_annotated(t)[: self.frames[t.name]].sum()) for t in chosen}


def write(root: Path, count: int = 12, frames: int = 60) -> Folders:
    """Write the folders of `count` trials with about `frames` frames each."""
    trials = affwild2.make(affwild2.World(videos=count, frames=frames))
    trials = [_with_unlabelled_end(_mostly_neutral(t)) for t in trials]
    lengths = {t.name: len(t.labels) for t in trials}
    recordings = {recording(name): 0 for name in lengths}
    for name in recordings:
        recordings[name] = min(n for trial, n in lengths.items() if recording(trial) == name)
    trials = [_shortened(t, recordings[recording(t.name)]) for t in trials]
    for number, (name, length) in enumerate(recordings.items()):
        _write_video(root / VIDEOS, name, length, number)
    affwild2.write_annotations(root / ANNOTATIONS, [_annotation_of(t) for t in trials])
    made = {t.name: _write_crops(root / CROPS / t.name, t) for t in trials}
    _write_hidden_files(root)
    return Folders(
        trials=tuple(_annotation_of(t) for t in trials),
        frames={t.name: len(t.labels) + (t.name == EXTRA_CROP) for t in trials},
        crops=made,
    )


def video_path(name: str, number: int) -> Path:
    """The path of a recording's video in the folder of videos."""
    return Path(f"batch{1 + number % 2}") / f"{name}{'.avi' if name in (AVI, 'video59') else '.mp4'}"


def _is_annotated(trial: Trial) -> np.ndarray:
    return np.isfinite(trial.labels).all(axis=1)


def _mostly_neutral(trial: Trial) -> Trial:
    """With enough frames of the neutral class for its statistics, in each fold."""
    valence = trial.labels[:, 0]
    return replace(trial, expression=np.where(valence > 0.4, 4, np.where(valence < -0.4, 5, 0)))


def _with_unlabelled_end(trial: Trial) -> Trial:
    """One trial has no labels at its end, too far to interpolate; its expression is neutral there."""
    if trial.name != UNLABELLED_END:
        return trial
    labels, expression = trial.labels.copy(), trial.expression.copy()
    labels[-TAIL:], expression[-TAIL:] = np.nan, 0
    return replace(trial, labels=labels, expression=expression)


def _shortened(trial: Trial, length: int) -> Trial:
    """The first `length` frames, for two people in one video."""
    names = ("visual", "audio", "labels", "expression")
    return replace(trial, **{name: getattr(trial, name)[:length] for name in names})


def _annotation_of(trial: Trial) -> Trial:
    """The trial with the rows of its annotation file: of two files one is longer and one shorter."""
    if trial.name == SHORTER:
        return _shortened(trial, len(trial.labels) - 1)
    if trial.name != LONGER:
        return trial
    labels, expression = (np.concatenate([x, x[-1:]]) for x in (trial.labels, trial.expression))
    return replace(trial, labels=labels, expression=expression)


def _write_video(folder: Path, name: str, frames: int, number: int) -> None:
    rate_hz = RATES_HZ[number % len(RATES_HZ)]
    path = folder / video_path(name, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    seconds = float(frames / rate_hz)
    clip = clips.Clip(
        times_s=tuple(float(i / rate_hz) for i in range(frames)),
        size_px=faces.SIZE_PX,
        codec="mpeg4" if path.suffix == ".avi" else "libx264",
        sound_codec="libmp3lame" if path.suffix == ".avi" else "aac",
        sound_spans=((0.0, seconds),),
        tick_s=1 / rate_hz,
        picture=_picture,
        sound=partial(_tone, 110.0 + 15 * number),
    )
    clips.write_clip(path, clip)
    if name == COPIED:
        shutil.copy(path, folder / video_path(name, number + 1))


@cache
def _scene(step: int) -> np.ndarray:
    return faces.scene((140 + 4 * step, 120))


def _picture(row: int) -> np.ndarray:
    return _scene(row % 10)


def _tone(pitch_hz: float, times_s: np.ndarray) -> np.ndarray:
    """A harmonic tone with a few syllables a second."""
    tone = sum(np.cos(2 * np.pi * h * pitch_hz * times_s) / h for h in range(1, 20))
    return 0.1 * (1.2 + np.sin(2 * np.pi * 3 * times_s)) * tone


def _write_crops(folder: Path, trial: Trial) -> int:
    """Faces whose colour follows the labels; there is none where the trial has no visual feature."""
    folder.mkdir(parents=True)
    face = Image.fromarray(faces.portrait()[60:180, 165:285]).resize((CROP_PX, CROP_PX))
    colour = 0.5 + 0.5 * np.nan_to_num(trial.labels)
    rows = [i for i, visual in enumerate(trial.visual) if np.isfinite(visual).all()]
    rows += [len(trial.visual)] * (trial.name == EXTRA_CROP)
    for row in rows:
        factors = (*colour[min(row, len(colour) - 1)], 1.0)
        pixels = np.asarray(face) * np.array(factors)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{row + 1:05d}.jpg")
    return len(rows)


def _write_hidden_files(root: Path) -> None:
    """The files that macOS leaves in folders; `write_annotations` has written others."""
    for folder in [path for path in root.rglob("*") if path.is_dir()]:
        (folder / ".DS_Store").write_bytes(b"\x00\x01")
    for path in [path for path in root.rglob("*") if path.suffix in (".txt", ".mp4", ".avi")]:
        path.with_name(f"._{path.name}").write_bytes(b"\x00\x05\x16\x07")
    (root / CROPS / AVI / "._00001.jpg").write_bytes(b"\x00\x05\x16\x07")
