"""What can be trained on single frames, and how it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vacli.features.encoder_run import EncoderRun
from vacli.training.encoder.trainer import Plan


@dataclass(frozen=True, kw_only=True)
class Request:
    """Which encoder, what for, and from where it starts."""

    encoder: str
    objective: str
    weights: Path | None
    from_scratch: bool
    freeze_blocks: int | None
    normalise: str


@dataclass(frozen=True)
class Learner:
    """A task (an nn.Module), the plan that suits it and the record of the run."""

    task: Any
    plan: Plan
    record: EncoderRun
