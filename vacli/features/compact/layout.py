"""Shapes, columns and preprocessing of the bundled face network; without torch."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from vacli.circumplex import EMOTION_VA, EMOTIONS
from vacli.errors import WeightsError
from vacli.features.encoder_run import read_encoder_run
from vacli.features.weights import locate
from vacli.progress import Progress, RecordingProgress
from vacli.spec import VISUAL, FeatureSpec

CROP_PX = 224
INPUT_PX = 48
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
IDENTITY = "weights"  # key of the weights' hash in the metadata of the ONNX file
GREY_FLOOR = 4.0  # grey levels, added to the standard deviation: a uniform crop stays near zero
EMBEDDING = 118  # with 2 + 8 outputs in front, a row has 128 values
DIM = 2 + len(EMOTIONS) + EMBEDDING
BATCH = 32
WIDTHS = (32, 64, 128, 256)
DEPTHS = (0, 1, 1, 2)  # only the stem has the full 48 x 48 pixels, which cost most


def reduction(source_px: int = CROP_PX, target_px: int = INPUT_PX) -> np.ndarray:
    """The matrix (target, source) that resizes one axis with a triangle filter, antialiased."""
    scale = source_px / target_px
    centre = (np.arange(target_px) + 0.5) * scale
    position = np.arange(source_px) + 0.5
    weight = (1 - np.abs(position - centre[:, np.newaxis]) / max(scale, 1.0)).clip(min=0)
    return (weight / weight.sum(axis=1, keepdims=True)).astype(np.float32)


def columns() -> tuple[str, ...]:
    """Names of the 128 values of a row."""
    width = int(math.log10(EMBEDDING)) + 1
    return ("valence", "arousal", *EMOTIONS, *(f"e{i:0{width}d}" for i in range(EMBEDDING)))


def decode_emotions(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Valence and arousal (N, 2) of rows (N, 128), and their standard deviation (N, 2) over the emotions.

    Both are moments of the emotion points (`EMOTION_VA`) under the probabilities in columns 2 to 9.
    """
    values, probabilities = rows[:, :2], rows[:, 2 : 2 + len(EMOTIONS)]
    variance = probabilities @ np.square(np.asarray(EMOTION_VA, np.float32)) - np.square(values)
    return values, np.sqrt(np.maximum(variance, 0))


def weights_file(given: Path | None, progress: Progress | None) -> Path:
    """The bundled weights, a file, or the best weights of a fine-tuned run's folder."""
    if given is None or not Path(given).is_dir():
        return locate("compact", given, progress or RecordingProgress())
    run, path = read_encoder_run(Path(given))
    if run.encoder != "compact":
        raise WeightsError(
            f"{given} holds a fine-tuned {run.encoder}, not compact", hint=f"give --feature {run.encoder}"
        )
    return path


def blocks(
    widths: tuple[int, ...] = WIDTHS, depths: tuple[int, ...] = DEPTHS
) -> list[tuple[str, int, int, int]]:
    """Name, channels before and after, and stride of each residual block of the network."""
    made: list[tuple[str, int, int, int]] = []
    width = widths[0]
    for stage, (outward, depth) in enumerate(zip(widths, depths, strict=True)):
        for place in range(depth):
            made.append((f"blocks.{len(made)}", width, outward, 2 if stage and not place else 1))
            width = outward
    return made


def spec(identity: str) -> FeatureSpec:
    """The identity of the rows of a network, given the hash of its weights."""
    return FeatureSpec(
        name="compact",
        version="1",
        modality=VISUAL,
        dim=DIM,
        columns=columns(),
        units="VA in [-1, 1], probabilities, activations",
        settings={"weights": identity},
    )
