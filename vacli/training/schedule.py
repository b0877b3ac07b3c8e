"""The learning rate as a pure function of the step."""

from __future__ import annotations

import math

from vacli.recipe import schema as recipe


def lr_factor(schedule: recipe.Schedule, step: int, epoch_steps: int, total_steps: int) -> float:
    """Factor on the base learning rate at optimiser step `step` (0-based).

    Linear from `warmup_start_factor` over the warm-up, then constant; one cosine down to `min_lr_factor` at
    `total_steps`; or cosines with warm restarts (Loshchilov and Hutter 2017), each period
    `period_growth` times as long as the one before. Lengths are in epochs, steps are iterations,
    so that the shape does not depend on the batch size. With one step an epoch, a warm-up from 0 begins
    with the rate of its second step, because the first epoch would train nothing.
    """
    warmup, start = schedule.warmup_epochs * epoch_steps, schedule.warmup_start_factor
    if step < warmup:
        risen = 1 if step == start == 0 and epoch_steps == 1 else step
        return start + (1 - start) * min(risen / warmup, 1.0)
    if schedule.shape == "constant":
        return 1.0
    rest = max(total_steps - warmup, 1.0)
    if schedule.shape == "cosine":
        return _cosine(min((step - warmup) / rest, 1.0), schedule.min_lr_factor)
    period = _period(schedule, epoch_steps) or rest
    return _cosine(_phase(step - warmup, period, schedule.period_growth), schedule.min_lr_factor)


def _period(schedule: recipe.Schedule, epoch_steps: int) -> float | None:
    """The first restart period in steps."""
    if schedule.period_steps is not None:
        return schedule.period_steps
    return None if schedule.period_epochs is None else schedule.period_epochs * epoch_steps


def _cosine(phase: float, floor: float) -> float:
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * phase))


def _phase(since: float, period: float, growth: int) -> float:
    """Where in its restart period a step is, in [0, 1)."""
    while since >= period:
        since -= period
        period *= growth
    return since / period
