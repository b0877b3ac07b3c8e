"""Several processes, one loss: what torchrun starts and what its ranks add up."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class World:
    """This process among those that train together; a lone process is rank 0 of 1."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and talks."""
        return self.rank == 0


@contextmanager
def world(device_type: str) -> Iterator[World]:
    """Join the processes that torchrun started (it sets WORLD_SIZE), leave them at the end."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield World()
        return
    distributed.init_process_group("nccl" if device_type == "cuda" else "gloo")
    try:
        yield World(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


def total(sums: Tensor) -> Tensor:
    """The sum over all ranks, differentiable; the argument itself in a lone process."""
    return _Total.apply(sums) if distributed.is_initialized() else sums


class _Total(torch.autograd.Function):
    """All-reduce whose gradient suits a loss that every rank computes from the same totals.

    The ranks' losses are equal, so the gradient of their sum is size times the local one, and the
    mean over ranks that DistributedDataParallel takes makes of it the gradient of one loss.
    """

    @staticmethod
    def forward(ctx: Any, sums: Tensor) -> Tensor:
        added = sums.clone()
        distributed.all_reduce(added)
        return added

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * distributed.get_world_size()
