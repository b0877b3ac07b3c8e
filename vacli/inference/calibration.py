"""How far a prediction can be trusted: from what the models disagree on to a standard deviation.

Several models that learned the same from different people agree too much: they share their mistakes. So
the error is measured on videos that none of them has seen, apart for what a frame has (face and voice, one of
them, nothing), and its variance is described as floor^2 + (gain x spread)^2.

The mean of several models that know little also varies too little, which concordance counts as error. Where a
recording shows no face at all, it is moved and stretched to lie and vary as the labels did, and drawn to the
middle where its sound is unlike speech.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from vacli.spec import AUDIO

FEWEST_FRAMES = 200  # with fewer a state is not described
NOTHING = "none"
ALONE = "audio alone"  # sound in a recording that never shows a face
OTHER_SOUND = "other sound"  # the same, but unlike speech
UNKNOWN = (NOTHING, OTHER_SOUND)  # never measured: what composed sequences say of it is an agreement
LEAST_SPREAD = 1e-3  # values that vary less are one value


@dataclass(frozen=True)
class Stretch:
    """(valence, arousal) each: a value becomes target + factor x (value - centre)."""

    centre: tuple[float, float]
    factor: tuple[float, float]
    target: tuple[float, float]

    @classmethod
    def fit(cls, values: np.ndarray, truth: np.ndarray) -> Stretch:
        """What makes values (T, 2) lie and vary as the labels (T, 2) do, which raises concordance.

        They are never drawn together, and only moved where they do not go with the labels at all.
        """
        values, truth = values.astype(np.float64), truth.astype(np.float64)
        centre, spread = values.mean(axis=0), values.std(axis=0)
        tells = (((values - centre) * truth).mean(axis=0) > 0) & (spread > LEAST_SPREAD)
        factor = np.where(tells, np.maximum(truth.std(axis=0) / np.maximum(spread, LEAST_SPREAD), 1), 1)
        return cls(tuple(centre.tolist()), tuple(factor.tolist()), tuple(truth.mean(axis=0).tolist()))

    def of(self, values: np.ndarray) -> np.ndarray:
        """(T, 2), in [-1, 1]."""
        return (self.target + np.multiply(self.factor, values - self.centre)).clip(-1.0, 1.0)


@dataclass(frozen=True)
class Error:
    """floor and gain, (valence, arousal) each: the error's variance is floor^2 + (gain x spread)^2.

    stretch: what is done to the values first, if anything.
    """

    floor: tuple[float, float]
    gain: tuple[float, float]
    stretch: Stretch | None = None

    def sd(self, spread: np.ndarray) -> np.ndarray:
        """(T, 2) standard deviation of the error where the models spread by (T, 2)."""
        return np.sqrt(np.square(self.floor) + np.square(spread * self.gain))


@dataclass(frozen=True)
class Calibration:
    """The error in every state that was measured; a state is the names of the streams that a frame has."""

    states: Mapping[str, Error]

    @classmethod
    def fit(
        cls, values: np.ndarray, truth: np.ndarray, spread: np.ndarray, states: np.ndarray
    ) -> Calibration:
        """Least squares with floors and gains that are not negative.

        values, truth, spread: (T, 2), on videos that no model has seen; frames without a label (NaN) do not
        count. states: (T,) of `states_of`, or ALONE, whose values are stretched; UNKNOWN ones do not count.
        """
        labelled = np.isfinite(values - truth).all(axis=1)
        fitted = {}
        for state in np.unique(states[labelled]):
            here = labelled & (states == state)
            if state in UNKNOWN or here.sum() < FEWEST_FRAMES:
                continue
            stretch = Stretch.fit(values[here], truth[here]) if state == ALONE else None
            told = stretch.of(values[here]) if stretch else values[here]
            fitted[str(state)] = _fitted(told - truth[here], spread[here], stretch)
        return cls(fitted)

    def alone(self, states: np.ndarray) -> np.ndarray:
        """The states of a recording that never shows a face, where that was measured for itself."""
        return alone(states) if ALONE in self.states else states

    def stretched(self, values: np.ndarray, states: np.ndarray) -> np.ndarray:
        """(T, 2) values, those of states that are stretched in their place."""
        made = values.copy()
        for state, error in self.states.items():
            if error.stretch and (here := states == state).any():
                made[here] = error.stretch.of(values[here])
        return made

    def sd(self, spread: np.ndarray, states: np.ndarray) -> np.ndarray:
        """(T, 2) float32 standard deviations; a state that was not measured gets the widest of all."""
        widest = Error(
            *(tuple(np.max(v, axis=0)) for v in zip(*map(_pair, self.states.values()), strict=True))
        )
        made = np.empty(spread.shape, np.float32)
        for state in np.unique(states):
            here = states == state
            made[here] = self.states.get(str(state), widest).sd(spread[here])
        return made

    def to_dict(self) -> dict[str, dict]:
        """As JSON keeps it."""
        return {state: asdict(error) for state, error in self.states.items()}

    @classmethod
    def from_dict(cls, given: Mapping[str, Mapping]) -> Calibration:
        """The inverse of `to_dict`; KeyError or TypeError where it is no such thing."""
        return cls({state: _error(kept) for state, kept in given.items() if state not in UNKNOWN})


def drawn(values: np.ndarray, states: np.ndarray, likeness: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values (T, 2) drawn to the middle by how unlike speech (`Speech.likeness`, (T,)) an ALONE frame is.

    Also returns the states: OTHER_SOUND where it is unlike rather than like.
    """
    heard = states == ALONE
    weight = np.where(heard, likeness, 1.0).astype(values.dtype)
    return values * weight[:, np.newaxis] + 0.0, np.where(heard & (likeness < 0.5), OTHER_SOUND, states)


def states_of(present: Mapping[str, np.ndarray]) -> np.ndarray:
    """(T,) names: the streams that each frame has, joined by "+". present: stream -> (T,) bool."""
    names = sorted(present)
    there = np.stack([present[name] for name in names], axis=1)
    table = [
        "+".join(n for n, p in zip(names, row, strict=True) if p) or NOTHING for row in _rows(len(names))
    ]
    return np.array(table)[there @ (1 << np.arange(len(names)))]


def alone(states: np.ndarray) -> np.ndarray:
    """The states (T,) of a recording that never shows a face: its sound is told apart."""
    return np.where(states == AUDIO, ALONE, states)


def _rows(count: int) -> list[list[bool]]:
    """Which of `count` streams are there, for every binary number."""
    return [[bool(number >> k & 1) for k in range(count)] for number in range(1 << count)]


def _pair(error: Error) -> tuple[tuple[float, float], tuple[float, float]]:
    return error.floor, error.gain


def _error(kept: Mapping) -> Error:
    stretch = kept.get("stretch")
    made = None
    if stretch:
        centre, factor = stretch["centre"], stretch["factor"]
        made = Stretch(tuple(centre), tuple(factor), tuple(stretch.get("target", centre)))
    return Error(tuple(kept["floor"]), tuple(kept["gain"]), made)


def _fitted(error: np.ndarray, spread: np.ndarray, stretch: Stretch | None) -> Error:
    from scipy.optimize import nnls

    solved = []
    for dimension in (0, 1):
        squares = np.square(spread[:, dimension], dtype=np.float64)
        design = np.stack([np.ones(len(squares)), squares], axis=1)
        solved.append(np.sqrt(nnls(design, np.square(error[:, dimension], dtype=np.float64))[0]))
    floor, gain = np.stack(solved, axis=1)
    return Error(tuple(map(float, floor)), tuple(map(float, gain)), stretch)
