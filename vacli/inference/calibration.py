"""Calibration of a run: from the spread of its models to a standard deviation of the error.

The models of a cross-validation share most of their training data, so that they agree more than they are
right. The error is therefore measured on videos that no model was trained on, for each `FrameState`
separately, and its variance is modelled as floor^2 + (gain x ensemble_std)^2.

The mean of several uncertain models varies too little, which concordance counts as an error. The predictions
for recordings that never show a face are therefore shifted and scaled to the mean and variance of the
calibration labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vacli.inference.states import UNMEASURED, FrameState

VERSION = 2  # of calibration.json; 1 had no number
MIN_FRAMES = 200  # a state with fewer labelled frames is not calibrated
MIN_STD = 1e-3  # predictions that vary less count as constant
STATES_OF_VERSION_1 = {
    "audio+visual": FrameState.AUDIOVISUAL,
    "audio alone": FrameState.AUDIO_ONLY,
    "other sound": FrameState.NON_SPEECH,
    "still": FrameState.IMAGE,
}


@dataclass(frozen=True)
class MomentMatching:
    """A linear map, (valence, arousal) each: value -> target + factor x (value - centre)."""

    centre: tuple[float, float]
    factor: tuple[float, float]
    target: tuple[float, float]

    @classmethod
    def fit(cls, predicted: np.ndarray, labels: np.ndarray) -> MomentMatching:
        """The map that gives predictions (T, 2) the mean and the variance of the labels (T, 2).

        The factor is at least 1, and exactly 1 for a dimension whose predictions are constant or do not
        correlate with the labels.
        """
        predicted, labels = predicted.astype(np.float64), labels.astype(np.float64)
        centre, std = predicted.mean(axis=0), predicted.std(axis=0)
        correlated = (((predicted - centre) * labels).mean(axis=0) > 0) & (std > MIN_STD)
        factor = np.where(correlated, np.maximum(labels.std(axis=0) / np.maximum(std, MIN_STD), 1), 1)
        return cls(_pair(centre), _pair(factor), _pair(labels.mean(axis=0)))

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """(T, 2) -> (T, 2), clipped to [-1, 1]."""
        return (self.target + np.multiply(self.factor, values - self.centre)).clip(-1.0, 1.0)


@dataclass(frozen=True)
class ErrorModel:
    """floor and gain, (valence, arousal) each: error variance = floor^2 + (gain x ensemble_std)^2.

    rescaling: applied to the predictions of this state first, None for no change.
    """

    floor: tuple[float, float]
    gain: tuple[float, float]
    rescaling: MomentMatching | None = None

    @classmethod
    def fit(cls, error: np.ndarray, ensemble_std: np.ndarray, rescaling: MomentMatching | None) -> ErrorModel:
        """Non-negative least squares of the squared error (T, 2) on the squared ensemble_std (T, 2)."""
        from scipy.optimize import nnls

        solved = []
        for dimension in (0, 1):
            squares = np.square(ensemble_std[:, dimension], dtype=np.float64)
            design = np.stack([np.ones(len(squares)), squares], axis=1)
            solved.append(np.sqrt(nnls(design, np.square(error[:, dimension], dtype=np.float64))[0]))
        floor, gain = np.stack(solved, axis=1)
        return cls(_pair(floor), _pair(gain), rescaling)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ErrorModel:
        """The inverse of `dataclasses.asdict`; reads version 1 as well."""
        kept = values.get("rescaling", values.get("stretch"))
        rescaling = None
        if kept:
            centre, factor = kept["centre"], kept["factor"]
            rescaling = MomentMatching(tuple(centre), tuple(factor), tuple(kept.get("target", centre)))
        return cls(tuple(values["floor"]), tuple(values["gain"]), rescaling)

    def std(self, ensemble_std: np.ndarray) -> np.ndarray:
        """(T, 2) standard deviation of the error for an ensemble_std of (T, 2)."""
        return np.sqrt(np.square(self.floor) + np.square(ensemble_std * self.gain))


@dataclass(frozen=True)
class Calibration:
    """The error model of every state that was measured."""

    states: Mapping[str, ErrorModel]

    @classmethod
    def fit(
        cls, predicted: np.ndarray, labels: np.ndarray, ensemble_std: np.ndarray, states: np.ndarray
    ) -> Calibration:
        """The error models of all states with at least MIN_FRAMES labelled frames.

        predicted, labels, ensemble_std: (T, 2), on videos that no model was trained on; frames without a
        label (NaN) are ignored. states: (T,) of `FrameState`; UNMEASURED ones are ignored, and AUDIO_ONLY
        gets a rescaling.
        """
        labelled = np.isfinite(predicted - labels).all(axis=1)
        fitted = {}
        for state in np.unique(states[labelled]):
            here = labelled & (states == state)
            if state in UNMEASURED or here.sum() < MIN_FRAMES:
                continue
            values, rescaling = predicted[here], None
            if state == FrameState.AUDIO_ONLY:
                rescaling = MomentMatching.fit(values, labels[here])
                values = rescaling(values)
            fitted[str(state)] = ErrorModel.fit(values - labels[here], ensemble_std[here], rescaling)
        return cls(fitted)

    def rescale(self, values: np.ndarray, states: np.ndarray) -> np.ndarray:
        """(T, 2) predictions, rescaled in the states (T,) that have a rescaling."""
        rescaled = values.copy()
        for state, model in self.states.items():
            if model.rescaling and (here := states == state).any():
                rescaled[here] = model.rescaling(values[here])
        return rescaled

    def uncertainty(self, ensemble_std: np.ndarray, states: np.ndarray) -> np.ndarray:
        """(T, 2) float32 standard deviation of the error.

        AUDIO_ONLY falls back to AUDIO. A state without a model gets the largest floor and gain of all.
        """
        models = dict(self.states)
        if FrameState.AUDIO in models:
            models.setdefault(FrameState.AUDIO_ONLY, models[FrameState.AUDIO])
        largest = ErrorModel(
            _pair(np.max([model.floor for model in models.values()], axis=0)),
            _pair(np.max([model.gain for model in models.values()], axis=0)),
        )
        uncertainty = np.empty(ensemble_std.shape, np.float32)
        for state in np.unique(states):
            here = states == state
            uncertainty[here] = models.get(str(state), largest).std(ensemble_std[here])
        return uncertainty

    def to_dict(self) -> dict[str, object]:
        """The values of calibration.json."""
        return {"version": VERSION, "states": {state: asdict(model) for state, model in self.states.items()}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibration:
        """The inverse of `to_dict`, for any version up to VERSION.

        Raises KeyError, TypeError or ValueError if the values are no calibration.
        """
        version = values.get("version", 1)
        if version not in (1, VERSION):
            raise ValueError(f"version {version} is not known")
        states = values if version == 1 else values["states"]
        names = STATES_OF_VERSION_1 if version == 1 else {}
        models = {
            str(names.get(state, state)): ErrorModel.from_dict(model) for state, model in states.items()
        }
        return cls({state: model for state, model in models.items() if state not in UNMEASURED})


def _pair(values: np.ndarray) -> tuple[float, float]:
    valence, arousal = values.tolist()
    return valence, arousal
