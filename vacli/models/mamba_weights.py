"""The parameters of a Mamba layer, in the forms that its fused functions read."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


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
        given = self.dt_proj.T.contiguous(), self.dt_bias, self.D
        return tuple(t.detach().numpy() for t in given)
