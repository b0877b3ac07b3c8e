"""Summaries of parts of trajectories: of one face, of several, and of a sample of persons."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vacli.output.episodes import arousal_peaks
from vacli.output.frame_durations import frame_durations
from vacli.output.frame_table import FrameTable
from vacli.output.trajectory_statistics import (
    QUANTILES,
    WeightedStatistics,
    correlation_time,
    mean_error,
    overlap,
)

DIMENSIONS = ("valence", "arousal")
Fields = dict[str, str | int | float | None]


@dataclass(frozen=True)
class Estimate:
    """A mean, its standard error, the number of independent values and the seconds that it is over."""

    mean: float
    standard_error: float
    effective_n: float
    seconds: float


@dataclass(frozen=True, eq=False)
class FaceTrajectory:
    """One face of one recording. person: equal for all trajectories of one person. keys: column -> text."""

    table: FrameTable
    person: str
    keys: Mapping[str, str]

    @cached_property
    def durations_s(self) -> np.ndarray:
        """(N,) seconds that each frame counts."""
        return frame_durations(self.table.columns["time_s"])

    @cached_property
    def valid(self) -> np.ndarray:
        """(N,) bool: frames with a prediction."""
        known = [np.isfinite(self.table.columns[name]) for name in DIMENSIONS]
        return self.table.valid & known[0] & known[1]

    @cached_property
    def correlation_s(self) -> dict[str, float]:
        """Dimension -> integrated autocorrelation time in seconds."""
        columns = self.table.columns
        return {
            name: correlation_time(columns["time_s"], np.where(self.valid, columns[name], np.nan))
            for name in DIMENSIONS
        }

    @cached_property
    def peaks_s(self) -> np.ndarray:
        """(P,) times of the peaks of arousal."""
        return np.array([peak.time_s for peak in arousal_peaks(self.table)])

    @property
    def has_face(self) -> bool:
        """Whether it is that of a face, and not of sound or pictures without one; True if it is not known."""
        columns = self.table.columns
        if "face_id" in columns:
            return self.table.face_id is not None
        return "face_detected" not in columns or bool(columns["face_detected"].any())

    @property
    def end_s(self) -> float:
        """The end of the last frame; 0 without frames."""
        return float(self.table.columns["time_s"][-1] + self.durations_s[-1]) if len(self.table) else 0.0

    def part(self, start_s: float, end_s: float) -> Part:
        """The frames within [start_s, end_s), those across an edge in part."""
        times_s = self.table.columns["time_s"]
        end = int(np.searchsorted(times_s, end_s))
        first = max(int(np.searchsorted(times_s, start_s, side="right")) - 1, 0)
        rows = slice(first, max(first, end))
        seconds = overlap(times_s[rows], self.durations_s[rows], start_s, end_s)
        n_peaks = int(((self.peaks_s >= start_s) & (self.peaks_s < end_s)).sum())
        return Part(self, rows, seconds, n_peaks)


@dataclass(frozen=True, eq=False)
class Part:
    """Some rows of a trajectory, and the seconds (n,) that each of them counts."""

    trajectory: FaceTrajectory
    rows: slice
    seconds: np.ndarray
    n_peaks: int

    def column(self, name: str) -> np.ndarray:
        """(n,) values; NaN without the column."""
        columns = self.trajectory.table.columns
        return columns[name][self.rows] if name in columns else np.full(len(self.seconds), np.nan)

    @cached_property
    def n_frames(self) -> int:
        """The number of frames that are shown in the part."""
        return int((self.seconds > 0).sum())

    @cached_property
    def valid_seconds(self) -> np.ndarray:
        """(n,) seconds of each frame with a prediction, 0 of others."""
        return np.where(self.trajectory.valid[self.rows], self.seconds, 0.0)

    @cached_property
    def valid_s(self) -> float:
        """The sum of `valid_seconds`."""
        return float(self.valid_seconds.sum())

    def estimate(self, name: str) -> Estimate:
        """The mean of a dimension."""
        used = self.valid_seconds > 0
        weights = self.valid_seconds[used]
        statistics = WeightedStatistics.of(self.column(name)[used], weights)
        stated = _root_mean_square(self.column(f"{name}_uncertainty")[used].astype(np.float64), weights)
        error = mean_error(statistics.sd, self.valid_s, self.trajectory.correlation_s[name], stated)
        return Estimate(statistics.mean, error.standard_error, error.effective_n, self.valid_s)


def _root_mean_square(values: np.ndarray, weights: np.ndarray) -> float:
    """Of the values (n,) that are known, NaN without any."""
    known = np.isfinite(values)
    if not known.any():
        return math.nan
    return math.sqrt(float(np.average(values[known] ** 2, weights=weights[known])))


def combine(estimates: Sequence[Estimate]) -> Estimate:
    """The mean over the seconds of independent estimates; NaN without any."""
    seconds = np.array([e.seconds for e in estimates])
    if not seconds.sum() > 0:
        return Estimate(math.nan, math.nan, math.nan, 0.0)
    shares = seconds / seconds.sum()
    mean = float(sum(s * e.mean for s, e in zip(shares, estimates, strict=True)))
    variance = sum((s * e.standard_error) ** 2 for s, e in zip(shares, estimates, strict=True))
    return Estimate(mean, math.sqrt(variance), sum(e.effective_n for e in estimates), float(seconds.sum()))


def sample_mean(persons: Sequence[Estimate]) -> Estimate:
    """The mean of a sample of persons, each counted once; its error is from the spread between persons.

    The error of one person is NaN; so is the mean without any.
    """
    if not persons:
        return combine(persons)
    means = np.array([e.mean for e in persons])
    error = float(means.std(ddof=1)) / math.sqrt(len(means)) if len(means) > 1 else math.nan
    return Estimate(float(means.mean()), error, len(means), sum(e.seconds for e in persons))


@dataclass(frozen=True, eq=False)
class Summarizer:
    """Summarises parts of trajectories.

    is_sample: each person counts once, as in a group; otherwise each second does. above: pairs of a dimension
    and a threshold. baselines: person -> dimension -> mean in the neutral state, None without a baseline.
    """

    is_sample: bool
    above: Sequence[tuple[str, float]] = ()
    baselines: Mapping[str, Mapping[str, Estimate]] | None = None

    def __call__(self, parts: Sequence[Part]) -> Fields:
        """Name of a column -> value, NaN or None where there is nothing to summarise."""
        trajectories = {id(part.trajectory): part.trajectory for part in parts if part.n_frames}.values()
        seconds = sum(float(part.seconds.sum()) for part in parts)
        valid_s = sum(part.valid_s for part in parts)
        quality = [part.column("quality") for part in parts]
        n_peaks = sum(part.n_peaks for part in parts)
        fields: Fields = {
            "recordings": len({t.table.name for t in trajectories}),
            "faces": sum(trajectory.has_face for trajectory in trajectories),
            "frames": sum(part.n_frames for part in parts),
            "duration_s": seconds,
            "valid_fraction": valid_s / seconds if seconds else math.nan,
            "quality_mean": _mean(quality, [part.seconds for part in parts]),
        }
        for name in DIMENSIONS:
            fields |= self._dimension(name, parts)
        fields |= {
            "arousal_peaks": n_peaks,
            "arousal_peaks_per_min": n_peaks / valid_s * 60 if valid_s else None,
            "speech_fraction": _share("speech_present", parts),
            "speaking_fraction": _share("speaking", parts),
        }
        for name, threshold in self.above:
            fields |= _time_above(name, threshold, parts, valid_s)
        return fields

    def _dimension(self, name: str, parts: Sequence[Part]) -> Fields:
        used = [part for part in parts if part.valid_s > 0]
        by_person: dict[str, list[Part]] = {}
        for part in used:
            by_person.setdefault(part.trajectory.person, []).append(part)
        persons = {p: combine([part.estimate(name) for part in its]) for p, its in by_person.items()}
        mean = self._over(persons.values())
        weights = [
            part.valid_seconds / (persons[part.trajectory.person].seconds if self.is_sample else 1.0)
            for part in used
        ]
        spread = WeightedStatistics.of(_joined([part.column(name) for part in used]), _joined(weights))
        fields: Fields = {
            f"{name}_mean": mean.mean,
            f"{name}_se": mean.standard_error,
            f"{name}_effective_n": mean.effective_n,
            f"{name}_sd": spread.sd,
        }
        fields |= {f"{name}_q{100 * p:.0f}": q for p, q in zip(QUANTILES, spread.quantiles, strict=True)}
        return fields if self.baselines is None else fields | self._change(name, persons, self.baselines)

    def _change(
        self, name: str, persons: Mapping[str, Estimate], baselines: Mapping[str, Mapping[str, Estimate]]
    ) -> Fields:
        """The difference from the persons' own baselines, over persons with one."""
        changes, own = [], []
        for person, raw in persons.items():
            if person in baselines:
                base = baselines[person][name]
                error = math.hypot(raw.standard_error, base.standard_error)
                changes.append(Estimate(raw.mean - base.mean, error, raw.effective_n, raw.seconds))
                own.append(Estimate(base.mean, base.standard_error, base.effective_n, raw.seconds))
        change = self._over(changes)
        return {
            f"{name}_baseline": self._over(own).mean,
            f"{name}_change": change.mean,
            f"{name}_change_se": change.standard_error,
        }

    def _over(self, persons: Iterable[Estimate]) -> Estimate:
        return sample_mean(list(persons)) if self.is_sample else combine(list(persons))


def _time_above(name: str, threshold: float, parts: Sequence[Part], valid_s: float) -> Fields:
    above_s = sum(float(part.valid_seconds[part.column(name) > threshold].sum()) for part in parts)
    fraction = above_s / valid_s if valid_s else math.nan
    return {f"{name}_above_{threshold:g}_s": above_s, f"{name}_above_{threshold:g}_fraction": fraction}


def _share(name: str, parts: Sequence[Part]) -> float:
    """The share of the seconds with 1 in a column of 0 and 1; NaN and -1 are unknown."""
    values = [part.column(name).astype(np.float64) for part in parts]
    return _mean([np.where(v < 0, np.nan, v) for v in values], [part.seconds for part in parts])


def _joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(arrays) if arrays else np.zeros(0)


def _mean(values: Sequence[np.ndarray], weights: Sequence[np.ndarray]) -> float:
    value, weight = _joined(values), _joined(weights)
    known = np.isfinite(value) & (weight > 0)
    return float(np.average(value[known], weights=weight[known])) if known.any() else math.nan
