"""Figures of scored trajectories."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from vacli.errors import UsageError, nearest
from vacli.evaluation.evaluator import Evaluation
from vacli.evaluation.predictions import LabelledTrajectory
from vacli.output import plot
from vacli.output.score_tables import number
from vacli.progress import Progress


def check_formats(option: str, formats: Sequence[str]) -> None:
    """Raise UsageError for a format in which no figure is written."""
    for form in formats:
        if form not in plot.FORMATS:
            raise UsageError(f"{option} {form} is unknown", hint=nearest(form, plot.FORMATS))


def draw(evaluated: Sequence[Evaluation], folder: Path, formats: Sequence[str], progress: Progress) -> None:
    """Draw each video over time with its CCC and uncertainty, and the densities of all videos.

    Several results have a folder each.
    """
    for result, trajectories in evaluated:
        target = folder / result.name if len(evaluated) > 1 else folder
        (target / plot.VIDEOS).mkdir(parents=True, exist_ok=True)
        paths = [path for form in formats for path in _draw_one(trajectories, target, form)]
        progress.info(f"{len(paths)} figures written into {target}")


def _draw_one(trajectories: Sequence[LabelledTrajectory], target: Path, form: str) -> Iterator[Path]:
    for t in trajectories:
        path = target / plot.VIDEOS / f"{t.video}.{form}"
        plot.trajectory(path, _title(t), plot.Curves(t.times_s, t.predicted, t.labels, t.uncertainty))
        yield path
    labels = np.concatenate([t.labels for t in trajectories])
    predicted = np.concatenate([t.predicted for t in trajectories])
    path = target / f"labels.{form}"
    plot.label_histogram(path, labels)
    yield path
    path = target / f"plane.{form}"
    plot.plane(path, {"Annotated": labels, "Predicted": predicted})
    yield path


def _title(trajectory: LabelledTrajectory) -> str:
    """The video with its CCC, or without it where no frame is annotated and predicted."""
    score = trajectory.score()
    if not score.frames:
        return trajectory.video
    valence, arousal = (number(moments.ccc) for moments in score.moments)
    return f"{trajectory.video}: CCC valence {valence}, arousal {arousal}"
