"""Small feature stores whose values encode their position."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vacli.spec import AUDIO, VISUAL, FeatureSpec
from vacli.store.writer import Store


def spec(name: str, dim: int) -> FeatureSpec:
    """An identity for a made-up feature."""
    return FeatureSpec(name=name, version="1", modality=AUDIO if "a" in name else VISUAL, dim=dim)


def add_video(store: Store, video: str, frames: int, rate_hz: float = 25.0) -> None:
    """A video without a source recording."""
    source = {"name": f"{video}.mp4", "path": f"{video}.mp4", "size_bytes": 0, "sha256": video}
    store.add_video(video, np.arange(frames) / rate_hz, source=source, stream={})


def put_feature(
    store: Store, video: str, name: str, values: np.ndarray, flags: np.ndarray | None = None
) -> None:
    """Store (N, D) float32 values."""
    flags = np.zeros(len(values), np.uint8) if flags is None else flags
    store.put_feature(video, spec(name, values.shape[1]).attributes(), values.astype(np.float32), flags)


def put_labels(store: Store, video: str, labels: np.ndarray, split: str = "") -> None:
    """Store (N, 2) valence and arousal."""
    with store.stage(video, "label", {"split": split}) as writer:
        writer.append("valence", labels[:, 0].astype(np.float32))
        writer.append("arousal", labels[:, 1].astype(np.float32))


def empty(path: Path) -> Store:
    """A new store."""
    return Store.open_or_create(path)
