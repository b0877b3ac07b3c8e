"""Every number of a training has a range, and the presets are within."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

import pytest

from vacli.errors import UsageError
from vacli.recipe.io import set_values
from vacli.recipe.presets import COMPACT, PRESETS
from vacli.recipe.ranges import RANGES, check_ranges

WITHOUT = {"window.length_frames", "window.stride_frames"}  # `sequences.windows` checks them together


def numbers(part: object, path: str) -> set[str]:
    found = set()
    for field in fields(part):
        value, inner = getattr(part, field.name), f"{path}.{field.name}"
        if is_dataclass(value):
            found |= numbers(value, inner)
        elif type(value) in (int, float) or value is None:
            found.add(inner)
    return found


def test_every_number_has_a_range():
    present = numbers(COMPACT.training, "training") | numbers(COMPACT.window, "window")
    assert present - WITHOUT == set(RANGES)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_within_their_ranges(name):
    check_ranges(PRESETS[name])


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("training.epochs=0", "training.epochs is 0; it must be at least 1"),
        ("training.batch_size=0", "training.batch_size is 0; it must be at least 1"),
        ("training.clip_z=-1.0", "training.clip_z is -1.0; it must be above 0"),
        ("training.optim.lr=nan", "training.optim.lr is nan; it must be at least 0"),
        ("training.schedule.period_growth=0", "period_growth is 0; it must be at least 1"),
        ("training.schedule.min_lr_factor=1.5", "min_lr_factor is 1.5; it must be between 0 and 1"),
        ("training.augment.noise=-0.1", "noise is -0.1; it must be at least 0"),
    ],
)
def test_a_number_outside_its_range_is_refused(assignment, message):
    with pytest.raises(UsageError) as caught:
        check_ranges(set_values(COMPACT, [assignment]))
    assert message in caught.value.one_line()


def test_a_loss_of_nothing_is_refused():
    with pytest.raises(UsageError, match="are 0"):
        check_ranges(set_values(COMPACT, ["training.loss.valence=0.0", "training.loss.arousal=0.0"]))
