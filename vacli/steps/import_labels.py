"""`va import-labels`: import annotations into a store, one label for each frame of its videos."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np

from vacli.datasets import label_refinement, raters
from vacli.datasets.affwild2 import EXPRESSIONS
from vacli.datasets.annotation_matching import RaterPattern
from vacli.datasets.annotation_options import AnnotationOptions
from vacli.datasets.annotations import REPAIRED, SOURCES, FrameLabels
from vacli.datasets.label_tables import DEFAULT_RANGE
from vacli.datasets.subjects import from_options
from vacli.errors import LabelError, StoreError, UsageError, nearest
from vacli.progress import Progress, RecordingProgress
from vacli.spec import fingerprint
from vacli.steps._batch import DONE, SKIPPED, Batch, Failure, run_each
from vacli.steps._info_record import named
from vacli.steps._label_trials import Trial, TrialOptions, Trials, on_rows, read_trials
from vacli.store import Store, VideoView
from vacli.store.schema import file_stem

MAX_NOTES = 3  # files whose notes are shown


@dataclass(frozen=True, kw_only=True)
class ImportLabelsSettings(AnnotationOptions):
    """annotations: a folder or one file.

    refine: the refinement of training labels (`label_refinement.MODES`).
    subjects: a CSV file of videos and subjects; subject_pattern: an expression for the subject in an id.
    """

    annotations: Path
    store: Path
    refine: label_refinement.Mode = "fill"
    subjects: Path | None = None
    subject_pattern: str | None = None
    force: bool = False


@dataclass
class ImportLabelsResult(Batch):
    """The batch, annotations without a video (with the reason) and videos without an annotation.

    surplus_rows: trial -> rows minus frames if they differ. rows: source name -> number of rows in the store,
    of the videos that were labelled. refused: videos whose annotation failed. hidden: number of hidden files,
    which are left out. agreement: dimension -> agreement of several raters.
    """

    unmatched: list[Failure] = field(default_factory=list)
    unlabelled: list[str] = field(default_factory=list)
    surplus_rows: dict[str, int] = field(default_factory=dict)
    rows: Counter[str] = field(default_factory=Counter)
    refused: set[str] = field(default_factory=set)
    hidden: int = 0
    agreement: dict[str, raters.Agreement] = field(default_factory=dict)


def run(settings: ImportLabelsSettings, progress: Progress | None = None) -> ImportLabelsResult:
    """Read annotations, match them to the store's videos by name, refine and store them."""
    progress = progress or RecordingProgress()
    if settings.refine not in label_refinement.MODES:
        raise UsageError(
            f"--refine {settings.refine} is unknown", hint=nearest(settings.refine, label_refinement.MODES)
        )
    store = Store.open(settings.store)
    result = ImportLabelsResult(settings.store)
    options = TrialOptions(
        table_format=settings.table_format,
        delay_s=settings.delay_s,
        raters=settings.raters,
        rater_pattern=settings.rater_pattern,
        subjects=from_options(settings.subjects, settings.subject_pattern),
    )
    found = read_trials(settings.annotations, store, options, result, progress)
    result.hidden, result.unmatched, result.surplus_rows = found.hidden, found.unmatched, found.surplus_rows
    result.agreement = found.agreement.agreement()
    _check_any(settings, found, result)
    statistics = label_refinement.fit(
        ((t.labels.values, e) for t in found.trials if t.is_training and (e := t.expression()) is not None),
        EXPRESSIONS,
    )

    def work(trial: Trial) -> str:
        mode = settings.refine if trial.is_training else "off"
        labels = label_refinement.refine(trial.labels, trial.expression(), statistics, mode)
        status = _write(store, trial, labels, settings)
        for name, code in SOURCES.items():
            result.rows[name] += int((labels.source == code).sum())
        return status

    run_each(result, found.trials, lambda t: t.view.id, work, progress)
    result.refused = _videos_of(result.failed, store, RaterPattern.of(settings.rater_pattern))
    annotated = {trial.view.id for trial in found.trials} | result.refused
    result.unlabelled = [video for video in store.video_ids() if video not in annotated]
    _report(settings, found, result, progress)
    return result


def _check_any(settings: ImportLabelsSettings, found: Trials, result: ImportLabelsResult) -> None:
    """Raise LabelError where no annotation matches a video, or none labels a frame."""
    if found.trials:
        if not any(t.is_labelled for t in found.trials):
            raise LabelError(
                f"{settings.annotations}: no frame of any video has a label",
                hint="check the times and values of the annotations",
            )
    elif not result.failed:
        first = result.unmatched[0] if result.unmatched else None
        reason = f"{first.name}: {first.reason}" if first else "there is no valence and arousal"
        raise LabelError(
            f"no annotation in {settings.annotations} matches a video of {settings.store} ({reason})",
            hint="name each annotation like its video",
        )


def _videos_of(failures: Iterable[Failure], store: Store, pattern: RaterPattern) -> set[str]:
    """The videos that failures name: by their ids, or as `annotation_matching` finds them."""
    found: set[str] = set()
    for failure in failures:
        _, name = pattern.split(failure.name, lambda name: bool(store.find_by_name(name)))
        found.update(store.find_by_name(name) or store.find_by_name(file_stem(name)))
        found.update({failure.name} & set(store.video_ids()))
    return found


def _write(store: Store, trial: Trial, labels: FrameLabels, settings: ImportLabelsSettings) -> str:
    identity, complete = _identity(trial, labels), _is_complete(trial.view, settings.force)
    stored = trial.view.part_attrs("label") if complete else {}
    subject = trial.subject or str(stored.get("subject", ""))
    if complete:
        equal = stored.get("fingerprint") == identity
        if equal and stored.get("subject", "") == subject:
            return SKIPPED
        if not equal and not settings.force:
            raise LabelError(f"{trial.view.path} has other labels", hint="use --force to replace them")
    attributes = {
        "split": trial.split,
        "annotation": trial.path.name,
        "refine": settings.refine if trial.is_training else "off",
        "fingerprint": identity,
        "source_codes": SOURCES,
        **trial.attributes,
        **({"subject": subject} if subject else {}),
    }
    with store.stage(trial.view.id, "label", attributes) as writer:
        writer.append("valence", labels.values[:, 0])
        writer.append("arousal", labels.values[:, 1])
        writer.append("source", labels.source)
        if (repaired := labels.source == REPAIRED).any():
            original = np.where(repaired[:, None], trial.labels.values, np.float32(np.nan))
            writer.append("original", original, dims=("dimension",))
        for discrete in trial.discrete.values():
            rows = on_rows(discrete.values, len(labels.source))
            writer.append(discrete.kind, rows, dims=(f"{discrete.kind}_column",))
            writer.set(**{f"{discrete.kind}_names": list(discrete.names)})
    return DONE


def _is_complete(view: VideoView, force: bool) -> bool:
    """Whether a video has labels; StoreError if they are damaged and `force` is not given."""
    try:
        for array in ("valence", "arousal", "source"):
            if view.has(f"label/{array}"):
                view.check(f"label/{array}")
        return view.has("label")
    except StoreError:
        if not force:
            raise
        return False


def _identity(trial: Trial, labels: FrameLabels) -> str:
    """A hash of the labels to write, which is equal for equal labels."""
    arrays = [labels.values, labels.source, *(d.values for d in trial.discrete.values())]
    return fingerprint([trial.split, *(sha256(x.tobytes()).hexdigest() for x in arrays)])


def _report(
    settings: ImportLabelsSettings, found: Trials, result: ImportLabelsResult, progress: Progress
) -> None:
    rows = ", ".join(f"{count} {name}" for name, count in result.rows.items() if count)
    matched = len(result.done) + len(result.skipped)
    videos = "1 video" if matched == 1 else f"{matched} videos"
    progress.info(f"{videos} labelled ({len(result.skipped)} unchanged); rows: {rows or 'none'}")
    for message in (*_choices(settings, found), *_of_raters(settings, found, result)):
        progress.info(message)
    if result.hidden:
        progress.info(f"{result.hidden} hidden files are left out")
    off_by_one = [t for t, n in result.surplus_rows.items() if abs(n) == 1]
    if off_by_one:
        progress.info(f"{len(off_by_one)} annotations differ by one row from their videos' frames")
    for problem in _problems(settings, found, result):
        progress.warn(problem)


def _problems(settings: ImportLabelsSettings, found: Trials, result: ImportLabelsResult) -> Iterator[str]:
    """Problems that the user should check, one line each."""
    for trial, surplus in sorted(result.surplus_rows.items()):
        if abs(surplus) > 1:
            difference = "more" if surplus > 0 else "fewer"
            yield (
                f"{trial}: the annotation has {abs(surplus)} {difference} rows than the video has frames; "
                "they are matched from the first row"
            )
    for failure in result.unmatched:
        yield f"{failure.name}: {failure.reason}"
    lowest = min((t.lowest for t in found.trials), default=math.inf)
    if settings.table_format.value_range == DEFAULT_RANGE and 0 <= lowest < math.inf:
        yield "no label is below 0; give --range 0 1 if that is the scale of the annotations"
    half = "times of labels for less than half of"
    for videos, of_one, of_several in (
        (result.unlabelled, "has no annotation", "have no annotation"),
        (found.without_subject, "has no subject", "have no subject"),
        (found.sparse, f"has {half} its frames; check the unit", f"have {half} their frames; check the unit"),
        (
            found.beyond,
            "has labels that end far beyond it; check --unit s",
            "have labels that end far beyond them; check --unit s",
        ),
    ):
        if names := [video for video in videos if video not in result.refused]:
            problem = f"1 video {of_one}" if len(names) == 1 else f"{len(names)} videos {of_several}"
            yield f"{problem} ({named(names)})"


def _choices(settings: ImportLabelsSettings, found: Trials) -> Iterator[str]:
    """How the annotations were read."""
    low, high = settings.table_format.value_range
    if (low, high) != DEFAULT_RANGE:
        yield f"labels are mapped from [{low:g}, {high:g}] to [-1, 1]"
    if settings.delay_s:
        yield f"labels are moved {settings.delay_s:g} s earlier"
    if found.first_frame is not None:
        yield f"frame numbers: {found.first_frame} is a video's first frame"
    yield from found.notes[:MAX_NOTES]
    if len(found.notes) > MAX_NOTES:
        yield f"{len(found.notes) - MAX_NOTES} files more are read like that"


def _of_raters(settings: ImportLabelsSettings, found: Trials, result: ImportLabelsResult) -> Iterator[str]:
    if result.agreement:
        method = "mean" if settings.raters == "mean" else "evaluator-weighted mean"
        yield f"{found.agreement.videos} videos have several raters; labels are their {method}"
    for dimension, score in result.agreement.items():
        yield (
            f"inter-rater agreement of {dimension}: mean pairwise CCC {score.ccc:.3f}, "
            f"Pearson {score.pcc:.3f}, Cronbach's alpha {score.alpha:.3f}"
        )
