"""`va report`: web pages of recordings with player, curves and plane, and an index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vacli.errors import InputError, OutputError
from vacli.files.atomic import write_text
from vacli.media.kinds import MediaInput
from vacli.output.file_names import output_names
from vacli.output.formats import TRAJECTORY
from vacli.output.quality_filter import QualityFilter
from vacli.output.report.page import IndexRow, RecordingPage, index_html, is_report, read_row
from vacli.output.report.playback import MediaFile
from vacli.progress import Progress, RecordingProgress
from vacli.runtime.executor import Channel, ExecutorChoice
from vacli.steps._batch import DONE, Batch, run_job
from vacli.steps._output_folder import check_is_folder
from vacli.steps._prediction_settings import PredictSettings
from vacli.steps._recordings import (
    ModelLoader,
    ModelWithoutExtractors,
    Recording,
    find_recordings,
    input_name,
)
from vacli.steps._report_facts import limits, media_file, rows_provenance
from vacli.steps._table_recording import warn_of_other_recording

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
class _Page:
    """A recording and the file of its page."""

    recording: Recording
    path: Path


def run(settings: ReportSettings, progress: Progress | None = None) -> Batch:
    """Write a page for each recording, and an index of them with the inputs that failed.

    Earlier reports in the folder are replaced, other files are not. Raises OutputError if a page cannot be
    written, or would replace another file, UsageError for a folder that is named like a file.
    """
    progress = progress or RecordingProgress()
    batch, quality = Batch(settings.out), QualityFilter(settings.predict.min_quality)
    check_is_folder(settings.out, f"give a folder, such as -o report/; {INDEX}.html in it lists the pages")
    _check_replaceable(settings.out / f"{INDEX}.html")
    loader = ModelWithoutExtractors if settings.predict.dask else ModelLoader
    pages = _pages(find_recordings(settings.predict, batch, progress, loader), settings.out)
    for page in pages:
        _check_replaceable(page.path)
    has_media = any(isinstance(page.recording.origin, MediaInput) for page in pages)
    job = _ReportJob(replace(settings, predict=replace(settings.predict, inputs=())), has_media)
    channel = Channel(progress, quality.merge)
    with ExecutorChoice(settings.predict.dask, device=settings.predict.device).opened(progress) as executor:
        run_job(batch, pages, lambda page: page.recording.name, job, channel, executor)
    _write_index(pages, batch)
    if quality.report:
        progress.info(quality.report)
    return batch


def _pages(recordings: Sequence[Recording], out: Path) -> list[_Page]:
    """A page for each recording. A recording that several tables have gets a page for each of them."""
    count = Counter(recording.name for recording in recordings)
    unique = {
        recording.name if count[recording.name] == 1 else f"{recording.table}/{recording.name}": recording
        for recording in recordings
    }
    inputs = [replace(input_name(recording), path=path) for path, recording in unique.items()]
    names = output_names(inputs, reserved=[INDEX])
    return [_Page(each, out / f"{name}.html") for each, name in zip(unique.values(), names, strict=True)]


def _check_replaceable(path: Path) -> None:
    """Raise OutputError for a file that is no page of an earlier report."""
    if path.is_file() and not is_report(path):
        raise OutputError(
            f"{path} exists and is not a page of `va report`", hint="name another folder with -o"
        )


@dataclass(frozen=True)
class _ReportJob:
    """Writes pages; the channel gets the `QualityFilter` of each. has_media: some inputs are media files."""

    settings: ReportSettings
    has_media: bool

    def open(self, channel: Channel) -> Callable[[_Page], str]:
        """Load the run, unless the recordings have it."""
        loader = ModelLoader(self.settings.predict, channel.progress)
        if self.settings.predict.dask and self.has_media:
            assert loader.extracting

        def work(page: _Page) -> str:
            _write_page(page.recording.bound_to(loader), page.path, self.settings, channel)
            return DONE

        return work


def _write_page(recording: Recording, path: Path, settings: ReportSettings, channel: Channel) -> None:
    quality = QualityFilter(settings.predict.min_quality)
    tables = [quality(table) for table in recording.load()]
    channel.emit(quality)
    for table in tables:
        missing = [name for name in TRAJECTORY if name not in table.columns]
        if missing:
            raise InputError(f"{recording.name}: the table has no column {', '.join(missing)}")
    media, about_media = media_file(recording)
    if media is not None and recording.table is not None:
        warn_of_other_recording(recording.table, recording.name, media.path, channel.progress)
    if media is None and recording.table is not None:
        channel.progress.warn(
            f"{recording.name}: the recording of this table was not found, so its page has no player; "
            "make the report in the folder where the table was made, or put the recording beside it"
        )
    page = RecordingPage(
        name=recording.name,
        tables=tables,
        media=media,
        provenance=[*about_media, *rows_provenance(recording, settings.predict)],
        limits=limits(recording, settings.predict),
        embed=settings.embed and media is not None and _can_embed(media, channel.progress),
    )
    write_text(path, page.html(settings.out))


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


def _write_index(pages: Sequence[_Page], batch: Batch) -> None:
    """Write the index. Its rows are read from the pages, which an earlier process may have written.

    If all inputs failed, the index of an earlier report is kept, because its pages are.
    """
    failed = {failure.name for failure in batch.failed}
    complete = [page for page in pages if page.recording.name not in failed]
    path = batch.out / f"{INDEX}.html"
    if not complete and path.exists():
        return
    rows = [IndexRow(page.path.name, read_row(page.path)) for page in complete]
    write_text(path, index_html(rows, [(f.name, f.reason) for f in batch.failed]))
