"""`models.arrays.ArrayNet` as a `sliding_window.Network`, and frame by frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from vacli.inference.sliding_window import SlidingWindowPredictor
from vacli.models import array_steps
from vacli.models.arrays import ArrayNet
from vacli.recipe.schema import Window
from vacli.sequences.normalization import Normalisation, standardise


class ArrayPredictor(SlidingWindowPredictor):
    """A NumPy network with its input standardisation, applied to whole videos."""

    def __init__(self, net: ArrayNet, normalisation: Normalisation, clip_z: float, window: Window) -> None:
        super().__init__(_Standardised(net, normalisation, clip_z), window, net.causal)

    @property
    def standardised(self) -> _Standardised:
        """The network with its standardisation."""
        assert isinstance(self.network, _Standardised)
        return self.network


class _Standardised:
    def __init__(self, net: ArrayNet, normalisation: Normalisation, clip_z: float) -> None:
        self.net, self.normalisation, self.clip_z = net, normalisation, clip_z

    def __call__(
        self, streams: Mapping[str, np.ndarray], mask: np.ndarray, availability: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        return self.net(self.normalisation.apply(streams, self.clip_z), mask, availability)


class ArrayEnsembleStepper:
    """The models of a run as a `step_predictor.EnsembleStepper`."""

    def __init__(self, members: Sequence[ArrayPredictor]) -> None:
        networks = [member.standardised for member in members]
        self._stepper = array_steps.ArrayStepper([network.net for network in networks])
        self._clip_z = networks[0].clip_z
        names = networks[0].normalisation.mean
        self._mean, self._std = (
            {
                name: np.stack([getattr(n.normalisation, part)[name] for n in networks])[:, None]
                for name in names
            }
            for part in ("mean", "std")
        )

    def initial_state(self, batch: int) -> array_steps.State:
        """See `EnsembleStepper`."""
        return self._stepper.initial_state(batch)

    def select(self, state: array_steps.State, slots: Sequence[int | None]) -> array_steps.State:
        """See `EnsembleStepper`."""
        return array_steps.select(state, slots)

    def step(
        self,
        streams: Mapping[str, np.ndarray],
        availability: Mapping[str, np.ndarray],
        state: array_steps.State,
    ) -> tuple[np.ndarray, array_steps.State]:
        """See `EnsembleStepper`."""
        rows = {
            name: standardise(x, self._mean[name], self._std[name], self._clip_z)
            for name, x in streams.items()
        }
        values, after = self._stepper.step(rows, availability, state)
        return values.swapaxes(0, 1), after
