"""`va report`: web pages of recordings with player, curves and plane, and an index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vacli.errors import InputError, OutputError
from vacli.files.atomic import write_text
from vacli.output.file_names import output_names
from vacli.output.formats import TRAJECTORY
from vacli.output.quality_filter import QualityFilter
from vacli.output.report.page import IndexRow, RecordingPage, index_html, is_report, read_row
from vacli.output.report.playback import MediaFile
from vacli.progress import Progress, RecordingProgress
from vacli.steps._batch import DONE, Batch, run_each
from vacli.steps._prediction_settings import PredictSettings
from vacli.steps._recordings import Recording, find_recordings, input_name
from vacli.steps._report_facts import limits, media_file, rows_provenance

INDEX = "index"
LARGE_BYTES = 100 << 20  # a page with a larger recording opens slowly
MAX_EMBEDDED_BYTES = 350 << 20  # browsers hold texts of at most about 512 MB, and base64 adds a third


@dataclass(frozen=True, kw_only=True)
class ReportSettings:
    """predict: the inputs and how they are predicted. out: a folder. embed: pages contain the recordings."""

    predict: PredictSettings
    out: Path
    embed: bool = False


@dataclass(frozen=True)
class _Job:
    """A recording and the file of its page."""

    recording: Recording
    path: Path


def run(settings: ReportSettings, progress: Progress | None = None) -> Batch:
    """Write a page for each recording, and an index of them with the inputs that failed.

    Earlier reports in the folder are replaced, other files are not. Raises OutputError if a page cannot be
    written, or would replace another file.
    """
    progress = progress or RecordingProgress()
    batch, quality = Batch(settings.out), QualityFilter(settings.predict.min_quality)
    _check_replaceable(settings.out / f"{INDEX}.html")
    jobs = _jobs(find_recordings(settings.predict, batch, progress), settings.out)
    for job in jobs:
        _check_replaceable(job.path)

    def work(job: _Job) -> str:
        _write_page(job, settings, quality, progress)
        return DONE

    run_each(batch, jobs, lambda job: job.recording.name, work, progress)
    _write_index(jobs, batch)
    if quality.report:
        progress.info(quality.report)
    return batch


def _jobs(recordings: Sequence[Recording], out: Path) -> list[_Job]:
    """A page for each recording. A recording that several tables have gets a page for each of them."""
    count = Counter(recording.name for recording in recordings)
    unique = {
        recording.name if count[recording.name] == 1 else f"{recording.table}/{recording.name}": recording
        for recording in recordings
    }
    inputs = [replace(input_name(recording), path=path) for path, recording in unique.items()]
    names = output_names(inputs, reserved=[INDEX])
    return [_Job(each, out / f"{name}.html") for each, name in zip(unique.values(), names, strict=True)]


def _check_replaceable(path: Path) -> None:
    """Raise OutputError for a file that is no page of an earlier report."""
    if path.is_file() and not is_report(path):
        raise OutputError(
            f"{path} exists and is not a page of `va report`", hint="name another folder with -o"
        )


def _write_page(job: _Job, settings: ReportSettings, quality: QualityFilter, progress: Progress) -> None:
    tables = [quality(table) for table in job.recording.load()]
    for table in tables:
        missing = [name for name in TRAJECTORY if name not in table.columns]
        if missing:
            raise InputError(f"{job.recording.name}: the table has no column {', '.join(missing)}")
    media, about_media = media_file(job.recording)
    page = RecordingPage(
        name=job.recording.name,
        tables=tables,
        media=media,
        provenance=[*about_media, *rows_provenance(job.recording, settings.predict)],
        limits=limits(job.recording, settings.predict),
        embed=settings.embed and media is not None and _can_embed(media, progress),
    )
    write_text(job.path, page.html(settings.out))


def _can_embed(media: MediaFile, progress: Progress) -> bool:
    """Whether a page can contain the recording; a warning says if not, or if the page will open slowly."""
    size_bytes = media.path.stat().st_size
    size = f"{media.path} has {size_bytes / 1e6:,.0f} MB"
    if size_bytes > MAX_EMBEDDED_BYTES:
        progress.warn(f"{size}, too many for a page: it is linked instead of embedded")
        return False
    if size_bytes > LARGE_BYTES:
        progress.warn(f"{size}: the page that contains it will open slowly; without --embed it is linked")
    return True


def _write_index(jobs: Sequence[_Job], batch: Batch) -> None:
    """Write the index. Its rows are read from the pages, which an earlier process may have written.

    If all inputs failed, the index of an earlier report is kept, because its pages are.
    """
    failed = {failure.name for failure in batch.failed}
    complete = [job for job in jobs if job.recording.name not in failed]
    path = batch.out / f"{INDEX}.html"
    if not complete and path.exists():
        return
    rows = [IndexRow(job.path.name, read_row(job.path)) for job in complete]
    write_text(path, index_html(rows, [(f.name, f.reason) for f in batch.failed]))
