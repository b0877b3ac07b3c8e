"""The parameters of a Mamba layer in the forms that its compiled loops read."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vacli.models.mamba_tiles import GROUP
from vacli.models.scan_numba import as_arrays
from vacli.runtime.simd import LANES


class Weights(NamedTuple):
    """The parameters of a layer, named as in `mamba.Mamba`."""

    in_proj: Tensor  # (2E, D)
    taps: Tensor  # (E, 1, K), conv1d.weight
    taps_bias: Tensor  # (E,)
    x_proj: Tensor  # (R + 2N, E)
    dt_proj: Tensor  # (E, R)
    dt_bias: Tensor  # (E,)
    A_log: Tensor  # (E, N)
    D: Tensor  # (E,)
    out_proj: Tensor  # (D, E)

    @property
    def channels(self) -> int:
        """E."""
        return self.D.shape[0]

    @property
    def states(self) -> int:
        """N."""
        return self.A_log.shape[1]

    @property
    def rank(self) -> int:
        """R."""
        return self.dt_proj.shape[1]

    @property
    def width(self) -> int:
        """K."""
        return self.taps.shape[-1]

    def kernel(self) -> np.ndarray:
        """The convolution's weights (K, E), channels last."""
        return self.taps.detach().squeeze(1).T.contiguous().numpy()

    def a(self) -> Tensor:
        """(N, E)."""
        return -torch.exp(self.A_log.T.contiguous())

    def others(self) -> tuple[np.ndarray, ...]:
        """The parameters of the scan that follow a: dt_proj (R, E), dt's bias and D (E,)."""
        return as_arrays((self.dt_proj.T.contiguous(), self.dt_bias, self.D))


def padded(weights: Weights) -> Weights:
    """The weights with zeros for more channels and states, as the loops need them."""
    channels, states = -weights.channels % LANES, -weights.states % GROUP
    if not channels and not states:
        return weights
    low, b, c = weights.x_proj.split([weights.dt_proj.shape[1], weights.states, weights.states])
    rows, columns, both = (0, 0, 0, channels), (0, channels), (0, channels, 0, states)
    halves = weights.in_proj.chunk(2)
    return Weights(
        in_proj=torch.cat([F.pad(half, rows) for half in halves]),
        taps=F.pad(weights.taps, (0, 0, 0, 0, 0, channels)),
        taps_bias=F.pad(weights.taps_bias, columns),
        x_proj=torch.cat([F.pad(low, columns), F.pad(b, both), F.pad(c, both)]),
        dt_proj=F.pad(weights.dt_proj, rows),
        dt_bias=F.pad(weights.dt_bias, columns),
        A_log=F.pad(weights.A_log, (0, states, 0, channels)),
        D=F.pad(weights.D, columns),
        out_proj=F.pad(weights.out_proj, columns),
    )
