"""Mamba layers with inputs, and their outputs and gradients."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from vacli.models.mamba import Mamba
from vacli.recipe import schema as recipe


def layer(width: int, states: int, kernel: int) -> Mamba:
    """A layer whose D and bias of the convolution are not those of a new one."""
    torch.manual_seed(0)
    net = Mamba(width, recipe.Mamba(d_state=states, d_conv=kernel))
    with torch.no_grad():
        net.D.normal_()
        net.conv1d.bias.normal_()
    return net


def case(shape: tuple[int, int, int, int, int]) -> tuple[Mamba, torch.Tensor, torch.Tensor]:
    """A layer, its input and a mask with padding, for (batch, frames, width, states, kernel)."""
    batch, frames, width, states, kernel = shape
    net = layer(width, states, kernel)
    mask = torch.ones(batch, frames, dtype=torch.bool)
    if frames > 2:
        mask[0, frames // 3 :] = False
        mask[-1, 1] = False
    return net, torch.randn(batch, frames, width), mask


def results(
    run: Callable[[torch.Tensor], tuple[torch.Tensor, ...]], net: nn.Module, x: torch.Tensor
) -> list[torch.Tensor]:
    """Output, last state and the gradients by input and parameters, for fixed weights on both outputs."""
    x = x.clone().requires_grad_()
    made = run(x)
    g = torch.Generator().manual_seed(9)
    weights = [torch.randn(out.shape, generator=g).to(out.dtype) for out in made]
    return [*(y.detach() for y in made), *torch.autograd.grad(made, [x, *net.parameters()], weights)]
