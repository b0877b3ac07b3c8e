"""The selective scan on a GPU in Triton, which comes with torch and needs no compiler at install time.

A program processes one sequence and a few channels in chunks of `CHUNK` steps. Within a chunk the
recurrence is an associative scan of pairs (decay, input); the state is carried from chunk to chunk. Each
chunk's first state is a checkpoint from which the backward pass recomputes the chunk, so nothing of size
(B, L, E, N) is stored. Every exponent is <= 0: no quotient of cumulative products is formed.

With TRITON_INTERPRET=1 in the environment the kernels run on a CPU, step by step, for tests.
"""

# mypy: allow-untyped-defs
# The types of these functions are Triton's.

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK = 32  # steps of a chunk
TILE = 2048  # steps x channels x states that a program holds at once: 16 registers a thread and array


@triton.jit
def _join(decay_1, input_1, decay_2, input_2):
    """Two segments of the recurrence, 1 before 2, as one."""
    return decay_1 * decay_2, decay_2 * input_1 + input_2


@triton.jit
def _load_chunk(x_ptr, dt_ptr, b_ptr, c_ptr, i, t, e, n, length, channels, states):
    """x, dt (T, e), b, c (T, n); past the end dt = 0, which leaves the state unchanged."""
    on_te = (t < length)[:, None] & (e < channels)[None, :]
    on_tn = (t < length)[:, None] & (n < states)[None, :]
    te = (i * length + t)[:, None] * channels + e[None, :]
    tn = (i * length + t)[:, None] * states + n[None, :]
    x = tl.load(x_ptr + te, on_te, 0.0)
    dt = tl.load(dt_ptr + te, on_te, 0.0)
    b = tl.load(b_ptr + tn, on_tn, 0.0)
    c = tl.load(c_ptr + tn, on_tn, 0.0)
    return x, dt, b, c, te, tn, on_te, on_tn


@triton.jit
def _states(x, dt, b, a, h):
    """Decays, inputs and states (T, e, n) of a chunk that starts from state h (e, n)."""
    decay = tl.exp(dt[:, :, None] * a[None, :, :])
    into = (dt * x)[:, :, None] * b[:, None, :]
    total, state = tl.associative_scan((decay, into), 0, _join)
    return decay, into, state + total * h[None, :, :]


@triton.jit
def _forward_kernel(
    x_ptr, dt_ptr, a_ptr, b_ptr, c_ptr, h0_ptr, y_ptr, last_ptr, checkpoints_ptr, length, channels,
    states: tl.constexpr, chunk: tl.constexpr, block: tl.constexpr, padded: tl.constexpr,
):  # fmt: skip
    i = tl.program_id(0).to(tl.int64)
    e = tl.program_id(1) * block + tl.arange(0, block)
    n = tl.arange(0, padded)
    steps = tl.arange(0, chunk)
    en = e[:, None] * states + n[None, :]
    on = (e < channels)[:, None] & (n < states)[None, :]
    a = tl.load(a_ptr + en, on, 0.0)
    h = tl.load(h0_ptr + i * channels * states + en, on, 0.0)
    chunks = tl.cdiv(length, chunk)
    for m in range(chunks):
        tl.store(checkpoints_ptr + (i * chunks + m) * channels * states + en, h, on)
        x, dt, b, c, te, _, on_te, _ = _load_chunk(
            x_ptr, dt_ptr, b_ptr, c_ptr, i, m * chunk + steps, e, n, length, channels, states
        )
        _, _, state = _states(x, dt, b, a, h)
        tl.store(y_ptr + te, tl.sum(state * c[:, None, :], 2), on_te)
        h = tl.sum(tl.where((steps == chunk - 1)[:, None, None], state, 0.0), 0)
    tl.store(last_ptr + i * channels * states + en, h, on)


@triton.jit
def _backward_kernel(
    x_ptr, dt_ptr, a_ptr, b_ptr, c_ptr, checkpoints_ptr, gy_ptr, glast_ptr,
    y_ptr, gx_ptr, gdt_ptr, ga_ptr, gb_ptr, gc_ptr, gh0_ptr, length, channels,
    states: tl.constexpr, chunk: tl.constexpr, block: tl.constexpr, padded: tl.constexpr,
):  # fmt: skip
    i = tl.program_id(0).to(tl.int64)
    e = tl.program_id(1) * block + tl.arange(0, block)
    n = tl.arange(0, padded)
    steps = tl.arange(0, chunk)
    en = e[:, None] * states + n[None, :]
    on = (e < channels)[:, None] & (n < states)[None, :]
    a = tl.load(a_ptr + en, on, 0.0)
    # The derivative by the chunk's last state, from the later steps.
    later = tl.load(glast_ptr + i * channels * states + en, on, 0.0)
    g_a = tl.zeros([block, padded], tl.float32)
    chunks = tl.cdiv(length, chunk)
    for back in range(chunks):
        m = chunks - 1 - back
        t = m * chunk + steps
        x, dt, b, c, te, tn, on_te, on_tn = _load_chunk(
            x_ptr, dt_ptr, b_ptr, c_ptr, i, t, e, n, length, channels, states
        )
        h = tl.load(checkpoints_ptr + (i * chunks + m) * channels * states + en, on, 0.0)
        decay, into, state = _states(x, dt, b, a, h)
        tl.store(y_ptr + te, tl.sum(state * c[:, None, :], 2), on_te)
        g_y = tl.load(gy_ptr + te, on_te, 0.0)
        # g_t = c_t g_y_t + decay_(t+1) g_(t+1): the same recurrence, from the end of the chunk.
        next_dt = tl.load(
            dt_ptr + te + channels, on_te & ((t + 1 < length) & (steps < chunk - 1))[:, None], 0.0
        )
        next_decay = tl.exp(next_dt[:, :, None] * a[None, :, :])
        wanted = g_y[:, :, None] * c[:, None, :]
        total, g = tl.associative_scan((next_decay, wanted), 0, _join, reverse=True)
        g = g + total * later[None, :, :]
        later = tl.sum(tl.where((steps == 0)[:, None, None], decay * g, 0.0), 0)
        g_exponent = g * (state - into)
        g_u = tl.sum(g * b[:, None, :], 2)
        g_dt = g_u * x + tl.sum(g_exponent * a[None, :, :], 2)
        tl.store(gx_ptr + te, g_u * dt, on_te)
        tl.store(gdt_ptr + te, g_dt, on_te)
        tl.atomic_add(gb_ptr + tn, tl.sum(g * (dt * x)[:, :, None], 1), on_tn)
        tl.atomic_add(gc_ptr + tn, tl.sum(g_y[:, :, None] * state, 1), on_tn)
        g_a += tl.sum(g_exponent * dt[:, :, None], 0)
    tl.store(ga_ptr + i * channels * states + en, g_a, on)
    tl.store(gh0_ptr + i * channels * states + en, later, on)


class Gradients(NamedTuple):
    """The output, computed again, and the derivatives by x, dt, a, b, c and the first state."""

    y: Tensor
    x: Tensor
    dt: Tensor
    a: Tensor
    b: Tensor
    c: Tensor
    state: Tensor


def forward(
    x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, state: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """y, the last state and the checkpoints that `backward` needs; all contiguous float32, as `scan`."""
    y, last = torch.empty_like(x), torch.empty_like(state)
    checkpoints = x.new_empty(x.shape[0], triton.cdiv(x.shape[1], CHUNK), *a.shape)
    grid, sizes = _launch(x, a)
    with torch.cuda.device_of(x):
        _forward_kernel[grid](x, dt, a, b, c, state, y, last, checkpoints, *x.shape[1:], **sizes)
    return y, last, checkpoints


def backward(inputs: Sequence[Tensor], checkpoints: Tensor, g_y: Tensor, g_last: Tensor) -> Gradients:
    """The derivatives by the inputs of `forward`, x, dt, a, b, c, all contiguous, and its output again."""
    x, dt, a, b, c = inputs
    g_a, g_state = x.new_empty(x.shape[0], *a.shape), torch.empty_like(g_last)
    made = (torch.empty_like(x), torch.empty_like(x), torch.empty_like(dt), g_a)
    sums = torch.zeros_like(b), torch.zeros_like(c)
    grid, sizes = _launch(x, a)
    with torch.cuda.device_of(x):
        _backward_kernel[grid](
            *inputs, checkpoints, g_y, g_last, *made, *sums, g_state, *x.shape[1:], **sizes
        )
    return Gradients(*made[:3], g_a.sum(0), *sums, g_state)


class _Scan(torch.autograd.Function):
    """The two kernels as one differentiable function of contiguous float32 tensors."""

    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        y, last, checkpoints = forward(*tensors)
        ctx.save_for_backward(*tensors[:5], checkpoints)
        return y, last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g_y: Tensor, g_last: Tensor) -> tuple[Tensor, ...]:
        *inputs, checkpoints = ctx.saved_tensors
        return backward(inputs, checkpoints, g_y.contiguous(), g_last.contiguous())[1:]


def scan(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """As scan_reference.scan, for float32 CUDA tensors."""
    return _Scan.apply(*(t.contiguous() for t in (x, dt, a, b, c, state)))


def _launch(x: Tensor, a: Tensor) -> tuple[tuple[int, int], dict[str, int]]:
    sizes = _sizes(a.shape[1])
    return (x.shape[0], triton.cdiv(x.shape[2], sizes["block"])), sizes


def _sizes(states: int) -> dict[str, int]:
    """The kernels' constants: `block` channels of `padded` states fill a tile."""
    padded = triton.next_power_of_2(states)
    return {"states": states, "chunk": CHUNK, "block": max(1, TILE // (CHUNK * padded)), "padded": padded}
