"""The values that the numbers of a training may have."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

from vacli.errors import UsageError
from vacli.recipe.schema import Recipe

POSITIVE, COUNT, NOT_NEGATIVE, SHARE = "above 0", "at least 1", "at least 0", "between 0 and 1"
RANGES: Mapping[str, str] = {
    "window.smooth_frames": NOT_NEGATIVE,
    "training.epochs": COUNT,
    "training.batch_size": COUNT,
    "training.patience_epochs": COUNT,
    "training.seed": NOT_NEGATIVE,
    "training.clip_z": POSITIVE,
    "training.loss.mse": NOT_NEGATIVE,
    "training.loss.unimodal_weight": NOT_NEGATIVE,
    "training.loss.window_mean_weight": NOT_NEGATIVE,
    "training.loss.valence": NOT_NEGATIVE,
    "training.loss.arousal": NOT_NEGATIVE,
    "training.optim.lr": NOT_NEGATIVE,
    "training.optim.weight_decay": NOT_NEGATIVE,
    "training.optim.eps": POSITIVE,
    "training.optim.clip_norm": NOT_NEGATIVE,  # 0: gradients are not clipped
    "training.schedule.warmup_epochs": NOT_NEGATIVE,
    "training.schedule.warmup_start_factor": SHARE,
    "training.schedule.period_epochs": POSITIVE,
    "training.schedule.period_steps": COUNT,
    "training.schedule.period_growth": COUNT,
    "training.schedule.min_lr_factor": SHARE,
    "training.augment.modality_dropout": SHARE,
    "training.augment.time_mask": SHARE,
    "training.augment.noise": NOT_NEGATIVE,
    "training.augment.shift": NOT_NEGATIVE,
}


def check_ranges(recipe: Recipe) -> None:
    """Raise UsageError for the first number that is outside its range, or is no number (NaN)."""
    for path, allowed in RANGES.items():
        value: Any = reduce(getattr, path.split("."), recipe)
        if value is not None and not _is_within(value, allowed):
            raise UsageError(f"{path} is {value}", hint=f"it must be {allowed}")
    if not recipe.training.loss.valence and not recipe.training.loss.arousal:
        raise UsageError("training.loss.valence and training.loss.arousal are 0", hint="give one a weight")


def _is_within(value: float, allowed: str) -> bool:
    return {
        POSITIVE: value > 0,
        COUNT: value >= 1,
        NOT_NEGATIVE: value >= 0,
        SHARE: 0 <= value <= 1,
    }[allowed]
