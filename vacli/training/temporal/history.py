"""Reports of the epochs of a sequence model: text lines, TensorBoard curves, a summary of folds."""

from __future__ import annotations

import statistics
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vacli.files.run_directory import FOLD_PREFIX, METRICS_FILE
from vacli.inference.run import read_recipe
from vacli.training import checkpoint
from vacli.training.history import History, Row

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

HEADER = "epoch     loss  valence  arousal  CCC mean        lr    train  validate"
MEAN = "mean"  # of valence and arousal CCC
BEST_BY = {"best": MEAN, "last": "epoch"}  # `training.keep` of the recipe -> column of the history
SCORES = ("valence", "arousal", MEAN)
SUMMARY = "summary.json"
TENSORBOARD_FOLDER = "tensorboard"


def line(history: History, row: Row) -> str:
    """An epoch under `HEADER`; a star marks the best so far, if the run keeps the best."""
    star = "*" if history.best_by == MEAN and history.best is row else " "
    valence, arousal, mean = (row.scores[name] for name in SCORES)
    return (
        f"{row.epoch:5d}  {row.loss:7.4f}  {valence:7.3f}  {arousal:7.3f}  {mean:8.3f}{star}"
        f" {row.lr:8.2e}  {row.train_s:5.1f} s   {row.validate_s:5.1f} s"
    )


class TensorBoardCurves:
    """The event files of one run; a resumed run continues its curves."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: SummaryWriter | None = None

    def add(self, row: Row) -> None:
        """Add one epoch's point to every curve."""
        points: dict[str, float | None]
        points = {"loss/train": row.loss, **{f"ccc/{name}": row.scores[name] for name in SCORES}}
        points |= {"optimiser/lr": row.lr, "optimiser/gradient norm": row.grad_norm}
        if self._writer is None:
            self._writer = _writer(self._folder / TENSORBOARD_FOLDER, row.step)
        for name, value in points.items():
            self._writer.add_scalar(name, value, row.step)

    def close(self) -> None:
        """Write pending points."""
        if self._writer is not None:
            self._writer.close()


def _writer(folder: Path, first_step: int) -> SummaryWriter:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorBoard's own imports emit deprecation warnings
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(folder), purge_step=first_step)


def summarise(out: Path) -> dict[str, Any]:
    """Write summary.json: each fold's kept epoch, and their mean and standard deviation (1/(n-1))."""
    rows = {
        path.parent.name.removeprefix(FOLD_PREFIX): read_best(path)
        for path in sorted(out.glob(f"{FOLD_PREFIX}*/{METRICS_FILE}"))
    }
    folds = [
        {"fold": int(number), "epoch": row.epoch, **{s: row.scores[s] for s in SCORES}}
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
    """The epoch of a metrics.jsonl whose weights the run kept."""
    best_by = BEST_BY[read_recipe(path.parent).training.keep]
    return History.from_jsonl(path.read_text(encoding="utf-8"), best_by).best
