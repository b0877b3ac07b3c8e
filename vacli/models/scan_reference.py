"""The selective scan as in the paper, step by step, for any dtype and device.

Gu and Dao 2023, arXiv 2312.00752, algorithm 2; b is discretised by Euler's rule as there:

    h_t = exp(dt_t a) h_(t-1) + dt_t x_t b_t          y_t = sum over n of c_t[n] h_t[n]

The fast backends are tested against it; it runs where none of them is available.
"""

from __future__ import annotations

import torch
from torch import Tensor


def scan(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """x, dt (B, L, E); a (E, N); b, c (B, L, N); state (B, E, N) -> y (B, L, E), last state.

    The loop goes over unbound steps: indexing `decays[:, t]` would make autograd add a tensor of the
    whole sequence at every step.
    """
    decays = torch.exp(dt.unsqueeze(-1) * a)
    inputs = (dt * x).unsqueeze(-1) * b.unsqueeze(2)
    outputs = []
    for decay, into, read in zip(decays.unbind(1), inputs.unbind(1), c.unbind(1), strict=True):
        state = decay * state + into
        outputs.append((state @ read.unsqueeze(-1)).squeeze(-1))
    return (torch.stack(outputs, dim=1) if outputs else torch.zeros_like(x)), state
