"""The rows and columns of `va summarize`: units of trajectories, and windows of time in them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vacli.datasets.interval_table import Interval
from vacli.output.record_table import Column, RecordTable
from vacli.output.trajectory_statistics import QUANTILES
from vacli.output.trajectory_summary import DIMENSIONS, FaceTrajectory, Fields, Part, Summarizer

FACE, VIDEO, SUBJECT, GROUP = "face", "video", "subject", "group"
UNITS = (FACE, VIDEO, SUBJECT, GROUP)
DECIMALS = 6  # of seconds, as in tables: 3 x 0.2 is not above 0.6
EDGE_S = 1e-6  # a recording that ends this little after the edge of a bin has no bin beyond it

Key = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RowPlan:
    """per: of UNITS. bin_s, intervals: at most one of them; with neither, each unit is one row.

    keys: columns that a sheet of groups adds. settings: columns with one value for all rows.
    """

    per: str = FACE
    bin_s: float | None = None
    intervals: Sequence[Interval] | None = None
    keys: tuple[str, ...] = ()
    settings: Mapping[str, float]
    summarizer: Summarizer

    @property
    def unit_keys(self) -> tuple[str, ...]:
        """The columns that identify a unit."""
        groups = tuple(key for key in self.keys if key != SUBJECT)
        return {FACE: ("input", "face_id"), VIDEO: ("input",), SUBJECT: (SUBJECT,), GROUP: groups}[self.per]

    @property
    def shown_keys(self) -> tuple[str, ...]:
        """The columns that describe a unit; those of the sheet follow for faces and videos."""
        return tuple(dict.fromkeys((*self.unit_keys, *(self.keys if self.per in (FACE, VIDEO) else ()))))

    @property
    def pools_by_label(self) -> bool:
        """Whether intervals of one label are one row, because the rows are over several recordings."""
        return self.intervals is not None and self.per in (SUBJECT, GROUP)


def summary_table(trajectories: Sequence[FaceTrajectory], plan: RowPlan) -> RecordTable:
    """One row for each unit and each window. Trajectories that no unit has are left out."""
    units: dict[Key, list[FaceTrajectory]] = {}
    for trajectory in trajectories:
        key = tuple(trajectory.keys.get(name, "") for name in plan.unit_keys)
        if plan.per in (FACE, VIDEO) or all(key):
            units.setdefault(key, []).append(trajectory)
    order = list(units) if plan.per in (FACE, VIDEO) else sorted(units)
    rows = [row for key in order for row in _unit_rows(units[key], plan)]
    return RecordTable(_columns(plan), rows)


def _unit_rows(trajectories: Sequence[FaceTrajectory], plan: RowPlan) -> Iterator[Fields]:
    shown: Fields = {name: _common(trajectories, name) for name in plan.shown_keys}
    for window, parts in _windows(trajectories, plan):
        yield {**shown, **window, **plan.summarizer(parts), **plan.settings}


def _windows(trajectories: Sequence[FaceTrajectory], plan: RowPlan) -> Iterator[tuple[Fields, list[Part]]]:
    """The columns of each window and the parts of the trajectories in it."""
    if plan.bin_s is not None:
        end_s = max(trajectory.end_s for trajectory in trajectories)
        for number in range(max(1, math.ceil((end_s - EDGE_S) / plan.bin_s))):
            start_s, stop_s = (round(n * plan.bin_s, DECIMALS) for n in (number, number + 1))
            yield _span(start_s, stop_s), [t.part(start_s, stop_s) for t in trajectories]
    elif plan.intervals is not None:
        labels = list(dict.fromkeys(interval.label for interval in plan.intervals))
        groups = (
            [[i for i in plan.intervals if i.label == label] for label in labels]
            if plan.pools_by_label
            else [[interval] for interval in plan.intervals]
        )
        for intervals in groups:
            pairs = [(i, t) for i in intervals for t in trajectories if i.applies_to(t.table.name)]
            if pairs:
                first = intervals[0]
                span = {} if plan.pools_by_label else _span(first.start_s, first.end_s)
                yield {**span, "label": first.label}, [t.part(i.start_s, i.end_s) for i, t in pairs]
    else:
        yield {}, [trajectory.part(-math.inf, math.inf) for trajectory in trajectories]


def _span(start_s: float, end_s: float) -> Fields:
    return {"start_s": start_s, "end_s": end_s}


def _common(trajectories: Sequence[FaceTrajectory], name: str) -> str:
    """The value that all trajectories have in common, else empty."""
    values = {trajectory.keys.get(name, "") for trajectory in trajectories}
    return values.pop() if len(values) == 1 else ""


def _columns(plan: RowPlan) -> tuple[Column, ...]:
    described = {"input": "the recording", "face_id": "number of the face in it"}
    keys = [
        Column(name, described.get(name, "of the sheet of groups"), "path" if name == "input" else "text")
        for name in plan.shown_keys
    ]
    seconds = [
        Column("start_s", "start of the bin or interval, seconds", decimals=3),
        Column("end_s", "its end", decimals=3),
    ]
    if plan.bin_s is None and (plan.intervals is None or plan.pools_by_label):
        seconds = []
    label = [Column("label", "of the interval", "text")] if plan.intervals is not None else []
    settings = [Column(name, "setting") for name in plan.settings]
    return (*keys, *seconds, *label, *statistics(plan.summarizer), *settings)


def statistics(summarizer: Summarizer) -> Iterator[Column]:
    """The columns that a summarizer computes."""
    yield Column("recordings", "number of recordings", "integer")
    yield Column("faces", "number of faces in them", "integer")
    yield Column("frames", "number of frames", "integer")
    yield Column("duration_s", "seconds that the frames are shown", decimals=3)
    yield Column("valid_fraction", "share of these seconds with a prediction")
    yield Column("quality_mean", "mean quality of all frames")
    for name in DIMENSIONS:
        yield Column(f"{name}_mean", "mean over the seconds with a prediction")
        yield Column(f"{name}_se", "standard error of the mean")
        yield Column(
            f"{name}_effective_n", "number of independent values; of persons for a group", decimals=1
        )
        yield Column(f"{name}_sd", "standard deviation over time")
        for p in QUANTILES:
            yield Column(f"{name}_q{100 * p:.0f}", f"value that {100 * p:.0f} % of the time is not above")
        if summarizer.baselines is not None:
            yield Column(f"{name}_baseline", "mean of the person in the neutral state")
            yield Column(f"{name}_change", "mean minus baseline")
            yield Column(f"{name}_change_se", "standard error of the change")
    yield Column("arousal_peaks", "number of peaks of arousal", "integer")
    yield Column("arousal_peaks_per_min", "the same a minute with a prediction", decimals=2)
    yield Column("speech_fraction", "share of the seconds with speech, where it is known")
    yield Column("speaking_fraction", "share of the seconds in which the face speaks, where it is known")
    for name, threshold in summarizer.above:
        yield Column(f"{name}_above_{threshold:g}_s", f"seconds with {name} above {threshold:g}", decimals=3)
        yield Column(f"{name}_above_{threshold:g}_fraction", "share of the seconds with a prediction")
