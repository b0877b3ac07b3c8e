"""The results of each epoch: rows of metrics.jsonl and of the training state."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from vacli.errors import RunError


@dataclass(frozen=True, kw_only=True)
class Row:
    """One epoch.

    loss, grad_norm: means over the optimiser steps. scores: results on the validation set by column.
    lr: of the last step. peak_bytes: peak memory since training started or resumed, None where unknown: of
    CUDA's allocator if device is "cuda", else of the process. grad_norm, lr and device are None in rows of
    earlier versions that did not record them.
    """

    epoch: int
    step: int
    loss: float
    scores: Mapping[str, float]
    train_s: float
    validate_s: float
    grad_norm: float | None = None
    lr: float | None = None
    peak_bytes: int | None = None
    device: str | None = None

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Row:
        """The inverse of `values`: every column without a field of its own is a score."""
        own = {f.name for f in fields(cls)} & values.keys()
        scores = {name: value for name, value in values.items() if name not in own}
        return cls(scores=scores, **{name: values[name] for name in own})

    def values(self) -> dict[str, Any]:
        """The columns as plain values."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "scores"}
        return {**own, **self.scores}


@dataclass
class History:
    """All epochs so far, oldest first; the best has the highest value in the column `best_by`."""

    best_by: str
    rows: list[Row] = field(default_factory=list)

    @classmethod
    def from_state(cls, state: Sequence[Mapping[str, Any]], best_by: str) -> History:
        """The inverse of `state`."""
        return cls(best_by, [Row.from_values(row) for row in state])

    @classmethod
    def from_jsonl(cls, text: str, best_by: str) -> History:
        """The inverse of `jsonl`."""
        return cls.from_state([json.loads(line) for line in text.splitlines()], best_by)

    def state(self) -> list[dict[str, object]]:
        """The rows as plain values."""
        return [row.values() for row in self.rows]

    def jsonl(self) -> str:
        """The text of metrics.jsonl: one JSON object an epoch."""
        return "".join(json.dumps(row) + "\n" for row in self.state())

    @property
    def best(self) -> Row:
        """The first epoch with the highest value; raises RunError before the first epoch is complete."""
        if not self.rows:
            raise RunError("no epoch of the training is complete", hint="train for one epoch or more")
        return max(self.rows, key=lambda row: row.values()[self.best_by])

    def stalled(self, patience_epochs: int | None) -> bool:
        """Whether the last `patience_epochs` epochs were not better than the best before them."""
        if patience_epochs is None or not self.rows:
            return False
        return self.rows[-1].epoch - self.best.epoch >= patience_epochs
