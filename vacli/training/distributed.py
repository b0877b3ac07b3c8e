"""Training with several processes that torchrun starts: one loss, sums over all ranks."""

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
    """This process and the number of processes that train together; a single process is rank 0 of 1."""

    rank: int = 0
    size: int = 1
    device: torch.device = torch.device("cpu")

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and messages."""
        return self.rank == 0

    def seed(self, *parts: int) -> int:
        """A seed for this rank from numbers such as the run's seed and the epoch."""
        return int(np.random.SeedSequence([*parts, self.rank]).generate_state(1)[0])

    def wait(self) -> None:
        """Wait for all ranks."""
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
    """Join the process group of torchrun (which sets WORLD_SIZE), and leave it at the end.

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
        distributed.barrier()  # a rank that leaves early would close the connection of the others
    finally:
        distributed.destroy_process_group()


def parallel(net: nn.Module, here: World) -> nn.Module:
    """The network for all ranks: averaged gradients, and batch norm over the frames of all ranks."""
    if here.size == 1:
        return net
    if here.device.type == "cuda":
        net = nn.SyncBatchNorm.convert_sync_batchnorm(net)
    else:
        _share_norms(net)
    return DistributedDataParallel(net)


def all_reduce_sum(sums: Tensor) -> Tensor:
    """The sum over all ranks, differentiable; the unchanged argument in a single process."""
    return _AllReduceSum.apply(sums) if distributed.is_initialized() else sums


class SharedNorm(nn.BatchNorm1d):
    """Batch norm of (N, C) with the mean and variance of all ranks' rows; torch's own needs a GPU."""

    num_batches_tracked: Tensor
    running_mean: Tensor
    running_var: Tensor
    momentum: float

    def forward(self, x: Tensor) -> Tensor:
        """Rows (N, C), normalized by the mean and variance of all processes together."""
        if not self.training:
            return super().forward(x)
        exact = x.to(self.running_mean.dtype)  # autocast gives half precision
        sums = all_reduce_sum(torch.cat([exact.sum(0), exact.new_tensor([len(x)])]))
        rows = sums[-1].detach()
        mean = sums[:-1] / rows
        variance = all_reduce_sum((exact - mean).square().sum(0)) / rows
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * rows / (rows - 1), self.momentum)
        return ((exact - mean) * torch.rsqrt(variance + self.eps) * self.weight + self.bias).to(x.dtype)


def _share_norms(net: nn.Module) -> None:
    """Replace every batch norm by a SharedNorm with the same parameters and buffers."""
    for module in list(net.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm1d):
                shared = SharedNorm(child.num_features, child.eps, child.momentum)
                for kept in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
                    setattr(shared, kept, getattr(child, kept))
                setattr(module, name, shared)


class _AllReduceSum(torch.autograd.Function):
    """All-reduce whose gradient is the all-reduced gradient.

    A loss that all ranks compute from the same sums has its gradient once per rank. The mean over ranks in
    DistributedDataParallel turns these into the gradient of one loss.
    """

    @staticmethod
    def forward(ctx: Any, sums: Tensor) -> Tensor:
        return _AllReduceSum._all_reduced(sums)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _AllReduceSum._all_reduced(gradient)

    @staticmethod
    def _all_reduced(values: Tensor) -> Tensor:
        added = values.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(added)
        return added
