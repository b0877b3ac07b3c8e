"""A torch network as a `sliding_window.Network`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from vacli.inference.sliding_window import SlidingWindowPredictor
from vacli.models.base import select
from vacli.models.network import VaNet
from vacli.recipe.schema import Window
from vacli.sequences.dataset import Standardiser


class TorchPredictor(SlidingWindowPredictor):
    """A torch network with its input standardisation, applied to whole videos."""

    def __init__(
        self, net: nn.Module, standardiser: Standardiser, window: Window, device: torch.device
    ) -> None:
        super().__init__(_OnDevice(net, standardiser, device), window, getattr(net, "causal", False))

    @property
    def on_device(self) -> _OnDevice:
        """The torch network with its standardisation."""
        assert isinstance(self.network, _OnDevice)
        return self.network

    @property
    def net(self) -> nn.Module:
        """The torch network."""
        return self.on_device.net


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

    @torch.inference_mode()
    def step(
        self, streams: Mapping[str, np.ndarray], availability: Mapping[str, np.ndarray], state: Any
    ) -> tuple[np.ndarray, Any]:
        """One frame (B, D) a stream -> (B, 2) and the state after it."""
        rows, weights = self._tensors(streams), self._tensors(availability)
        values, after = cast(VaNet, self.net.eval()).step(self._standardiser(rows), state, weights)
        return values.float().cpu().numpy(), after

    def _tensors(self, arrays: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
        return {name: torch.from_numpy(x).to(self._device) for name, x in arrays.items()}


class TorchEnsembleStepper:
    """The models of a run as a `step_predictor.EnsembleStepper`."""

    def __init__(self, members: Sequence[TorchPredictor]) -> None:
        self._networks = [member.on_device for member in members]

    @torch.inference_mode()
    def initial_state(self, batch: int) -> tuple[Any, ...]:
        """See `EnsembleStepper`."""
        return tuple(cast(VaNet, network.net).initial_state(batch) for network in self._networks)

    @torch.inference_mode()
    def select(self, state: tuple[Any, ...], slots: Sequence[int | None]) -> tuple[Any, ...]:
        """See `EnsembleStepper`."""
        return tuple(select(one, slots) for one in state)

    def step(
        self,
        streams: Mapping[str, np.ndarray],
        availability: Mapping[str, np.ndarray],
        state: tuple[Any, ...],
    ) -> tuple[np.ndarray, tuple[Any, ...]]:
        """See `EnsembleStepper`."""
        stepped = [n.step(streams, availability, s) for n, s in zip(self._networks, state, strict=True)]
        return np.stack([values for values, _ in stepped], axis=1), tuple(after for _, after in stepped)
