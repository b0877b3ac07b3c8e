"""A small synthetic Aff-Wild2: its folders and irregularities, and features with a planted signal.

No real data are used. Each video has two smooth hidden signals, one that the visual
feature shows and one that the audio feature shows. Valence and arousal follow both, `lag_frames` later,
as with annotators, so a model needs temporal context, and both streams are better than one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from synth.stores import add_video, put_feature, put_labels

from vacli.features.flags import MISSING
from vacli.recipe.schema import Model, Stream
from vacli.sequences.base import FeatureSequence
from vacli.store.writer import Store

VISUAL_DIM, AUDIO_DIM = 6, 4
RATE_HZ = 25.0
EXPRESSIONS = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other"
ACTION_UNITS = "AU1,AU2,AU4,AU6,AU7,AU10,AU12,AU15,AU23,AU24,AU25,AU26"
TWO_PEOPLE = ("video59", "video59_right", "duo_left", "duo_right")
VISUAL, AUDIO = "face", "sound-a"  # feature names


def model_streams() -> tuple[Stream, ...]:
    """The streams of a recipe.Model that reads these features."""
    return (
        Stream(name="visual", features=(VISUAL,), dim=VISUAL_DIM),
        Stream(name="audio", features=(AUDIO,), dim=AUDIO_DIM),
    )


@dataclass(frozen=True, kw_only=True)
class World:
    """noise: of each feature column, the planted signal having variance 1.

    mood: share of a signal's variance that lasts for the whole video. redundant: both streams show both
    signals, so that one stream is enough.
    """

    videos: int = 12
    frames: int = 400
    seed: int = 0
    lag_frames: int = 10
    noise: float = 0.5
    mood: float = 0.0
    redundant: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class Trial:
    """One person in one video. labels: (N, 2) with NaN; expression: (N,) with -1; visual has NaN rows."""

    name: str
    split: str
    visual: np.ndarray
    audio: np.ndarray
    labels: np.ndarray
    expression: np.ndarray

    def sequence(self) -> FeatureSequence:
        """The trial as a sequence of features."""
        return FeatureSequence(
            video=self.name,
            times_s=np.arange(len(self.labels)) / RATE_HZ,
            streams={"visual": self.visual, "audio": self.audio},
            labels=self.labels,
            split=self.split,
        )


def make(world: World = World()) -> list[Trial]:
    """Trials of different lengths: three quarters train, the rest validation; four of them share videos."""
    names = [*TWO_PEOPLE, *(f"{i}-30-1280x720" for i in range(world.videos - len(TWO_PEOPLE)))]
    rng = np.random.default_rng(world.seed)
    mixing = rng.normal(size=(2, max(VISUAL_DIM, AUDIO_DIM)))
    return [
        _trial(name, "validation" if i >= 0.75 * world.videos else "train", world, mixing, rng)
        for i, name in enumerate(names[: world.videos])
    ]


def _smooth(count: int, memory: int, rng: np.random.Generator) -> np.ndarray:
    """A signal of variance 1 with a correlation length of about `memory` frames."""
    noise = rng.normal(size=count + 4 * memory)
    window = np.hanning(2 * memory + 1)
    whole = np.convolve(noise, window / np.sqrt((window**2).sum()), mode="same")
    return whole[2 * memory : -2 * memory]


def _signal(count: int, mood: float, rng: np.random.Generator) -> np.ndarray:
    """A signal of variance 1 with a short and a long correlation length."""
    quick = _smooth(count, 15, rng)
    return np.sqrt(1 - mood) * quick + np.sqrt(mood) * _smooth(count, 450, rng) if mood else quick


def _trial(name: str, split: str, world: World, mixing: np.ndarray, rng: np.random.Generator) -> Trial:
    count = world.frames + int(rng.integers(-world.frames // 4, world.frames // 4))
    lag = world.lag_frames
    shown, heard = (_signal(count + lag, world.mood, rng) for _ in range(2))
    labels = np.column_stack([0.8 * shown + 0.5 * heard, 0.5 * shown - 0.8 * heard])[:count]
    labels = np.tanh(0.6 * labels).astype(np.float32)
    features = {}
    for row, (stream, dim, signal) in enumerate((("visual", VISUAL_DIM, shown), ("audio", AUDIO_DIM, heard))):
        planted = signal[lag:, None] * mixing[row, :dim]
        if world.redundant:
            both = np.random.default_rng([world.seed, row]).normal(size=(2, dim)) / np.sqrt(2)
            planted = np.column_stack([shown, heard])[lag:] @ both
        features[stream] = (planted + world.noise * rng.normal(size=(count, dim)) + 3.0).astype(np.float32)
    gap = int(rng.integers(0, count - 20))
    features["visual"][gap : gap + 12] = np.nan
    labels[gap + 2 : gap + 8] = np.nan
    expression = np.where(labels[:, 0] > 0.2, 4, np.where(labels[:, 0] < -0.2, 5, 0))
    return Trial(name=name, split=split, labels=labels, expression=expression, **features)


def write_store(path: Path, trials: list[Trial], *, labels: bool = True) -> Store:
    """A store with both features and, if `labels`, the labels."""
    store = Store.open_or_create(path)
    for trial in trials:
        add_video(store, trial.name, len(trial.labels), RATE_HZ)
        for name, values in ((VISUAL, trial.visual), (AUDIO, trial.audio)):
            missing = np.isnan(values).any(axis=1)
            put_feature(store, trial.name, name, values, np.where(missing, MISSING, 0).astype(np.uint8))
        if labels:
            put_labels(store, trial.name, trial.labels, trial.split)
    return store


@dataclass(frozen=True, kw_only=True)
class Edition:
    """Folder names of one edition of the challenge."""

    va: str = "VA_Estimation_Challenge"
    expr: str = "EXPR_Classification_Challenge"
    au: str = "AU_Detection_Challenge"
    train: str = "Train_Set"
    validation: str = "Validation_Set"


EDITIONS = (
    Edition(),
    Edition(expr="EXPR_Recognition_Challenge"),
    Edition(va="VA_Set", expr="EXPR_Set", au="AU_Set", train="Training_Set"),
)


def write_annotations(root: Path, trials: list[Trial], edition: Edition = Edition()) -> None:
    """Annotation files as the organisers publish them: -5 and -1, a hidden file in every folder."""
    for trial in trials:
        split = edition.train if trial.split == "train" else edition.validation
        va = [",".join("-5" if np.isnan(v) else f"{v:.3f}" for v in row) for row in trial.labels]
        units = [",".join("1" if code == 4 else "0" for _ in range(12)) for code in trial.expression]
        for task, header, rows in (
            (edition.va, "valence,arousal", va),
            (edition.expr, EXPRESSIONS, [str(code) for code in trial.expression]),
            (edition.au, ACTION_UNITS, units),
        ):
            folder = root / task / split
            folder.mkdir(parents=True, exist_ok=True)
            (folder / ".DS_Store").write_bytes(b"\x00\x01")
            (folder / f"{trial.name}.txt").write_text("\n".join([header, *rows]) + "\n")


def model() -> Model:
    """A recipe.Model with these streams and no other modules."""
    return Model(streams=model_streams())
