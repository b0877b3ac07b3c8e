"""card.md: what a run was made from and what it reached, for whoever finds it later."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vacli import __version__
from vacli.sequences.base import Rows
from vacli.training.temporal.provenance import Features
from vacli.training.temporal.session import Job, Outcome

CARD = "card.md"


def card(job: Job, outcome: Outcome) -> str:
    """The text of card.md."""
    return (
        "\n".join([*_head(job), *_scores(job, outcome), *_data(job), *_features(job.features), *_use()])
        + "\n"
    )


def _head(job: Job) -> list[str]:
    recipe = job.recipe
    lines = [f"# {recipe.name}", "", recipe.summary or "No summary.", ""]
    return [*lines, f"Source of the recipe: {recipe.source}", ""] if recipe.source else lines


def _scores(job: Job, outcome: Outcome) -> list[str]:
    best = outcome.best
    return [
        "## Scores",
        "",
        "CCC (covariance form, 1/n) over all annotated frames of the held-out videos joined:",
        "",
        "| valence | arousal | mean |",
        "|---|---|---|",
        f"| {best.valence:.3f} | {best.arousal:.3f} | {best.mean:.3f} |",
        "",
        f"Epoch {best.epoch} of {outcome.epochs} was kept because it was best on these very videos, so the",
        "figures flatter: judge the model on others.",
        "",
        f"{outcome.parameters:,} parameters; {outcome.train_s:.1f} s an epoch; peak memory "
        + ("unknown" if outcome.peak_bytes is None else f"{outcome.peak_bytes / 2**30:.2f} GiB")
        + f"; trained with va {__version__}.",
        "",
    ]


def _data(job: Job) -> list[str]:
    return [
        "## Data",
        "",
        f"Store {job.store.name}; {job.side.words}.",
        "",
        "| part | videos | frames | annotated |",
        "|---|---|---|---|",
        _part("training", job.train),
        _part("held out", job.validation),
        "",
    ]


def _part(name: str, videos: Sequence[Rows]) -> str:
    frames = sum(len(rows) for rows in videos)
    annotated = sum(int(np.isfinite(rows.labels).all(axis=1).sum()) for rows in videos)
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
        "Who runs this model also runs the extractors above and is bound by their licences, and by the",
        "terms of the recordings that it was trained on. What it predicts is how strangers would rate an",
        "expression, not what a person feels.",
    ]
