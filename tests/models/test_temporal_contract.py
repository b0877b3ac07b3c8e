"""The contract of temporal modules (vacli.models), over the table that `build` uses."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from vacli.models.build import TEMPORAL
from vacli.models.heads import Passthrough
from vacli.recipe import schema as recipe

WIDTH, FRAMES = 6, 40

CONFIGS: dict[str, recipe.Temporal] = {
    "mamba": recipe.Mamba(n_layers=2, d_model=8, d_state=4),
    "mamba-charon": recipe.Mamba(n_layers=1, d_model=6, d_state=4, expand=1, init="charon", input_norm=True),
    "transformer": recipe.Transformer(n_layers=2, d_model=8, n_heads=2, dim_feedforward=8),
    "tcn": recipe.Tcn(channels=(8, 5), kernel=3, activation="prelu"),
    "tcn-one-tap": recipe.Tcn(channels=(8,), kernel=1, activation="tanh"),
    "tcn-centred": recipe.Tcn(channels=(8, 8), kernel=5, causal=False, activation="prelu"),
    "none": recipe.NoTemporal(),
}
CAUSAL = [name for name in CONFIGS if name not in ("transformer", "tcn-centred")]


@dataclass(frozen=True)
class Case:
    module: nn.Module
    x: torch.Tensor  # (3, FRAMES, WIDTH) float64
    mask: torch.Tensor  # (3, FRAMES): whole, padded at the end, padded at the start and the end


@pytest.fixture(params=CONFIGS)
def case(request) -> Case:
    torch.manual_seed(3)
    config = CONFIGS[request.param]
    module = Passthrough(WIDTH) if config.kind == "none" else TEMPORAL[config.kind](WIDTH, config)
    mask = torch.ones(3, FRAMES, dtype=torch.bool)
    mask[1, 25:] = False
    mask[2, :4] = mask[2, 30:] = False
    return Case(module.double().eval(), torch.randn(3, FRAMES, WIDTH, dtype=torch.float64), mask)


def changed(case: Case, frame: int) -> list[int]:
    """The output frames of the first sequence that depend on one input frame."""
    mask = torch.ones(1, FRAMES, dtype=torch.bool)
    x = case.x[:1]
    other = x.clone()
    other[0, frame] += torch.arange(WIDTH)  # not a constant, which a norm would remove
    with torch.no_grad():
        differs = (case.module(x, mask) != case.module(other, mask)).any(-1)[0]
    return differs.nonzero().flatten().tolist()


def test_every_kind_is_tested():
    assert {config.kind for config in CONFIGS.values()} == {*TEMPORAL, "none"}


def test_shapes_with_one_and_more_frames(case):
    assert case.module(case.x, case.mask).shape == (3, FRAMES, case.module.out_dim)
    one = case.module(case.x[:, :1], torch.ones(3, 1, dtype=torch.bool))
    assert one.shape == (3, 1, case.module.out_dim)
    assert one.isfinite().all()


def test_values_on_padding_change_nothing(case):
    padding = ~case.mask.unsqueeze(-1)
    with torch.no_grad():
        want = case.module(case.x.masked_fill(padding, 0.0), case.mask)[case.mask]
        for value in (7.0, float("nan"), float("inf")):
            got = case.module(case.x.masked_fill(padding, value), case.mask)[case.mask]
            assert torch.equal(got, want)


def test_padding_at_the_end_equals_a_shorter_sequence(case):
    with torch.no_grad():
        got = case.module(case.x, case.mask)[1, :25]
        want = case.module(case.x[1:2, :25], torch.ones(1, 25, dtype=torch.bool))[0]
    torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-12)


def test_a_sequence_of_padding_only_keeps_values_and_gradients_finite(case):
    mask = case.mask.clone()
    mask[0] = False
    x = case.x.masked_fill(~mask.unsqueeze(-1), float("nan")).requires_grad_()
    y = case.module(x, mask)
    assert y[mask].isfinite().all()
    y[mask].square().sum().backward()
    assert x.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in case.module.parameters() if p.grad is not None)


def test_a_causal_module_does_not_change_earlier_frames(case):
    before = [t for t in changed(case, 20) if t < 20]
    assert bool(before) != case.module.causal


def test_receptive_field_equals_the_declared_one(case):
    seen = changed(case, 20)
    field = case.module.receptive_field
    if field is None:
        assert seen[-1] == FRAMES - 1
    else:
        first = 20 if case.module.causal else 20 - (field - 1) // 2
        assert (seen[0], seen[-1]) == (first, first + field - 1)


@pytest.mark.parametrize("case", CAUSAL, indirect=True)
def test_steps_equal_the_whole_sequence(case):
    with torch.no_grad():
        want = case.module(case.x, torch.ones(3, FRAMES, dtype=torch.bool))
        state, frames = case.module.initial_state(3), []
        for t in range(FRAMES):
            y, state = case.module.step(case.x[:, t], state)
            frames.append(y)
    assert (torch.stack(frames, 1) - want).abs().max() < 1e-5


@pytest.mark.parametrize("case", CAUSAL, indirect=True)
def test_step_does_not_modify_the_state(case):
    with torch.no_grad():
        _, state = case.module.step(case.x[:, 0], case.module.initial_state(3))
        one, _ = case.module.step(case.x[:, 1], state)
        again, _ = case.module.step(case.x[:, 1], state)
    assert torch.equal(one, again)
