"""People whose labels differ by a gain and a shift from the bundled model's predictions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vacli.inference.prediction import predict_sequence
from vacli.inference.run import BUNDLED, load_run, read_normalisation
from vacli.sequences.base import FeatureSequence
from vacli.spec import AUDIO, VISUAL, FeatureSpec
from vacli.store.writer import Store

RATE_HZ = 25.0
FEATURES = {VISUAL: (("compact", 128),), AUDIO: (("egemaps", 23), ("mfcc39", 39))}


@dataclass(frozen=True, kw_only=True)
class View:
    """Labels are gain * prediction + shift + noise, in this order for valence and arousal."""

    gain: tuple[float, float] = (1.0, 1.0)
    shift: tuple[float, float] = (0.0, 0.0)
    noise: float = 0.05


def smooth(rng: np.random.Generator, frames: int, columns: int, width: int = 81) -> np.ndarray:
    """(frames, columns) of unit variance that change within about a second."""
    kernel = np.hanning(width) / np.linalg.norm(np.hanning(width))
    noise = rng.standard_normal((frames + width - 1, columns))
    return np.stack([np.convolve(column, kernel, "valid") for column in noise.T], axis=1)


def write_store(path: Path, view: View, *, videos: int, frames: int, seed: int = 0) -> Store:
    """A store of videos of different people with the bundled model's features and labels of this view."""
    rng, store, run = np.random.default_rng(seed), Store.open_or_create(path), load_run(BUNDLED)
    statistics = read_normalisation(BUNDLED / "fold_1")
    times_s = np.arange(frames) / RATE_HZ
    for number in range(videos):
        video = f"person{number}"
        streams = {
            name: (mean + statistics.std[name] * smooth(rng, frames, len(mean))).astype(np.float32)
            for name, mean in statistics.mean.items()
        }
        sequence = FeatureSequence(video=video, times_s=times_s, streams=streams)
        predicted = predict_sequence(run, sequence, times_s).values
        labels = predicted * view.gain + view.shift + view.noise * smooth(rng, frames, 2)
        store.add_video(
            video, times_s, source={"name": f"{video}.mp4", "sha256": video, "size_bytes": 0}, stream={}
        )
        for modality, features in FEATURES.items():
            column = 0
            for name, dim in features:
                values = streams[modality][:, column : column + dim]
                about = {**run.features[name], "name": name, "dim": dim, "modality": modality}
                spec = FeatureSpec(
                    **{k: about[k] for k in ("name", "version", "modality", "dim", "settings")}
                )
                store.put_feature(video, spec.attributes(), values, np.zeros(frames, np.uint8))
                column += dim
        with store.stage(video, "label", {"split": "", "subject": video}) as writer:
            clipped = labels.clip(-1, 1).astype(np.float32)
            writer.append("valence", clipped[:, 0])
            writer.append("arousal", clipped[:, 1])
    return store
