"""The folds of a run directory side by side, from what is on disk."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from vacli.files.run_directory import FOLD_PREFIX, METRICS_FILE
from vacli.training import checkpoint
from vacli.training.temporal.history import History, Row

SUMMARY = "summary.json"
SCORES = ("valence", "arousal", "mean")


def summarise(out: Path) -> dict[str, Any]:
    """Write summary.json: each fold's best epoch, and their mean and standard deviation (1/(n-1))."""
    rows = {
        path.parent.name.removeprefix(FOLD_PREFIX): read_best(path)
        for path in sorted(out.glob(f"{FOLD_PREFIX}*/{METRICS_FILE}"))
    }
    folds = [
        {"fold": int(number), "epoch": row.epoch, **{s: getattr(row, s) for s in SCORES}}
        for number, row in sorted(rows.items(), key=lambda item: int(item[0]))
    ]
    columns = {s: [fold[s] for fold in folds] for s in SCORES}
    summary = {
        "folds": folds,
        "mean": {s: statistics.fmean(values) for s, values in columns.items()},
        "sd": {s: statistics.stdev(v) if len(v) > 1 else None for s, v in columns.items()},
    }
    checkpoint.write_json(out / SUMMARY, summary)
    return summary


def read_best(path: Path) -> Row:
    """The best epoch that a metrics.jsonl tells of."""
    return History.from_jsonl(path.read_text(encoding="utf-8")).best
