"""The time and the memory of a training step of a temporal module without the rest of its network."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from time import perf_counter

import torch
from torch import Tensor, nn

from vacli.models.build import build
from vacli.recipe import schema as recipe

WINDOWS = 2  # of a step
STEPS = 3  # after one that is not counted


@dataclass(frozen=True)
class StepCost:
    """Median seconds of a step, forward and back, and the bytes that it keeps between them.

    The bytes are those of all tensors that autograd keeps, without the parameters.
    """

    seconds: float
    kept_bytes: int


def temporal_step_cost(trained: recipe.Recipe, device: str) -> StepCost | None:
    """The cost of a step of WINDOWS windows of random values; None for a model without a temporal module."""
    frames = trained.window.length_frames
    with torch.random.fork_rng():
        module = build(trained.model).temporal.to(device).train()
        if not any(True for _ in module.parameters()):
            return None
        x = torch.randn(WINDOWS, frames, module.in_dim, device=device)
        mask = torch.ones(WINDOWS, frames, dtype=torch.bool, device=device)
        _step(module, x, mask)
        seconds = median(_step(module, x, mask) for _ in range(STEPS))
        return StepCost(seconds, _kept_bytes(module, x, mask))


def _step(module: nn.Module, x: Tensor, mask: Tensor) -> float:
    module.zero_grad(set_to_none=True)
    _wait(x)
    start = perf_counter()
    module(x, mask).square().mean().backward()
    _wait(x)
    return perf_counter() - start


def _wait(x: Tensor) -> None:
    if x.is_cuda:
        torch.cuda.synchronize(x.device)


def _kept_bytes(module: nn.Module, x: Tensor, mask: Tensor) -> int:
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        y = module(x, mask)
    for parameter in module.parameters():
        kept.pop(parameter.untyped_storage().data_ptr(), None)
    del y
    return sum(kept.values())
