from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vacli.recipe.schema import Schedule
from vacli.training.schedule import lr_factor


def test_warm_up_rises_from_its_start_factor_to_1() -> None:
    schedule = Schedule(shape="constant", warmup_epochs=2.0, warmup_start_factor=0.006)  # 3e-5 of 5e-3
    factors = [lr_factor(schedule, step, 10, 100) for step in range(25)]
    assert factors[0] == 0.006
    assert factors[10] == pytest.approx((0.006 + 1) / 2)
    assert factors[20:] == [1.0] * 5


@pytest.mark.parametrize("warmup_epochs", [5.0, 1.0, 0.1])
def test_first_epoch_of_one_step_is_trained(warmup_epochs: float) -> None:
    schedule = Schedule(shape="constant", warmup_epochs=warmup_epochs)
    factors = [lr_factor(schedule, step, 1, 50) for step in range(8)]
    rising = [min(step / warmup_epochs, 1.0) for step in range(8)]
    assert factors == pytest.approx([rising[1], *rising[1:]])
    assert lr_factor(schedule, 0, 2, 100) == 0.0  # its second step trains the first epoch


def test_start_factor_is_kept_with_one_step_an_epoch() -> None:
    schedule = Schedule(shape="constant", warmup_epochs=2.0, warmup_start_factor=0.1)
    assert [lr_factor(schedule, step, 1, 50) for step in range(3)] == pytest.approx([0.1, 0.55, 1.0])


def test_restart_period_in_steps() -> None:
    """Charon's scheduler restarts at steps 46, 138 and 322 (released configuration, measured)."""
    schedule = Schedule(shape="warm-restarts", warmup_epochs=0.0, period_steps=46)
    factors = [lr_factor(schedule, step, 10, 500) for step in range(330)]
    assert [step for step in range(330) if factors[step] == 1.0] == [0, 46, 138, 322]


def test_cosine_ends_at_the_floor() -> None:
    schedule = Schedule(shape="cosine", warmup_epochs=0.0, min_lr_factor=0.1)
    assert lr_factor(schedule, 0, 10, 100) == 1.0
    assert lr_factor(schedule, 50, 10, 100) == pytest.approx(0.55)
    assert lr_factor(schedule, 100, 10, 100) == pytest.approx(0.1)


def test_warm_restarts_equal_those_of_torch() -> None:
    schedule = Schedule(shape="warm-restarts", warmup_epochs=0.0, period_epochs=5.0, period_growth=2)
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimiser, T_0=15, T_mult=2)
    for step in range(120):
        assert lr_factor(schedule, step, 3, 120) == pytest.approx(optimiser.param_groups[0]["lr"])
        optimiser.step()
        theirs.step()


def test_restart_periods_are_in_epochs() -> None:
    schedule = Schedule(shape="warm-restarts", warmup_epochs=1.0, period_epochs=2.0)
    for epoch_steps in (1, 7, 100):
        assert lr_factor(schedule, 3 * epoch_steps, epoch_steps, 50 * epoch_steps) == pytest.approx(1.0)


@given(
    shape=st.sampled_from(["constant", "cosine", "warm-restarts"]),
    warmup=st.floats(0, 4),
    period=st.none() | st.floats(0.5, 5),
    step=st.integers(0, 200),
    epoch_steps=st.integers(1, 20),
)
def test_factor_is_between_floor_and_one(
    shape: str, warmup: float, period: float | None, step: int, epoch_steps: int
) -> None:
    schedule = Schedule(
        shape=shape, warmup_epochs=warmup, period_epochs=period, warmup_start_factor=0.2, min_lr_factor=0.1
    )  # type: ignore[arg-type]
    assert 0.1 - 1e-12 <= lr_factor(schedule, step, epoch_steps, 10 * epoch_steps) <= 1 + 1e-12
