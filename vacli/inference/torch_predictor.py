"""A torch network as a `sliding_window.Network`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from vacli.inference.sliding_window import SlidingWindowPredictor
from vacli.recipe.schema import Window
from vacli.sequences.dataset import Standardiser


class TorchPredictor(SlidingWindowPredictor):
    """A torch network with its input standardisation, applied to whole videos."""

    def __init__(
        self, net: nn.Module, standardiser: Standardiser, window: Window, device: torch.device
    ) -> None:
        super().__init__(_OnDevice(net, standardiser, device), window, getattr(net, "causal", False))

    @property
    def net(self) -> nn.Module:
        """The torch network."""
        assert isinstance(self.network, _OnDevice)
        return self.network.net


class _OnDevice:
    def __init__(self, net: nn.Module, standardiser: Standardiser, device: torch.device) -> None:
        self.net, self._standardiser, self._device = net, standardiser, device

    @torch.inference_mode()
    def __call__(self, streams: Mapping[str, np.ndarray], mask: np.ndarray) -> np.ndarray:
        training = self.net.training
        self.net.eval()
        there = {name: torch.from_numpy(x).to(self._device) for name, x in streams.items()}
        values = self.net(self._standardiser(there), torch.from_numpy(mask).to(self._device))
        self.net.train(training)
        return values.float().cpu().numpy()
