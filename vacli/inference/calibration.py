"""Calibration of a run: an error model for each state of a frame, measured on labelled videos."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vacli.inference.ensemble import EnsembleOutput
from vacli.inference.error_model import ErrorModel, Estimate, Pair
from vacli.inference.states import UNMEASURED, FrameState

VERSION = 4  # of calibration.json; 1 had no number, 2 and 1 scaled values up, 3 had no prior_growth
MIN_FRAMES = 200  # a state with fewer labelled frames is not calibrated
STATES_OF_VERSION_1 = {
    "audio+visual": FrameState.AUDIOVISUAL,
    "audio alone": FrameState.AUDIO_ONLY,
    "other sound": FrameState.NON_SPEECH,
    "still": FrameState.IMAGE,
}


@dataclass(frozen=True)
class Calibration:
    """The error model of every state that was measured."""

    states: Mapping[str, ErrorModel]

    @classmethod
    def fit(
        cls,
        output: EnsembleOutput,
        labels: np.ndarray,
        weights: np.ndarray | None = None,
        conditions: np.ndarray | None = None,
    ) -> Calibration:
        """The error models of all states with at least MIN_FRAMES labelled frames.

        output: T frames of videos that no model was trained on, with the states that post-processing gives
        them. labels (T, 2); frames with NaN and of UNMEASURED states are ignored. weights (T,): of the
        frames, None for equal ones. conditions (T,): as in `ErrorModel.fit`.
        """
        labelled = np.isfinite(output.values - labels).all(axis=1)
        fitted = {}
        for state in np.unique(output.states[labelled]):
            here = labelled & (output.states == state)
            if state in UNMEASURED or here.sum() < MIN_FRAMES:
                continue
            own, under = (None if x is None else x[here] for x in (weights, conditions))
            is_alone = state == FrameState.AUDIO_ONLY  # a voice tells much less of valence than a face
            fitted[str(state)] = ErrorModel.fit(
                output.rows(here), labels[here], own, under, by_arousal=is_alone
            )
        return cls(fitted)

    def estimate(self, output: EnsembleOutput) -> Estimate:
        """The estimates of T frames and the standard deviations of their errors.

        AUDIO_ONLY falls back to AUDIO. NON_SPEECH is neutral, 0, with the prior_std of AUDIO_ONLY. A state
        without a model gets the largest floors and gains of all, and its values are not shrunk.
        """
        models = dict(self.states)
        if FrameState.AUDIO in models:
            models.setdefault(FrameState.AUDIO_ONLY, models[FrameState.AUDIO])
        values, std = np.empty_like(output.values), np.empty(output.values.shape, np.float32)
        for state in np.unique(output.states):
            here = output.states == state
            if state == FrameState.NON_SPEECH:
                values[here], std[here] = 0.0, self._neutral_std(models)
            else:
                made = models.get(str(state), self._largest).estimate(output.rows(here))
                values[here], std[here] = made.values, made.std
        return Estimate(values, std)

    @property
    def _largest(self) -> ErrorModel:
        """The largest floors and gains of all states."""

        def largest(name: str) -> Pair:
            valence, arousal = np.max([getattr(model, name) for model in self.states.values()], axis=0)
            return float(valence), float(arousal)

        return ErrorModel(largest("floor"), largest("gain"), largest("difficulty_gain"))

    def _neutral_std(self, models: Mapping[str, ErrorModel]) -> Pair:
        """The standard deviation of the true values around neutral."""
        model = models.get(FrameState.AUDIO_ONLY)
        return self._largest.floor if model is None or model.prior_std is None else model.prior_std

    def to_dict(self) -> dict[str, object]:
        """The values of calibration.json."""
        return {"version": VERSION, "states": {state: asdict(model) for state, model in self.states.items()}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibration:
        """The inverse of `to_dict`, for any version up to VERSION.

        Raises KeyError, TypeError or ValueError if the values are no calibration.
        """
        version = values.get("version", 1)
        if version not in range(1, VERSION + 1):
            raise ValueError(f"version {version} is not known")
        states = values if version == 1 else values["states"]
        names = STATES_OF_VERSION_1 if version == 1 else {}
        models = {
            str(names.get(state, state)): ErrorModel.from_dict(model) for state, model in states.items()
        }
        measured = {state: model for state, model in models.items() if state not in UNMEASURED}
        if not measured:
            raise ValueError("no state is calibrated")
        return cls(measured)
