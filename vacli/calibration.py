"""How far a prediction can be trusted: from what the models disagree on to a standard deviation.

Several models that learned the same from different people agree too much: they share their mistakes. So
the error is measured on videos that none of them has seen, apart for what a frame has (face and voice, one of
them, nothing), and its variance is described as floor^2 + (gain x spread)^2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

FEWEST_FRAMES = 200  # with fewer a state is not described
NOTHING = "none"


@dataclass(frozen=True)
class Error:
    """floor and gain, (valence, arousal) each: the error's variance is floor^2 + (gain x spread)^2."""

    floor: tuple[float, float]
    gain: tuple[float, float]

    def sd(self, spread: np.ndarray) -> np.ndarray:
        """(T, 2) standard deviation of the error where the models spread by (T, 2)."""
        return np.sqrt(np.square(self.floor) + np.square(spread * self.gain))


@dataclass(frozen=True)
class Calibration:
    """The error in every state that was measured; a state is the names of the streams that a frame has."""

    states: Mapping[str, Error]

    @classmethod
    def fit(cls, error: np.ndarray, spread: np.ndarray, states: np.ndarray) -> Calibration:
        """Least squares with floors and gains that are not negative.

        error, spread: (T, 2), on videos that no model has seen; frames without a label (NaN) do not
        count. states: (T,) of `states_of`.
        """
        labelled = np.isfinite(error).all(axis=1)
        fitted = {}
        for state in np.unique(states[labelled]):
            here = labelled & (states == state)
            if here.sum() >= FEWEST_FRAMES:
                fitted[str(state)] = _fitted(error[here], spread[here])
        return cls(fitted)

    def sd(self, spread: np.ndarray, states: np.ndarray) -> np.ndarray:
        """(T, 2) float32 standard deviations; a state that was not measured gets the widest one's floor."""
        widest = Error(
            *(tuple(np.max(v, axis=0)) for v in zip(*map(_pair, self.states.values()), strict=True))
        )
        made = np.empty(spread.shape, np.float32)
        for state in np.unique(states):
            here = states == state
            made[here] = self.states.get(str(state), widest).sd(spread[here])
        return made

    def to_dict(self) -> dict[str, dict[str, tuple[float, float]]]:
        """As JSON keeps it."""
        return {state: asdict(error) for state, error in self.states.items()}

    @classmethod
    def from_dict(cls, given: Mapping[str, Mapping[str, tuple[float, float]]]) -> Calibration:
        """The inverse of `to_dict`; KeyError or TypeError where it is no such thing."""
        return cls({s: Error(tuple(e["floor"]), tuple(e["gain"])) for s, e in given.items()})


def states_of(present: Mapping[str, np.ndarray]) -> np.ndarray:
    """(T,) names: the streams that each frame has, joined by "+". present: stream -> (T,) bool."""
    names = sorted(present)
    there = np.stack([present[name] for name in names], axis=1)
    table = [
        "+".join(n for n, p in zip(names, row, strict=True) if p) or NOTHING for row in _rows(len(names))
    ]
    return np.array(table)[there @ (1 << np.arange(len(names)))]


def _rows(count: int) -> list[list[bool]]:
    """Which of `count` streams are there, for every binary number."""
    return [[bool(number >> k & 1) for k in range(count)] for number in range(1 << count)]


def _pair(error: Error) -> tuple[tuple[float, float], tuple[float, float]]:
    return error.floor, error.gain


def _fitted(error: np.ndarray, spread: np.ndarray) -> Error:
    from scipy.optimize import nnls

    solved = []
    for dimension in (0, 1):
        squares = np.square(spread[:, dimension], dtype=np.float64)
        design = np.stack([np.ones(len(squares)), squares], axis=1)
        solved.append(np.sqrt(nnls(design, np.square(error[:, dimension], dtype=np.float64))[0]))
    floor, gain = np.stack(solved, axis=1)
    return Error(tuple(map(float, floor)), tuple(map(float, gain)))
