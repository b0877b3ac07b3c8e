"""The outputs of a run's causal models frame by frame, with constant memory.

`SlidingWindowPredictor` averages the windows that cover a frame, and each window of a causal model is a state
that starts anew at the window's first frame. So the windows that cover a frame are kept as states: as many as
overlap, each restarted when its window ends. The outputs equal those of the window path, except for the last
window of a finished video: it is moved back to end with the video, which a running source cannot anticipate.

Whole videos are predicted in windows: steps take 3 to 7 times as long, because a step reads all weights for
one frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast

import numpy as np

from vacli.errors import RunError, UsageError
from vacli.inference.array_predictor import ArrayEnsembleStepper, ArrayPredictor
from vacli.inference.run import Run


class EnsembleStepper(Protocol):
    """M causal models, one frame of B sequences at a time."""

    def initial_state(self, batch: int) -> Any:
        """The state before the first frame of `batch` sequences."""
        ...

    def select(self, state: Any, slots: Sequence[int | None]) -> Any:
        """The state of other sequences: slot k gets that of `slots[k]`, the initial one for None."""
        ...

    def step(
        self, streams: Mapping[str, np.ndarray], availability: Mapping[str, np.ndarray], state: Any
    ) -> tuple[np.ndarray, Any]:
        """Streams name -> (B, D), availability name -> (B,) -> (B, M, 2) float32 and the state after it."""
        ...


def ensemble_stepper(run: Run) -> EnsembleStepper:
    """The models of a run frame by frame.

    Raises UsageError if they depend on later frames, RunError if they read features of different encoders.
    """
    predictors = [member.predictor for member in run.members]
    if not all(predictor.network_causal for predictor in predictors):
        raise UsageError(
            f"{run.path} depends on later frames, so it cannot predict a live source",
            hint="use a causal model (temporal mamba or none, causal tcn, fusion concat), or a file",
        )
    if any(member.model != run.recipe.model for member in run.members):
        raise RunError(
            f"each fold of {run.path} has an encoder of its own, so the folds have no common input",
            hint=f"name one fold: {run.members[0].path}",
        )
    if all(isinstance(predictor, ArrayPredictor) for predictor in predictors):
        return ArrayEnsembleStepper(cast(list[ArrayPredictor], predictors))
    from vacli.inference.torch_predictor import TorchEnsembleStepper, TorchPredictor

    return TorchEnsembleStepper(cast(list[TorchPredictor], predictors))


class StepPredictor:
    """The outputs of a run's models for sequences that advance together, one frame a call.

    Sequences are numbered from 0; there is one at first. A smoothing run averages over the past half of its
    smoothing window only. Raises as `ensemble_stepper`.
    """

    def __init__(self, run: Run) -> None:
        self._stepper = ensemble_stepper(run)
        window = run.recipe.window
        self._length, self._stride = window.length_frames, window.stride_frames
        self._n_windows = -(-self._length // self._stride)  # that cover a frame
        self._n_smoothed = window.smooth_frames // 2 + 1
        self._state = self._stepper.initial_state(self._n_windows)
        shape = (self._n_windows, self._n_smoothed, len(run.members), 2)
        self._past = np.full(shape, np.nan, np.float32)  # the last outputs of each state, newest last
        self._n_frames = 0

    @property
    def n_sequences(self) -> int:
        """The number of sequences."""
        return len(self._past) // self._n_windows

    def select(self, sources: Sequence[int]) -> None:
        """Replace the sequences: number k continues the present number `sources[k]`."""
        slots = [source * self._n_windows + k for source in sources for k in range(self._n_windows)]
        self._state = self._stepper.select(self._state, slots)
        self._past = self._past[slots]

    def step(self, streams: Mapping[str, np.ndarray], availability: Mapping[str, np.ndarray]) -> np.ndarray:
        """One frame of S sequences: name -> (S, D) float32, NaN where missing, and name -> (S,) in [0, 1].

        Returns: (S, M, 2) float32 in [-1, 1], the outputs of M models.
        """
        if self._n_frames % self._stride == 0:
            self._restart(self._n_frames // self._stride % self._n_windows)
        rows = {name: np.repeat(x, self._n_windows, axis=0) for name, x in streams.items()}
        weights = {name: np.repeat(x, self._n_windows) for name, x in availability.items()}
        outputs, self._state = self._stepper.step(rows, weights, self._state)
        self._past = np.concatenate([self._past[:, 1:], outputs[:, np.newaxis]], axis=1)
        covering = self._covering()
        self._n_frames += 1
        past = self._past.reshape(-1, self._n_windows, *self._past.shape[1:])[:, covering]
        return np.nanmean(past, axis=2).mean(axis=1).clip(-1.0, 1.0)

    def _restart(self, window: int) -> None:
        """Begin the window again in every sequence."""
        slots = [None if slot % self._n_windows == window else slot for slot in range(len(self._past))]
        self._state = self._stepper.select(self._state, slots)
        self._past[window :: self._n_windows] = np.nan

    def _covering(self) -> list[int]:
        """The windows that cover the present frame."""
        last = self._n_frames // self._stride
        starts = range(max(0, last - self._n_windows + 1), last + 1)
        return [k % self._n_windows for k in starts if self._n_frames < k * self._stride + self._length]
