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
    def __call__(
        self, streams: Mapping[str, np.ndarray], mask: np.ndarray, availability: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        training = self.net.training
        self.net.eval()
        rows, weights = self._tensors(streams), self._tensors(availability)
        values = self.net(self._standardiser(rows), torch.from_numpy(mask).to(self._device), weights)
        self.net.train(training)
        return values.float().cpu().numpy()

    def _tensors(self, arrays: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
        return {name: torch.from_numpy(x).to(self._device) for name, x in arrays.items()}
