"""`va summarize`: statistics of recordings, persons and groups, over bins or intervals."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vacli import __version__
from vacli.datasets.group_table import GroupTable, read_groups
from vacli.datasets.interval_table import Interval, of_recordings, read_intervals
from vacli.errors import InputError, UsageError
from vacli.files.atomic import refuse_existing
from vacli.files.digests import file_sha256
from vacli.output.formats import TableOptions
from vacli.output.frame_table import FrameTable
from vacli.output.provenance import digests_of, write_sidecar
from vacli.output.quality_filter import QualityFilter
from vacli.output.record_table import RecordTable, check_ending, write_records
from vacli.output.trajectory_filter import Filter
from vacli.output.trajectory_summary import DIMENSIONS, Estimate, FaceTrajectory, Summarizer, combine
from vacli.progress import Progress, RecordingProgress
from vacli.steps._batch import DONE, Batch, run_each
from vacli.steps._prediction_provenance import conditions
from vacli.steps._prediction_settings import PredictSettings
from vacli.steps._recordings import TABLE_SUFFIXES, Recording, find_recordings
from vacli.steps._summary_rows import GROUP, SUBJECT, UNITS, RowPlan, statistics, summary_table

BASELINE_SPAN = re.compile(r"(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)")


@dataclass(frozen=True, kw_only=True)
class SummarizeSettings:
    """prediction: the inputs, and how recordings among them are predicted; its min_quality applies to all.

    out: None to write nothing. per: of `UNITS`. bin_s: seconds. intervals, groups: text tables
    (`read_intervals`, `read_groups`). above: pairs of a dimension and a threshold. baseline: START:END in
    seconds of each recording, or a table of intervals. smooth_s, rate_hz: `trajectory_filter.Filter`.
    force: replace an existing file.
    """

    prediction: PredictSettings
    out: Path | None = None
    per: str = "face"
    bin_s: float | None = None
    intervals: Path | None = None
    groups: Path | None = None
    above: tuple[tuple[str, float], ...] = ()
    baseline: str | None = None
    smooth_s: float | None = None
    rate_hz: float | None = None
    decimal_comma: bool = False
    force: bool = False


@dataclass(frozen=True, eq=False)
class Summary:
    """The summaries, and which inputs failed."""

    table: RecordTable
    batch: Batch


def run(settings: SummarizeSettings, progress: Progress | None = None) -> Summary:
    """Summarise tables of `va predict`, stores and recordings, and write the summary to `out`.

    A failed input is recorded in the result. Raises UsageError for wrong settings, LabelError for tables of
    intervals or groups that cannot be understood, InputError if no input can be summarised.
    """
    progress = progress or RecordingProgress()
    _check(settings)
    prepare = Filter(settings.smooth_s, settings.rate_hz)
    groups = None if settings.groups is None else read_groups(settings.groups)
    _check_groups(settings, groups)
    intervals = None if settings.intervals is None else read_intervals(settings.intervals)
    neutral = None if settings.baseline is None else _baseline_intervals(settings.baseline)
    min_quality = settings.prediction.min_quality
    quality = QualityFilter(min_quality)
    batch = Batch(settings.out or Path())
    recordings = find_recordings(settings.prediction, batch, progress)
    names = [recording.name for recording in recordings]
    if groups is not None:
        groups = groups.of_recordings(names)
    if intervals is not None and settings.intervals is not None:
        intervals = of_recordings(intervals, names, settings.intervals)
    if neutral is not None and settings.baseline is not None:
        neutral = of_recordings(neutral, names, Path(settings.baseline))
    trajectories: list[FaceTrajectory] = []

    def work(recording: Recording) -> str:
        tables = [prepare(quality(_with_values(table))) for table in recording.load()]
        trajectories.extend(_trajectory(table, groups) for table in tables)
        return DONE

    batch = run_each(batch, recordings, lambda recording: recording.name, work, progress)
    if not trajectories:
        raise InputError("no input could be summarized", hint="see the reasons above")
    _warn(settings, trajectories, groups, [*(intervals or []), *(neutral or [])], progress)
    baselines = None if neutral is None else _baselines(trajectories, neutral, progress)
    plan = RowPlan(
        per=settings.per,
        bin_s=settings.bin_s,
        intervals=intervals,
        keys=() if groups is None else (*([SUBJECT] if groups.has_subjects else []), *groups.groups),
        settings=({} if min_quality is None else {"min_quality": min_quality}) | prepare.settings,
        summarizer=Summarizer(settings.per == GROUP, settings.above, baselines),
    )
    table = summary_table(trajectories, plan)
    if quality.report:
        progress.info(quality.report)
    if settings.out is not None:
        write_records(table, settings.out, settings.decimal_comma)
        write_sidecar(settings.out, _provenance(settings, settings.out))
    return Summary(table, batch)


def _check(settings: SummarizeSettings) -> None:
    """Raise UsageError for settings that have no meaning."""
    if settings.per not in UNITS:
        raise UsageError(f"--per {settings.per} is none of {', '.join(UNITS)}")
    if settings.bin_s is not None and settings.intervals is not None:
        raise UsageError("--bin and --intervals exclude each other", hint="leave out one of them")
    if settings.bin_s is not None and not (settings.bin_s > 0 and math.isfinite(settings.bin_s)):
        raise UsageError("--bin must be above 0")
    for name, threshold in settings.above:
        if name not in DIMENSIONS or not math.isfinite(threshold):
            raise UsageError(f"--above {name} {threshold:g}", hint="give valence or arousal and a number")
    if settings.out is not None:
        check_ending(settings.out)
        refuse_existing([settings.out], settings.force)


def _check_groups(settings: SummarizeSettings, groups: GroupTable | None) -> None:
    if settings.per == SUBJECT and not (groups and groups.has_subjects):
        raise UsageError("--per subject needs --groups with a column subject")
    if settings.per == GROUP and not (groups and groups.groups):
        raise UsageError("--per group needs --groups with a column of groups, for example condition")
    computed = Summarizer(settings.per == GROUP, settings.above, None if settings.baseline is None else {})
    names = {"input", "face_id", "start_s", "end_s", "label", "min_quality", "smooth_s", "rate_hz"}
    names.update(column.name for column in statistics(computed))
    taken = names & set(groups.groups if groups else ())
    if taken:
        raise UsageError(f"{settings.groups}: a column of groups is called {min(taken)}", hint="rename it")


def _baseline_intervals(text: str) -> list[Interval]:
    """The neutral intervals of START:END or of a file. Raises UsageError for another text."""
    if match := BASELINE_SPAN.fullmatch(text):
        start_s, end_s = map(float, match.groups())
        if end_s <= start_s:
            raise UsageError(f"--baseline {text}: the end is not after the start")
        return [Interval(start_s, end_s)]
    if not Path(text).is_file():
        raise UsageError(
            f"--baseline {text} is no file", hint="give START:END in seconds or a CSV start,end,label,input"
        )
    return read_intervals(Path(text))


def _with_values(table: FrameTable) -> FrameTable:
    """The table. Raises InputError if it lacks a dimension."""
    absent = [name for name in DIMENSIONS if name not in table.columns]
    if absent:
        raise InputError(f"{table.name}: the table has no column {' and '.join(absent)}")
    return table


def _trajectory(table: FrameTable, groups: GroupTable | None) -> FaceTrajectory:
    face_ids = table.columns["face_id"][:1].tolist() if "face_id" in table.columns else []
    face_id = face_ids[0] if face_ids else -1
    values = dict(groups.values_of(table.name, face_id) or {}) if groups else {}
    keys = {"input": table.name, "face_id": "" if face_id < 0 else str(face_id), **values}
    return FaceTrajectory(table, values.get(SUBJECT) or f"{table.name}#{face_id}", keys)


def _warn(
    settings: SummarizeSettings,
    trajectories: Sequence[FaceTrajectory],
    groups: GroupTable | None,
    intervals: Iterable[Interval],
    progress: Progress,
) -> None:
    """Warn of recordings that a sheet lacks, and of intervals of recordings that are not there."""
    names = list(dict.fromkeys(trajectory.table.name for trajectory in trajectories))
    if groups is not None:
        without = [t.table.name for t in trajectories if len(t.keys) == 2]
        if without:
            left_out = ", so left out" if settings.per in (SUBJECT, GROUP) else ""
            progress.warn(f"{_listed(without)}: not in {settings.groups}{left_out}")
        needed = {SUBJECT: (SUBJECT,), GROUP: groups.groups}.get(settings.per, ())
        for name in needed:
            empty = [t.table.name for t in trajectories if t.keys.get(name) == ""]
            if empty:
                progress.warn(f"{_listed(empty)}: no {name} in {settings.groups}, so left out")
    named = dict.fromkeys(i.recording for i in intervals if i.recording is not None)
    unknown = [text for text in named if text not in names]
    if unknown:
        progress.warn(f"{_listed(unknown)}: named by an interval, but not among the inputs")


def _listed(names: Sequence[str]) -> str:
    unique = list(dict.fromkeys(names))
    more = f" and {len(unique) - 3} more" if len(unique) > 3 else ""
    return ", ".join(unique[:3]) + more


def _baselines(
    trajectories: Sequence[FaceTrajectory], neutral: Sequence[Interval], progress: Progress
) -> dict[str, Mapping[str, Estimate]]:
    """Person -> dimension -> mean over the neutral intervals of all of the person's recordings."""
    by_person: dict[str, list[FaceTrajectory]] = {}
    for trajectory in trajectories:
        by_person.setdefault(trajectory.person, []).append(trajectory)
    baselines: dict[str, Mapping[str, Estimate]] = {}
    for person, its in by_person.items():
        pairs = [(t, i) for t in its for i in neutral if i.applies_to(t.table.name)]
        parts = [t.part(i.start_s, i.end_s) for t, i in pairs]
        parts = [part for part in parts if part.valid_s > 0]
        if parts:
            baselines[person] = {n: combine([part.estimate(n) for part in parts]) for n in DIMENSIONS}
    without = [its[0].table.name for person, its in by_person.items() if person not in baselines]
    if without:
        progress.warn(f"{_listed(without)}: no frame with a prediction in the baseline, so no change")
    return baselines


def _provenance(settings: SummarizeSettings, out: Path) -> dict[str, object]:
    """What the summary depends on, and its digest."""
    prediction = settings.prediction
    made: dict[str, object] = {"va": __version__}
    if any(path.suffix.lower() not in TABLE_SUFFIXES for path in prediction.inputs):
        made["model"] = conditions(prediction, TableOptions())["model"]
    sheets = {name: getattr(settings, name) for name in ("intervals", "groups", "baseline")}
    own = {name: getattr(settings, name) for name in ("per", "bin_s", "above", "smooth_s", "rate_hz")}
    is_chosen = "model" in made or prediction.selects_face
    face = prediction.face if is_chosen else None  # all faces of tables
    made["settings"] = {**own, "min_quality": prediction.min_quality, "face": face} | {
        name: None if sheet is None else _file_record(Path(sheet)) for name, sheet in sheets.items()
    }
    made["inputs"] = [_file_record(path) for path in prediction.inputs]
    return {**made, "files": digests_of({out.name: out})}


def _file_record(path: Path) -> dict[str, str]:
    """The name of a file with its SHA-256; only the name of a store, a folder, or a text that is no file."""
    return {"name": path.name, **({"sha256": file_sha256(path)} if path.is_file() else {})}
