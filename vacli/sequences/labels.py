"""The labels of stored videos: annotated values for scores, refined values for training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vacli.datasets import label_refinement
from vacli.datasets.affwild2 import EXPRESSION, EXPRESSIONS
from vacli.datasets.annotations import ANNOTATED, NOT_ANNOTATED, OUTSIDE, REPAIRED, FrameLabels
from vacli.store.reader import VideoView


def annotated_labels(view: VideoView) -> np.ndarray:
    """(N, 2) float32 valence and arousal as they were annotated; the only labels that may be scored.

    NaN where a label is absent, interpolated or taken from an expression. A repaired frame has its original
    value (label/original), or NaN in a store that has none. Labels without a source are annotated.
    """
    values = view.labels()
    if not view.has("label/source"):
        return values
    source, nothing = view.read("label/source")[:, None], np.float32(np.nan)
    original = view.read("label/original") if view.has("label/original") else nothing
    return np.where(source == ANNOTATED, values, np.where(source == REPAIRED, original, nothing))


@dataclass(frozen=True, eq=False)
class Annotation:
    """The stored labels of a video before their refinement.

    expressions: (N,) class of each frame, -1 where not annotated; None without. mode: what the import chose.
    """

    labels: FrameLabels
    expressions: np.ndarray | None
    mode: label_refinement.Mode


def read_annotation(view: VideoView) -> Annotation:
    """The annotation of a stored video."""
    name = f"label/{EXPRESSION}"
    expressions = view.read(name)[:, 0] if view.has(name) else None
    return Annotation(_as_annotated(view), expressions, view.part_attrs("label").get("refine", "off"))


def training_labels(annotations: Sequence[Annotation]) -> list[np.ndarray]:
    """(N, 2) float32 labels of each training video, refined in the way that its import chose.

    The class statistics are fitted on the annotated labels of these videos only. Therefore no label of
    another video, such as a held-out one, has an effect on them.
    """
    statistics = label_refinement.fit(
        ((a.labels.values, a.expressions) for a in annotations if a.expressions is not None), EXPRESSIONS
    )
    return [label_refinement.refine(a.labels, a.expressions, statistics, a.mode).values for a in annotations]


def _as_annotated(view: VideoView) -> FrameLabels:
    """The labels before their refinement."""
    values = annotated_labels(view)
    source = np.where(np.isnan(values).any(axis=1), NOT_ANNOTATED, ANNOTATED)
    if view.has("label/source"):
        source = np.where(view.read("label/source") == OUTSIDE, OUTSIDE, source)
    return FrameLabels(values=values, source=source.astype(np.uint8))
