"""card.md: the data and features of a run, its scores and its terms of use."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vacli import __version__
from vacli.sequences.base import FeatureRows, labels_of
from vacli.training.temporal.adaptation import InitialWeights
from vacli.training.temporal.history import SCORES
from vacli.training.temporal.provenance import Features
from vacli.training.temporal.session import TrainingJob, TrainingResult


def card(job: TrainingJob, result: TrainingResult) -> str:
    """The text of card.md."""
    sections = (_head(job), _scores(job, result), _start(job.init), _data(job), _features(job.features))
    return "\n".join([line for section in (*sections, _use()) for line in section]) + "\n"


def _head(job: TrainingJob) -> list[str]:
    recipe = job.recipe
    lines = [f"# {recipe.name}", "", recipe.summary or "No summary.", ""]
    return [*lines, f"Source of the recipe: {recipe.source}", ""] if recipe.source else lines


def _scores(job: TrainingJob, result: TrainingResult) -> list[str]:
    best = result.best
    valence, arousal, mean = (best.scores[name] for name in SCORES)
    return [
        "## Scores",
        "",
        "CCC (covariance form, 1/n) over all annotated frames of the held-out videos joined:",
        "",
        "| valence | arousal | mean |",
        "|---|---|---|",
        f"| {valence:.3f} | {arousal:.3f} | {mean:.3f} |",
        "",
        *_selection(job, result),
        "",
        f"{result.parameters:,} parameters; {result.train_s:.1f} s an epoch; peak memory "
        + ("unknown" if result.peak_bytes is None else f"{result.peak_bytes / 2**30:.2f} GiB")
        + f"; trained with va {__version__}.",
        "",
    ]


def _selection(job: TrainingJob, result: TrainingResult) -> list[str]:
    if job.recipe.training.keep == "last":
        return [f"The last of {result.epochs} epochs was kept. The held-out videos did not select it."]
    return [
        f"Epoch {result.best.epoch} of {result.epochs} was kept because it was the best on these videos.",
        "The figures are therefore optimistic. Evaluate the model on other videos.",
    ]


def _start(init: InitialWeights | None) -> list[str]:
    """The run that the training started from, with the licence of its weights."""
    if init is None:
        return []
    record = init.record()
    return [
        "## Start",
        "",
        f"The training started from the run {record['run']}: {record['member']}, {record['sha256'][:12]}.",
        f"The licence of these weights applies: {init.licence}.",
        "",
    ]


def _data(job: TrainingJob) -> list[str]:
    return [
        "## Data",
        "",
        f"Store {job.store.name}; {job.split.description}.",
        "",
        "| part | videos | frames | annotated |",
        "|---|---|---|---|",
        _part("training", job.train),
        _part("held out", job.validation),
        "",
        *(line for note in (*job.notes, *job.warnings) for line in (note, "")),
    ]


def _part(name: str, videos: Sequence[FeatureRows]) -> str:
    frames = sum(len(rows) for rows in videos)
    annotated = sum(int(np.isfinite(labels_of(rows)).all(axis=1).sum()) for rows in videos)
    return f"| {name} | {len(videos):,} | {frames:,} | {annotated / max(frames, 1):.1%} |"


def _features(features: Features) -> list[str]:
    columns = "| name | version | columns | fingerprint | licence |"
    rows = [
        f"| {name} | {f['version']} | {f['dim']} | {f['fingerprint']} | {f['licence'] or 'not stated'} |"
        for name, f in features.items()
    ]
    return ["## Features", "", columns, "|---|---|---|---|---|", *rows, ""]


def _use() -> list[str]:
    return [
        "## Use",
        "",
        "This model needs the extractors above. Their licences apply, and so do the terms of the recordings",
        "in the training data. The predictions estimate how observers would rate an expression. They do not",
        "measure what a person feels.",
    ]
