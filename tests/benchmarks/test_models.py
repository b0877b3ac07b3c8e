"""Networks: one frame at a time against the window again for each frame; Mamba against Transformer."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter, process_time

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vacli.models import shifted_products
from vacli.models.build import build
from vacli.models.dropout import Dropout
from vacli.models.mamba import MambaEncoder
from vacli.models.products import linear
from vacli.models.tcn import DilatedConv
from vacli.models.transformer import TransformerEncoder
from vacli.recipe import schema as recipe
from vacli.recipe.presets import COMPACT, PRESETS
from vacli.runtime.allocator import keep_freed_memory
from vacli.training.optim import adamw

WINDOW = 300


def seconds(function: Callable[[], object]) -> float:
    start = perf_counter()
    function()
    return perf_counter() - start


@pytest.fixture(autouse=True, scope="module")
def memory_of_va_train():
    """All steps are measured with the allocator as `va train` sets it."""
    keep_freed_memory()


@pytest.fixture
def one_thread():
    """One thread: a frame is too small for more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
@torch.no_grad()
def test_streaming_step_of_compact(benchmark):
    """`ratio`: running the window of 300 frames for each new one, over one step."""
    net = build(COMPACT.model).eval()
    streams = {name: torch.randn(1, WINDOW, width) for name, width in net.widths.items()}
    mask = torch.ones(1, WINDOW, dtype=torch.bool)
    whole = net(streams, mask)
    state, frames, times, busy = net.initial_state(1), [], [], []
    for t in range(WINDOW):
        frame = {name: x[:, t] for name, x in streams.items()}
        start, start_busy = perf_counter(), process_time()
        y, state = net.step(frame, state)
        times.append(perf_counter() - start)
        busy.append(process_time() - start_busy)
        frames.append(y)
    plain = median(seconds(lambda: net(streams, mask)) for _ in range(9))
    benchmark(net.step, frame, state)
    error = (torch.stack(frames, 1) - whole).abs().max().item()
    benchmark.extra_info.update(
        ratio=plain / median(times),
        bound=1.0,
        error=error,
        error_bound=1e-4,
        step_ms=1e3 * median(times),
        step_ms_of_cpu_time=1e3 * median(busy),
        step_ms_bound=2.0,
    )
    assert error < 1e-4


def encoders(device: str) -> dict[str, torch.nn.Module]:
    """Table III's two temporal modules, here of one width and depth."""
    attention = recipe.Transformer(n_layers=4, d_model=256, dim_feedforward=256, dropout=0.0)
    return {
        "mamba": MambaEncoder(256, recipe.Mamba(n_layers=4, d_model=256, d_state=32)).to(device),
        "transformer": TransformerEncoder(256, attention).to(device),
    }


def train_step(encoder: torch.nn.Module, x: Tensor, mask: Tensor) -> None:
    encoder(x, mask).square().mean().backward()
    if x.is_cuda:
        torch.cuda.synchronize()


def kept_bytes(encoder: torch.nn.Module, x: Tensor, mask: Tensor) -> int:
    """Bytes of distinct memory that autograd keeps between the forward and the backward pass."""
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
        encoder(x, mask)
    return sum(kept.values())


def pairs(first: Callable[[], object], second: Callable[[], object]) -> tuple[float, list[float]]:
    """The ratio of the times, first over second: of the medians, and of each of the alternating pairs."""
    first(), second()
    times = [(seconds(first), seconds(second)) for _ in range(5)]
    return median(a for a, _ in times) / median(b for _, b in times), sorted(a / b for a, b in times)


def batch_for(device: str, batch: int, length: int) -> tuple[Tensor, Tensor]:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    x = torch.randn(batch, length, 256, device=device)
    return x, torch.ones(batch, length, dtype=torch.bool, device=device)


@pytest.mark.parametrize(("length", "bound"), [(300, 1.0), (1000, 1 / 0.7), (4000, 1 / 0.4)])
@pytest.mark.parametrize(("device", "batch"), [("cpu", 2), ("cpu", 8), ("cuda", 16)])
def test_training_mamba_and_transformer_of_one_width_and_depth(benchmark, device, batch, length, bound):
    """`ratio`: a training step of the Transformer over one of Mamba, 4 layers of 256; and what they keep."""
    x, mask = batch_for(device, batch, length)
    both = encoders(device)
    mamba, transformer = both["mamba"], both["transformer"]
    ratio, spread = pairs(lambda: train_step(transformer, x, mask), lambda: train_step(mamba, x, mask))
    benchmark.pedantic(train_step, (mamba, x, mask), rounds=3)
    kept_mib = {name: kept_bytes(e, x, mask) / 2**20 for name, e in both.items()}
    with torch.no_grad():
        error = (mamba.layers[0](x, mask) - mamba.layers[0].plain(x, mask)[0]).abs().max().item()
    benchmark.extra_info.update(
        ratio=ratio,
        ratio_of_pairs=spread,
        bound=bound,
        error=error,
        error_bound=1e-4,
        kept_mib=kept_mib,
        kept_share=kept_mib["mamba"] / kept_mib["transformer"],
        kept_share_bound=0.6,
    )
    assert error < 1e-4


@torch.no_grad()
@pytest.mark.parametrize("batch", [2, 8])
def test_inference_of_mamba_and_transformer_of_one_width_and_depth(benchmark, batch):
    """`ratio`: 1,000 frames through the Transformer over Mamba, on a CPU."""
    x, mask = batch_for("cpu", batch, 1000)
    both = encoders("cpu")
    mamba, transformer = both["mamba"].eval(), both["transformer"].eval()
    ratio, spread = pairs(lambda: transformer(x, mask), lambda: mamba(x, mask))
    benchmark.pedantic(mamba, (x, mask), rounds=3)
    error = (mamba.layers[0](x, mask) - mamba.layers[0].plain(x, mask)[0]).abs().max().item()
    benchmark.extra_info.update(
        ratio=ratio, ratio_of_pairs=spread, bound=1 / 0.5, error=error, error_bound=1e-4
    )
    assert error < 1e-4


def test_dropout(benchmark):
    """`ratio`: torch's dropout over that of this package, forward and back, on a CPU."""
    x, p = torch.randn(16, 300, 96, requires_grad=True), 0.2

    def gradient(net: torch.nn.Module) -> Tensor:
        return torch.autograd.grad(net(x).sum(), x)[0]

    ratio, spread = pairs(lambda: gradient(torch.nn.Dropout(p)), lambda: gradient(Dropout(p)))
    g = benchmark.pedantic(gradient, (Dropout(p),), rounds=3)
    error = abs((g == 0).double().mean().item() - p)
    benchmark.extra_info.update(ratio=ratio, ratio_of_pairs=spread, bound=1.0, error=error, error_bound=4e-3)
    assert error < 4e-3


PRODUCTS = re.compile(
    r"aten::(mm|bmm|addmm|addmm_|baddbmm|mkldnn_convolution|convolution_backward|.*attention.*)"
)


@pytest.mark.parametrize("preset", ["lightmamba", "bdca", "compact"])
def test_share_of_products_and_convolutions_in_a_training_step(benchmark, preset):
    """`ratio`: their part of the processor's time of a step at the preset's size, on a CPU.

    A large network has two windows a step: more take minutes.
    """
    chosen = PRESETS[preset]
    windows = chosen.training.batch_size if preset == "compact" else 2
    net = build(chosen.model).train()
    optimiser = adamw(net, chosen.training.optim)
    streams = {name: torch.randn(windows, WINDOW, width) for name, width in net.widths.items()}
    mask = torch.ones(windows, WINDOW, dtype=torch.bool)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        net(streams, mask).square().mean().backward()
        optimiser.step()

    step()
    benchmark.pedantic(step, rounds=2)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        step()
    busy = {event.key: event.self_cpu_time_total for event in profile.key_averages()}
    ratio = sum(time for name, time in busy.items() if PRODUCTS.fullmatch(name)) / sum(busy.values())
    rest = {name: time for name, time in busy.items() if not PRODUCTS.fullmatch(name)}
    largest = sorted(rest, key=rest.__getitem__, reverse=True)[:8]
    shares = {name: rest[name] / sum(busy.values()) for name in largest}
    benchmark.extra_info.update(ratio=ratio, bound=0.7, error=0.0, rest=shares)


STEPS = """
import sys
from statistics import median
from time import perf_counter
import torch
from vacli.models.build import build
from vacli.recipe.presets import PRESETS
from vacli.runtime.allocator import keep_freed_memory
from vacli.training.optim import adamw

if sys.argv[1] == "keep":
    keep_freed_memory()
torch.manual_seed(0)
chosen = PRESETS["bdca"]
net = build(chosen.model).train()
optimiser = adamw(net, chosen.training.optim)
streams = {name: torch.randn(2, 300, width) for name, width in net.widths.items()}
mask, times = torch.ones(2, 300, dtype=torch.bool), []
for _ in range(6):
    start = perf_counter()
    optimiser.zero_grad(set_to_none=True)
    loss = net(streams, mask).square().mean()
    loss.backward()
    optimiser.step()
    times.append(perf_counter() - start)
print(median(times[2:]), loss.item())
"""


def test_a_training_step_that_keeps_its_memory(benchmark):
    """`ratio`: a step of BDCA with glibc's own settings over one with those of `va train`."""

    def run(setting: str) -> tuple[float, float]:
        done = subprocess.run([sys.executable, "-c", STEPS, setting], capture_output=True, check=True)
        step_s, loss = map(float, done.stdout.split())
        return step_s, loss

    runs = [(run("plain"), run("keep")) for _ in range(3)]
    spread = sorted(plain[0] / kept[0] for plain, kept in runs)
    benchmark.pedantic(run, ("keep",), rounds=1)
    error = max(abs(plain[1] - kept[1]) for plain, kept in runs)
    benchmark.extra_info.update(
        ratio=median(spread), ratio_of_pairs=spread, bound=1.0, error=error, error_bound=1e-6
    )
    assert error < 1e-6


@torch.no_grad()
@pytest.mark.parametrize(("width", "outputs"), [(256, 1024), (512, 256)])
def test_products_of_many_rows(benchmark, width, outputs):
    """`ratio`: torch's product of 2,400 rows and a weight over `products.linear`: 1 if that is the same."""
    x, weight = torch.randn(2400, width), torch.randn(outputs, width)
    ratio, spread = pairs(lambda: F.linear(x, weight), lambda: linear(x, weight))
    benchmark(linear, x, weight)
    error = (linear(x, weight) - F.linear(x, weight)).abs().max().item()
    benchmark.extra_info.update(ratio=ratio, ratio_of_pairs=spread, bound=1.0, error=error, error_bound=1e-3)
    assert error < 1e-3


def test_training_of_a_wide_temporal_convolution(benchmark, monkeypatch):
    """`ratio`: torch's convolution over what `DilatedConv` uses (on Intel: products of shifted rows)."""
    net, x = DilatedConv((512, 256), 15, 8, causal=True), torch.randn(8, 300, 512, requires_grad=True)

    def gradients() -> list[Tensor]:
        return list(torch.autograd.grad(net(x.transpose(1, 2)).square().mean(), [x, *net.parameters()]))

    def torch_convolution() -> list[Tensor]:
        with monkeypatch.context() as patch:
            patch.setattr(shifted_products, "is_faster", lambda x, channels: False)
            return gradients()

    ratio, spread = pairs(torch_convolution, gradients)
    want, got = torch_convolution(), benchmark.pedantic(gradients, rounds=3)
    error = max(((g - w).norm() / w.norm()).item() for g, w in zip(got, want, strict=True))
    benchmark.extra_info.update(ratio=ratio, ratio_of_pairs=spread, bound=1.0, error=error, error_bound=1e-5)
    assert error < 1e-5
