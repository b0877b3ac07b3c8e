"""A feature store with a planted signal: what face and voice show is what was annotated, a little later.

Valence is mostly in the face and a little in the voice, arousal the other way round, so that neither
stream is enough for a good score. Labels lag behind the features, as an annotator does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from synth import stores

from vacli.store import Store

FACE, VOICE = 6, 5
LAG_FRAMES = 4


@dataclass(frozen=True)
class Plan:
    """How many people, how long, and which stream is nothing but noise."""

    people: int = 8
    frames: int = 260
    noise: float = 0.3
    only_noise: frozenset[str] = frozenset()
    splits: bool = False
    seed: int = 0
    names: tuple[str, ...] = field(default=("face", "voice"))


def make(path: Path, plan: Plan | None = None) -> Store:
    """Write the store; the last fifth of the people are the validation set where `splits`."""
    plan = plan or Plan()
    store, rng = stores.empty(path), np.random.default_rng(plan.seed)
    mix = {"face": rng.normal(size=(2, FACE)), "voice": rng.normal(size=(2, VOICE))}
    for person in range(plan.people):
        _add(store, f"p{person:02d}", _split(plan, person), plan, mix, rng)
    return store


def _split(plan: Plan, person: int) -> str:
    if not plan.splits:
        return ""
    return "validation" if person >= plan.people - max(1, plan.people // 5) else "train"


def _add(store: Store, video: str, split: str, plan: Plan, mix, rng) -> None:
    face, voice = (_slow(rng, plan.frames + LAG_FRAMES) for _ in range(2))
    stores.add_video(store, video, plan.frames)
    for name, hidden in (("face", face), ("voice", voice)):
        source = np.stack([hidden, np.roll(hidden, 7)], axis=1)[LAG_FRAMES:] @ mix[name]
        shown = np.zeros_like(source) if name in plan.only_noise else source
        scale = 1.0 if name in plan.only_noise else plan.noise
        stores.put_feature(store, video, name, 3.0 + 2.0 * (shown + scale * rng.normal(size=source.shape)))
    labels = np.stack([0.8 * face + 0.35 * voice, 0.35 * face + 0.8 * voice], axis=1)[: plan.frames]
    stores.put_labels(store, video, np.tanh(0.6 * labels), split)


def _slow(rng: np.random.Generator, frames: int) -> np.ndarray:
    """A smooth random walk of unit variance around zero."""
    kernel = np.hanning(31)
    x = np.convolve(rng.normal(size=frames + 30), kernel / np.linalg.norm(kernel), mode="valid")
    return x - x.mean()


SMALL = (
    "model.streams=[{name='visual', features=['face'], dim=6}, {name='audio', features=['voice'], dim=5}]",
    "window={length_frames=100, stride_frames=70}",
    "training.batch_windows=8",
    "training.schedule.warmup_epochs=1",
    "training.optim.lr=3e-3",
)
"""Assignments that make of any two-stream preset one for this store."""
