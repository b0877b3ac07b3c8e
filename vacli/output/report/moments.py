"""The clearest moments of a recording: those that are farthest from neutral for their uncertainty."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vacli.output.annotations import FaceTier
from vacli.output.frame_table import FrameTable

MAX_MOMENTS = 12
MIN_CLARITY = 1.0  # distance from neutral in expected errors


@dataclass(frozen=True)
class Moment:
    """An episode, or a peak of arousal (start and end are equal).

    clarity: the distance from neutral over the expected error; only the distance where the table has no
    uncertainty. uncertainty: of valence and arousal, None where it is unknown or not part of the moment.
    """

    start_s: float
    end_s: float
    face: str
    kind: str
    valence: float | None
    arousal: float
    valence_uncertainty: float | None
    arousal_uncertainty: float | None
    clarity: float


def has_uncertainty(table: FrameTable) -> bool:
    """Whether any row has an uncertainty."""
    columns = [table.columns.get(name) for name in ("valence_uncertainty", "arousal_uncertainty")]
    return any(column is not None and not np.isnan(column).all() for column in columns)


def clearest_moments(tiers: Sequence[FaceTier]) -> list[Moment]:
    """At most MAX_MOMENTS, the clearest one first.

    Episodes and peaks count if their mean is at least MIN_CLARITY expected errors from neutral. Equally clear
    moments are in the order of time.
    """
    moments = [moment for tier in tiers for moment in (*_episodes(tier), *_peaks(tier))]
    certain = any(has_uncertainty(tier.table) for tier in tiers)
    clear = [m for m in moments if not certain or m.clarity >= MIN_CLARITY]
    return sorted(clear, key=lambda m: (-m.clarity, m.start_s))[:MAX_MOMENTS]


def _episodes(tier: FaceTier) -> Iterator[Moment]:
    times_s = tier.table.columns["time_s"]
    for interval in tier.intervals:
        episode = interval.episode
        rows = slice(*np.searchsorted(times_s, (episode.start_s, episode.end_s)))
        errors = [_mean(tier.table, name, rows) for name in ("valence_uncertainty", "arousal_uncertainty")]
        yield Moment(
            start_s=episode.start_s,
            end_s=episode.end_s,
            face=tier.label,
            kind=episode.quadrant,
            valence=episode.valence,
            arousal=episode.arousal,
            valence_uncertainty=errors[0],
            arousal_uncertainty=errors[1],
            clarity=_clarity(np.hypot(episode.valence, episode.arousal), errors),
        )


def _peaks(tier: FaceTier) -> Iterator[Moment]:
    times_s = tier.table.columns["time_s"]
    for peak in tier.peaks:
        row = int(np.searchsorted(times_s, peak.time_s))
        error = _mean(tier.table, "arousal_uncertainty", slice(row, row + 1))
        yield Moment(
            start_s=peak.time_s,
            end_s=peak.time_s,
            face=tier.label,
            kind="peak of arousal",
            valence=None,
            arousal=peak.arousal,
            valence_uncertainty=None,
            arousal_uncertainty=error,
            clarity=_clarity(peak.arousal, [error]),
        )


def _mean(table: FrameTable, name: str, rows: slice) -> float | None:
    """The mean of the known values of a column in the rows, None without one."""
    values = table.columns.get(name, np.empty(0))[rows]
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _clarity(distance: float, errors: Sequence[float | None]) -> float:
    known = [error for error in errors if error is not None]
    return float(distance / max(np.hypot.reduce(known), 1e-3)) if known else float(distance)
