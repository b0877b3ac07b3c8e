"""Mamba: names, shapes and initial values of mamba_ssm, and its output against mambapy's."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from vacli.models.mamba import Mamba
from vacli.recipe import schema as recipe

D, N, K = 24, 5, 4


def layer(**changes) -> Mamba:
    torch.manual_seed(0)
    return Mamba(D, recipe.Mamba(d_state=N, d_conv=K, **changes))


def whole(batch: int, frames: int) -> torch.Tensor:
    return torch.ones(batch, frames, dtype=torch.bool)


def test_names_and_shapes_equal_those_of_mamba_ssm():
    E, R = 2 * D, math.ceil(D / 16)  # noqa: N806
    assert {k: tuple(v.shape) for k, v in layer().state_dict().items()} == {
        "in_proj.weight": (2 * E, D),
        "conv1d.weight": (E, 1, K),
        "conv1d.bias": (E,),
        "x_proj.weight": (R + 2 * N, E),
        "dt_proj.weight": (E, R),
        "dt_proj.bias": (E,),
        "A_log": (E, N),
        "D": (E,),
        "out_proj.weight": (D, E),
    }


def test_initial_values_equal_those_of_mamba_ssm():
    start = layer()
    torch.testing.assert_close(start.A_log.exp(), torch.arange(1.0, N + 1).repeat(2 * D, 1))
    assert torch.equal(start.D, torch.ones(2 * D))
    dt = F.softplus(start.dt_proj.bias)
    assert dt.min() >= 1e-4
    assert dt.max() <= 0.1 + 1e-6
    assert 0.005 < dt.log().mean().exp() < 0.02  # log-uniform in 0.001 to 0.1: 0.01 in the middle
    assert start.dt_proj.weight.abs().max() <= math.ceil(D / 16) ** -0.5
    assert start.A_log._no_weight_decay
    assert start.D._no_weight_decay


def test_charon_initialisation_has_a_short_memory():
    start = layer(init="charon")
    rates = -start.A_log.exp()
    assert -1.06 < rates.min() < rates.max() < -0.94
    assert F.softplus(start.dt_proj.bias).mean().item() == pytest.approx(math.log(2), abs=0.02)
    assert not start.conv1d.bias.any()


@pytest.mark.parametrize("expand", [1, 2])
def test_state_dict_and_output_agree_with_mambapy(expand):
    mambapy = pytest.importorskip("mambapy.mamba", reason="needs mambapy, an independent Mamba")
    ours = layer(expand=expand)
    config = mambapy.MambaConfig(d_model=D, n_layers=1, d_state=N, d_conv=K, expand_factor=expand)
    theirs = mambapy.MambaBlock(config)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 50, D)
    torch.testing.assert_close(ours(x, whole(2, 50)), theirs(x), rtol=1e-4, atol=1e-6)
    ours.load_state_dict(theirs.state_dict())


def test_steps_in_float32_equal_the_whole_sequence():
    net = layer().eval()
    x = torch.randn(2, 400, D)
    with torch.no_grad():
        want = net(x, whole(2, 400))
        state, frames = net.initial_state(2), []
        for t in range(400):
            y, state = net.step(x[:, t], state)
            frames.append(y)
    assert (torch.stack(frames, 1) - want).abs().max() / want.abs().max() < 1e-5
    assert state.conv.shape == (2, 2 * D, K)
    assert state.ssm.shape == (2, 2 * D, N)


def test_gradients_of_the_layer_agree_with_float64():
    net, x = layer(), torch.randn(2, 70, D)
    exact = layer().double()

    def gradients(module: Mamba, given: torch.Tensor) -> list[torch.Tensor]:
        y = module(given, whole(2, 70))
        return list(torch.autograd.grad(y.square().sum(), list(module.parameters())))

    pairs = zip(gradients(net, x), gradients(exact, x.double()), strict=True)
    assert max(((g - w).abs().max() / w.abs().max()).item() for g, w in pairs) < 1e-5


def test_bfloat16_autocast_does_not_drift():
    net, x = layer().eval(), torch.randn(1, 1000, D)
    with torch.no_grad():
        want = net(x, whole(1, 1000))
        with torch.autocast("cpu", torch.bfloat16):
            got = net(x, whole(1, 1000)).float()
    error = (got - want).abs()
    assert error.max() / want.abs().max() < 0.05
    assert error[:, 900:].mean() < 3 * error[:, :100].mean()
