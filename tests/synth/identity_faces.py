"""A store whose faces show only the identity of a person, with labels that are random for each person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from synth.face_stores import jpeg

from vacli.store import Store

GRID = 7  # cells along a side of a person's pattern


def identity_store(path: Path, people: int = 24, sessions: int = 2, frames: int = 10, seed: int = 0) -> Store:
    """Videos pNN-M of person NN in session M; every frame shows the person's pattern with noise.

    The labels of a person are one random point with small noise, so that nothing can be predicted for a new
    person, and everything for a known one.
    """
    rng = np.random.default_rng(seed)
    store = Store.open_or_create(path)
    for person in range(people):
        pattern = rng.uniform(40, 215, (GRID, GRID))
        centre = rng.uniform(-0.9, 0.9, 2)
        for session in range(sessions):
            name = f"p{person:02d}-{session}"
            labels = (centre + rng.normal(0, 0.03, (frames, 2))).clip(-1, 1).astype(np.float32)
            crops = [_crop(pattern, rng) for _ in range(frames)]
            store.add_video(name, np.arange(frames) / 25, source={"sha256": name}, stream={})
            with store.stage(name, "face", {}) as writer:
                writer.append("detected", np.ones(frames, bool))
                writer.append_images("crop", [jpeg(crop) for crop in crops])
            with store.stage(name, "label", {}) as writer:
                writer.append("valence", labels[:, 0])
                writer.append("arousal", labels[:, 1])
    return store


def _crop(pattern: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(224, 224, 3) uint8: the pattern in another brightness, with noise."""
    image = np.kron(pattern + rng.normal(0, 8), np.ones((224 // GRID, 224 // GRID)))
    image = image + rng.normal(0, 6, image.shape)
    return np.repeat(image.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
