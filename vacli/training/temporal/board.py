"""Curves for TensorBoard."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from vacli.training.temporal.history import Row

FOLDER = "tensorboard"


class Board:
    """Event files of one run; after a resume, curves go on where the run does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None

    def add(self, row: Row) -> None:
        """One epoch's point on every curve."""
        points = {
            "loss/train": row.loss,
            "ccc/valence": row.valence,
            "ccc/arousal": row.arousal,
            "ccc/mean": row.mean,
            "optimiser/lr": row.lr,
            "optimiser/gradient norm": row.grad_norm,
        }
        if self._writer is None:
            self._writer = _writer(self._folder / FOLDER, row.step)
        for name, value in points.items():
            self._writer.add_scalar(name, value, row.step)

    def close(self) -> None:
        """Write what is pending."""
        if self._writer is not None:
            self._writer.close()


def _writer(folder: Path, first_step: int) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorBoard's own imports are full of deprecations
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(folder), purge_step=first_step)
