"""The Mamba layer as one function against its plain form in float64: outputs, states and all gradients."""

from __future__ import annotations

import sys

import pytest
import torch
from synth.mamba_layers import case, layer, results
from synth.scans import apart

from vacli.models import mamba, mamba_fused, mamba_loops
from vacli.models.heads import zero_padding
from vacli.models.mamba import Mamba
from vacli.models.mamba_tiles import STRIDE
from vacli.runtime import jit

# batch, frames, width, states, kernel
SHAPES = [
    (1, 1, 8, 3, 3),
    (2, STRIDE, 24, 5, 4),  # one checkpoint exactly
    (2, 2 * STRIDE + 3, 24, 5, 2),  # a short last segment
    (3, 70, 100, 32, 4),  # several blocks of channels
    (2, 2, 16, 4, 4),  # fewer frames than taps
]


def fused(net: Mamba, x: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return mamba_fused.layer(x, mask, net.weights())


@pytest.mark.parametrize("shape", SHAPES)
def test_fused_layer_agrees_with_the_plain_form_in_float64(shape):
    net, x, mask = case(shape)
    got = results(lambda x: fused(net, x, mask), net, x)
    exact = layer(*shape[2:]).double()
    want = results(lambda x: exact.plain(zero_padding(x, mask), mask), exact, x.double())
    moving = [(g, w) for g, w in zip(got, want, strict=True) if w.any()]
    still = [g for g, w in zip(got, want, strict=True) if not w.any()]
    assert apart(*map(list, zip(*moving, strict=True))) < 1e-5
    assert not any(g.any() for g in still)  # one frame has no state before it


def test_norm_before_the_layer_agrees_with_the_plain_form_in_float64():
    net, x, mask = case(SHAPES[2])
    norm = torch.nn.LayerNorm(x.shape[-1])
    with torch.no_grad():
        norm.weight.normal_()
        norm.weight[0] = 0.0
        norm.bias.normal_()
    both = torch.nn.ModuleList([net, norm])
    got = results(lambda x: net.after_norm(x, mask, norm), both, x)
    assert mamba_fused.normed_layer(x, mask, net.weights(), norm)[1].equal(got[1])
    exact = both.double()
    want = results(lambda x: net.after_norm(x, mask, norm), exact, x.double())
    assert apart(got, want) < 1e-5


def test_forward_of_the_module_is_the_fused_layer():
    net, x, mask = case(SHAPES[1])
    assert torch.equal(net(x, mask), fused(net, x, mask)[0])


def test_float64_uses_the_plain_form():
    net, x, mask = case(SHAPES[1])
    net, x = net.double(), x.double()
    assert net(x, mask).dtype == torch.float64
    assert torch.equal(net(x, mask), net.plain(zero_padding(x, mask), mask)[0])


def test_without_numba_the_plain_form_is_used(monkeypatch):
    net, x, mask = case(SHAPES[1])
    want = net(x, mask)
    monkeypatch.setitem(sys.modules, "vacli.models.mamba_fused", None)
    jit.import_loops.cache_clear()
    try:
        assert mamba._fused() is None
        torch.testing.assert_close(net(x, mask), want)
    finally:
        jit.import_loops.cache_clear()


def test_values_on_padding_change_nothing():
    net, x, mask = case(SHAPES[2])
    other = torch.where(mask.unsqueeze(-1), x, torch.nan)
    assert torch.equal(net(x, mask), net(other, mask))


def test_result_does_not_depend_on_threads():
    net, x, mask = case(SHAPES[3])
    before = torch.get_num_threads()
    try:
        made = []
        for threads in (1, 3):
            torch.set_num_threads(threads)
            made.append(results(lambda x: fused(net, x, mask), net, x))
    finally:
        torch.set_num_threads(before)
    assert apart(*made) < 1e-6


def test_autocast_rounds_the_products_only():
    net, x, mask = case(SHAPES[3])
    want = results(lambda x: fused(net, x, mask), net, x)
    with torch.autocast("cpu", torch.bfloat16):
        y = net(x, mask)
        got = results(lambda x: fused(net, x, mask), net, x)
    assert y.dtype == torch.bfloat16
    assert apart([g.float() for g in got], want) < 3e-2
    assert all(g.dtype == p.dtype for g, p in zip(got[3:], net.parameters(), strict=True))


def test_gradient_has_the_type_of_the_input():
    net, x, mask = case(SHAPES[1])
    half = x.bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        net(half, mask).float().sum().backward()
    assert half.grad.dtype == torch.bfloat16


def test_backward_pass_keeps_the_input_and_checkpoints():
    batch, frames, width, states, kernel = 2, 256, 64, 16, 4
    net, x = layer(width, states, kernel), torch.randn(batch, frames, width, requires_grad=True)
    mask = torch.ones(batch, frames, dtype=torch.bool)
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
        net.after_norm(x, mask, torch.nn.LayerNorm(width))
    parameters = sum(p.numel() for p in net.parameters())
    a_frame = width + net.dt_rank + 2 * states + net.inner * states / STRIDE + 1
    once = parameters + net.inner * states + 2 * width  # and -exp(A_log), and those of the norm
    assert sum(kept.values()) <= 4 * (once + batch * frames * a_frame)


def test_without_gradients_no_checkpoints_are_kept():
    net, x, mask = case(SHAPES[2])
    with torch.no_grad():
        quiet = fused(net, x, mask)
    loud = fused(net, x, mask)
    assert all(torch.equal(q, v.detach()) for q, v in zip(quiet, loud, strict=True))


def test_empty_inputs_give_empty_outputs():
    net = layer(8, 3, 4)
    for batch, frames in ((2, 0), (0, 5)):
        x = torch.randn(batch, frames, 8, requires_grad=True)
        y = net(x, torch.ones(batch, frames, dtype=torch.bool))
        assert y.shape == (batch, frames, 8)
        y.sum().backward()
        assert x.grad.shape == x.shape


@pytest.mark.filterwarnings("ignore")  # torch warns of each function that it does not trace
def test_compiled_model_gives_the_same_values_and_gradients():
    net, x, mask = case(SHAPES[1])
    compiled = torch.compile(net, backend="eager")
    want = results(lambda x: (net(x, mask),), net, x)
    assert apart(results(lambda x: (compiled(x, mask),), net, x), want) < 1e-6


def test_a_state_that_decays_becomes_zero_and_torch_keeps_small_numbers():
    net, frames = layer(16, 4, 4), 3000
    with torch.no_grad():
        net.dt_proj.bias.fill_(1.0)  # a step of 1.3: a memory of few frames
    mask = torch.zeros(1, frames, dtype=torch.bool)
    mask[0, :5] = True
    with torch.no_grad():
        _, last = fused(net, torch.randn(1, frames, 16), mask)
    assert not last.any()
    small = torch.full((64,), 1e-39)
    assert (small * 1.0).all()
    parts = [fused(net, torch.randn(1, n, 16), mask[:, :n])[1] for n in range(60, 90)]
    smallest = torch.finfo(torch.float32).smallest_normal
    assert all(((h == 0) | (h.abs() >= smallest)).all() for h in parts)


@pytest.mark.parametrize(
    ("batch", "threads", "want"),
    [
        (8, 2, (512, 8)),
        (2, 2, (512, 2)),
        (1, 2, (256, 2)),
        (3, 2, (256, 6)),
        (1, 32, (64, 8)),
        (0, 2, (256, 0)),
    ],
)
def test_each_thread_gets_as_many_blocks_of_channels(monkeypatch, batch, threads, want):
    monkeypatch.setattr(mamba_loops, "LANES", 16)
    assert mamba_loops.split(batch, 512, threads) == want
