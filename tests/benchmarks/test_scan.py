"""The selective scan, forward and backward, against mambapy's parallel scan; and over 100,000 steps."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter

import pytest
import torch
from synth.scans import apart, doubled, scan_inputs
from torch import Tensor

from vacli.models.scan import selective_scan

SHAPE = (16, 300, 256, 8)


def ours(given: list[Tensor], weight: Tensor, backend: str | None = None) -> list[Tensor]:
    y, _ = selective_scan(*given[:5], backend=backend)
    return [y.detach(), *torch.autograd.grad(y, given[:5], weight)]


def plain(given: list[Tensor], weight: Tensor) -> list[Tensor]:
    """The part of mambapy between its projections."""
    pscan = pytest.importorskip("mambapy.pscan", reason="needs mambapy to compare with").pscan
    x, dt, a, b, c, _ = given
    states = pscan(torch.exp(dt.unsqueeze(-1) * a), (dt * x).unsqueeze(-1) * b.unsqueeze(2))
    y = (states @ c.unsqueeze(-1)).squeeze(-1)
    return [y.detach(), *torch.autograd.grad(y, given[:5], weight)]


def seconds(function: Callable[[], object]) -> float:
    start = perf_counter()
    function()
    return perf_counter() - start


def test_selective_scan_forward_and_backward(benchmark):
    given = scan_inputs(SHAPE)
    weight = torch.randn(SHAPE[:3])
    few = [t.detach()[:2] if t.dim() == 3 else t.detach() for t in given]
    few = [t.requires_grad_() for t in few]
    error = apart(ours(few, weight[:2]), ours(doubled(few), weight[:2].double(), "reference"))
    assert apart(ours(few, weight[:2]), plain(few, weight[:2])) < 1e-4
    pairs = [(seconds(lambda: plain(given, weight)), seconds(lambda: ours(given, weight))) for _ in range(9)]
    benchmark.pedantic(ours, (given, weight), rounds=9)
    benchmark.extra_info.update(
        ratio=median(p for p, _ in pairs) / median(o for _, o in pairs),
        ratio_of_best=min(p for p, _ in pairs) / min(o for _, o in pairs),
        bound=20.0,
        error=error,
        error_bound=1e-4,
        threads=torch.get_num_threads(),
    )
    assert error < 1e-4


def test_time_of_a_step_is_the_same_in_a_sequence_of_100_000(benchmark):
    """`ratio`: time a step at 10,000 steps over time a step at 100,000; 1 is linear."""
    long = scan_inputs((1, 100_000, 64, 8))
    short = [(t.detach()[:, :10_000] if t.dim() == 3 else t.detach()).requires_grad_() for t in long]
    weights = [torch.randn(1, n, 64) for n in (10_000, 100_000)]
    error = apart(ours(short, weights[0])[:1], [ours(long, weights[1])[0][:, :10_000]])
    pairs = [
        (seconds(lambda: ours(short, weights[0])), seconds(lambda: ours(long, weights[1]))) for _ in range(5)
    ]
    benchmark.pedantic(ours, (long, weights[1]), rounds=3)
    benchmark.extra_info.update(
        ratio=10 * min(s for s, _ in pairs) / min(n for _, n in pairs),
        bound=0.5,
        error=error,
        error_bound=1e-5,
    )
    assert error < 1e-5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_triton_against_the_kernel_of_mamba_ssm(benchmark):
    """`ratio`: mamba-ssm's time over Triton's, forward and backward; 1 / 1.3 is asked for."""
    pytest.importorskip("mamba_ssm", reason="needs mamba-ssm, built for this torch")
    given = [t.detach().cuda().requires_grad_() for t in scan_inputs(SHAPE)]
    weight = torch.randn(SHAPE[:3], device="cuda")

    def run(backend: str) -> list[Tensor]:
        made = ours(given, weight, backend)
        torch.cuda.synchronize()
        return made

    error = apart([t.cpu() for t in run("triton")], [t.cpu() for t in run("mamba_ssm")])
    assert error < 1e-4
    pairs = [(seconds(lambda: run("mamba_ssm")), seconds(lambda: run("triton"))) for _ in range(9)]
    benchmark.pedantic(run, ("triton",), rounds=9)
    benchmark.extra_info.update(
        ratio=median(p for p, _ in pairs) / median(o for _, o in pairs), bound=1 / 1.3, error=error
    )
