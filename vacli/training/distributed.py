"""Several processes, one loss: what torchrun starts and what its ranks add up."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class World:
    """This process among those that train together; a lone process is rank 0 of 1."""

    rank: int = 0
    size: int = 1
    device: torch.device = torch.device("cpu")

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and talks."""
        return self.rank == 0

    def seed(self, *parts: int) -> int:
        """A seed of this rank's own for the numbers given, such as the run's seed and the epoch."""
        return int(np.random.SeedSequence([*parts, self.rank]).generate_state(1)[0])

    def wait(self) -> None:
        """Go on when every rank is here."""
        if self.size > 1:
            distributed.barrier()

    def gather(self, row: Tensor) -> list[Tensor]:
        """The same-shaped tensor of every rank, in order of ranks, on the CPU."""
        mine = row.to(self.device)
        rows = [torch.empty_like(mine) for _ in range(self.size)]
        distributed.all_gather(rows, mine)
        return [other.cpu() for other in rows]


@contextmanager
def world(device: torch.device) -> Iterator[World]:
    """Join the processes that torchrun started (it sets WORLD_SIZE), leave them at the end.

    With several GPUs each process takes the one of its LOCAL_RANK.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield World(device=device)
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield World(distributed.get_rank(), distributed.get_world_size(), device)
    finally:
        distributed.destroy_process_group()


def parallel(net: nn.Module, here: World) -> nn.Module:
    """The network as all ranks train it: gradients averaged, batch norm over all ranks on GPUs.

    On CPUs batch norm sees the rank's own frames: torch has no synchronised one there.
    """
    if here.size == 1:
        return net
    if here.device.type == "cuda":
        net = nn.SyncBatchNorm.convert_sync_batchnorm(net)
    return DistributedDataParallel(net)


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
