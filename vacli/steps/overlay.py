"""`va overlay`: copies of videos with the predictions drawn on their pictures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from vacli import __version__
from vacli.errors import InputError, UsageError
from vacli.faces.selection import check_face_choice
from vacli.files.atomic import refuse_existing
from vacli.files.digests import file_sha256
from vacli.files.object_path import is_object_url, to_path
from vacli.media.kinds import MediaInput
from vacli.media.probe import probe
from vacli.media.video_writer import container_of, select_encoder
from vacli.output.file_names import output_names
from vacli.output.formats import TableOptions
from vacli.output.frame_table import FrameTable
from vacli.output.provenance import as_line
from vacli.output.quality_filter import QualityFilter
from vacli.output.table_reader import read_table_file
from vacli.progress import Progress, RecordingProgress
from vacli.steps._batch import DONE, Batch, run_each
from vacli.steps._overlay_video import Drawing, write_overlay
from vacli.steps._prediction_provenance import conditions
from vacli.steps._prediction_settings import PredictSettings
from vacli.steps._recordings import Recording, find_recordings, input_name
from vacli.steps._table_faces import check_choice, select_faces, warn_of_earlier_choice
from vacli.steps._table_recording import warn_of_other_recording
from vacli.steps._unused_options import warn_of_unused
from vacli.steps.predict import select_media

SUFFIX = ".overlay.mp4"  # of files in a folder


@dataclass(frozen=True, kw_only=True)
class OverlaySettings:
    """The inputs and the model are those of `PredictSettings`.

    out: a video file, or a folder. table: predictions to draw, in place of new ones. blur: hide all faces.
    width_px: of the overlay, None for that of the video. force: replace existing files.
    """

    predict: PredictSettings
    out: Path
    table: Path | None = None
    blur: bool = False
    width_px: int | None = None
    force: bool = False


@dataclass
class OverlayResult(Batch):
    """The batch of the recordings, and the files that were written."""

    files: list[Path] = field(default_factory=list)


def run(settings: OverlaySettings, progress: Progress | None = None) -> OverlayResult:
    """Write an overlay of each recording.

    A failed recording is recorded in the result, and the others are processed. Raises UsageError for wrong
    settings, and for several recordings where `out` is a file.
    """
    progress = progress or RecordingProgress()
    result, quality = OverlayResult(settings.out), QualityFilter(settings.predict.min_quality)
    if not _is_folder(settings.out):
        _check_free(settings.out, settings)
    recordings = _recordings(settings, result, progress)
    outputs = _outputs(settings, recordings)
    if select_encoder().note:
        progress.warn(select_encoder().note)

    def work(pair: tuple[Recording, Path]) -> str:
        recording, path = pair
        _check_free(path, settings)
        _write(recording, path, settings, quality, progress)
        return DONE

    pairs = list(zip(recordings, outputs, strict=True))
    run_each(result, pairs, lambda pair: pair[0].name, work, progress)
    result.files += [path for recording, path in pairs if recording.name in result.done]
    if quality.report:
        progress.info(quality.report)
    return result


def _is_folder(out: Path) -> bool:
    """Whether it is a folder, or may become one: its name has no ending, or one of a number as in `v1.0`."""
    return out.is_dir() or not out.suffix[1:2].isalpha()


def _check_free(path: Path, settings: OverlaySettings) -> None:
    """Raise UsageError for an ending that is not that of a video, OutputError for a file without force."""
    container_of(path)
    refuse_existing([path], settings.force)


def _outputs(settings: OverlaySettings, recordings: Sequence[Recording]) -> list[Path]:
    """The file of each recording. Raises UsageError for several recordings and one file."""
    if not _is_folder(settings.out):
        if len(recordings) > 1:
            raise UsageError(
                f"{settings.out} holds one recording, and there are {len(recordings)}",
                hint="name a folder with -o",
            )
        return [settings.out] * len(recordings)
    names = output_names([input_name(recording) for recording in recordings])
    return [settings.out / f"{name}{SUFFIX}" for name in names]


def _recordings(settings: OverlaySettings, batch: Batch, progress: Progress) -> list[Recording]:
    """The recordings to draw; with a table those of the inputs, with its rows."""
    check_face_choice(settings.predict.face)
    predict = replace(settings.predict, given=settings.predict.given - {"audio_track"})  # the sound is copied
    if settings.table is None:
        return find_recordings(predict, batch, progress)
    warn_of_unused(predict, [settings.table], [], progress)
    if predict.selects_face:
        warn_of_earlier_choice(settings.table, predict.face, progress)
    tables: dict[str, list[FrameTable]] = {}
    for table in read_table_file(settings.table).tables:
        tables.setdefault(table.name, []).append(table)
    media = [item.path for item in select_media(settings.predict, [], batch, progress)]
    source = _TableSource(settings.table, tables, predict.face, len(media) == 1, progress)
    for path in media:
        if other := source.other_name(path):
            progress.warn(f"{settings.table} is of {other}; it is drawn on {path}")
    return [Recording(str(path), path, partial(source.tables_of, path)) for path in media]


@dataclass(frozen=True)
class _TableSource:
    """tables: by the names of recordings. face: which faces. is_single: there is one file to draw on."""

    path: Path
    tables: dict[str, list[FrameTable]]
    face: str
    is_single: bool
    progress: Progress

    def tables_of(self, media: Path) -> list[FrameTable]:
        """The tables of a file: by its path, by its name, or the only ones for the only file."""
        same = self._names(media) or ([other] if (other := self.other_name(media)) else [])
        if len(same) != 1:
            problem = "names it more than once" if same else "has no rows of it"
            raise InputError(
                f"{media}: {self.path} {problem}", hint="compare the column `input` with the path"
            )
        check_choice(self.path, self.tables[same[0]], self.face, self.progress)
        return select_faces(self.tables[same[0]], self.face)

    def other_name(self, media: Path) -> str | None:
        """The name of the only recording, whose rows the only file gets, if the file has another name."""
        is_other = self.is_single and len(self.tables) == 1 and not self._names(media)
        return next(iter(self.tables)) if is_other else None

    def _names(self, media: Path) -> list[str]:
        same = [name for name in self.tables if name == str(media)]
        return same or [name for name in self.tables if os.path.basename(name) == media.name]


def _write(
    recording: Recording, path: Path, settings: OverlaySettings, quality: QualityFilter, progress: Progress
) -> None:
    media = recording.media or _stored_object(recording)
    if media is None:
        raise InputError(
            f"{recording.name}: its video is not there", hint="name the video, and its table with --table"
        )
    if path.exists() and path.samefile(media):
        raise UsageError(f"{path} is the input", hint="name another file with -o")
    if probe(media).video is None:
        raise InputError(f"{media}: has no picture to draw on", hint="`va report` shows sound")
    tables = [quality(table) for table in recording.load()]
    table = settings.table or recording.table
    if table is not None and tables:
        warn_of_other_recording(table, tables[0].name, media, progress)
    comment = as_line(_provenance(media, recording, settings))
    drawing = Drawing(settings.blur, settings.width_px, settings.predict.audio_track, comment)
    write_overlay(media, tables, path, drawing, progress)


def _stored_object(recording: Recording) -> Path | None:
    """The object that a video of a store was made from, None if it was a file or is not there."""
    origin = recording.origin
    url = "" if isinstance(origin, MediaInput | None) else str(origin.source.get("path", ""))
    if is_object_url(url) and (path := to_path(url)).is_file():
        return path
    return None


def _provenance(media: Path, recording: Recording, settings: OverlaySettings) -> dict[str, object]:
    """Version, video, and the model with its settings or the table; stored in the file's comment."""
    made: dict[str, object] = {"va": __version__, "video": _digest(media)}
    table = settings.table or recording.table
    if table is not None:
        made["table"] = _digest(table)
        chosen: dict[str, object] = {"face": settings.predict.face} if settings.predict.selects_face else {}
        if settings.predict.min_quality is not None:
            chosen["min_quality"] = settings.predict.min_quality
        made |= {"settings": chosen} if chosen else {}
    elif recording.origin is not None:
        predicted = conditions(settings.predict, TableOptions())
        made |= {name: predicted[name] for name in ("model", "settings")}
    return made


def _digest(path: Path) -> dict[str, str]:
    return {"name": path.name, "sha256": file_sha256(path)}
