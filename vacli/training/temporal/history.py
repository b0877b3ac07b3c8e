"""What the epochs of a fit gave, as rows for people and for machines."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

HEADER = "epoch     loss  valence  arousal  CCC mean        lr    train  validate"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One epoch: mean loss and gradient norm of its batches, CCC over all validation frames, its cost.

    peak_bytes: most memory held since training began or went on; None where nobody can tell.
    """

    epoch: int
    step: int
    loss: float
    grad_norm: float
    lr: float
    valence: float
    arousal: float
    train_s: float
    validate_s: float
    peak_bytes: int | None = None

    @property
    def mean(self) -> float:
        """Mean of valence and arousal CCC: what is best is judged by it."""
        return 0.5 * (self.valence + self.arousal)


@dataclass
class History:
    """All epochs so far, oldest first."""

    rows: list[Row] = field(default_factory=list)

    @classmethod
    def from_state(cls, state: list[dict[str, Any]]) -> History:
        """Rebuild a history from what `state` gave."""
        return cls([Row(**row) for row in state])

    @classmethod
    def from_jsonl(cls, text: str) -> History:
        """Rebuild a history from the text of metrics.jsonl."""
        rows = [json.loads(line) for line in text.splitlines()]
        return cls([Row(**{k: v for k, v in row.items() if k != "mean"}) for row in rows])

    def state(self) -> list[dict[str, Any]]:
        """Plain values that `from_state` takes."""
        return [asdict(row) for row in self.rows]

    def add(self, row: Row) -> None:
        """Append an epoch."""
        self.rows.append(row)

    @property
    def best(self) -> Row | None:
        """The first epoch with the highest mean CCC, None before the first."""
        return max(self.rows, key=lambda row: row.mean, default=None)

    def stalled(self, patience_epochs: int | None) -> bool:
        """Whether the last `patience_epochs` epochs brought nothing better."""
        if patience_epochs is None or self.best is None:
            return False
        return self.rows[-1].epoch - self.best.epoch >= patience_epochs

    def jsonl(self) -> str:
        """The text of metrics.jsonl: one JSON object an epoch."""
        return "".join(json.dumps({**asdict(row), "mean": row.mean}) + "\n" for row in self.rows)

    def line(self, row: Row) -> str:
        """An epoch under `HEADER`; a star marks the best so far."""
        star = "*" if self.best is row else " "
        return (
            f"{row.epoch:5d}  {row.loss:7.4f}  {row.valence:7.3f}  {row.arousal:7.3f}  {row.mean:8.3f}{star}"
            f" {row.lr:8.2e}  {row.train_s:5.1f} s   {row.validate_s:5.1f} s"
        )
