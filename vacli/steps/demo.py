"""`va demo`: create a clip and run all steps on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vacli.errors import InputError
from vacli.files.atomic import staged_writer
from vacli.media.demo_clip import write_demo_clip
from vacli.output.columns import COLUMNS
from vacli.output.frame_table import FrameTable
from vacli.output.prediction_figure import draw_predictions
from vacli.output.writers import CsvWriter
from vacli.progress import Progress, RecordingProgress
from vacli.steps import align, extract_audio, extract_visual, predict, report
from vacli.steps._batch import Batch
from vacli.steps._overlay_video import Drawing, write_overlay
from vacli.steps._prediction_settings import PredictSettings

SHOWN = ("frame", "time_s", "valence", "arousal", "valence_uncertainty", "arousal_uncertainty", "modality")
ROWS = 8


@dataclass(frozen=True)
class DemoSettings:
    """The folder for all files of the demo."""

    out: Path


@dataclass(frozen=True)
class DemoResult:
    """head: a header and some rows as text. files: the written paths and their descriptions."""

    head: list[list[str]]
    files: list[tuple[Path, str]]


def run(settings: DemoSettings, progress: Progress | None = None) -> DemoResult:
    """Create a clip, align it, extract features, predict and draw; existing results are replaced."""
    progress = progress or RecordingProgress()
    out = settings.out
    out.mkdir(parents=True, exist_ok=True)
    clip, store = out / "demo.mp4", out / "demo.zarr"
    write_demo_clip(clip)
    progress.info(f"{clip}: created from a photographed face and a synthetic voice")
    _check_done(align.run(align.AlignSettings(inputs=(clip,), store=store, force=True), progress))
    faces = extract_visual.ExtractVisualSettings(inputs=(store,), store=store, feature="compact", force=True)
    _check_done(extract_visual.run(faces, progress))
    sound = extract_audio.ExtractAudioSettings(inputs=(store,), store=store, force=True)
    _check_done(extract_audio.run(sound, progress))
    table = _predict(clip, out / "demo.csv", progress)
    draw_predictions(out / "demo.png", "demo.mp4", [table])
    write_overlay(clip, [table], out / "demo.overlay.mp4", Drawing(), progress)
    pages = report.ReportSettings(predict=PredictSettings(inputs=(clip,)), out=out / "report")
    _check_done(report.run(pages, progress))
    files = [
        (clip, "the clip"),
        (store, "a store with its faces and features"),
        (out / "demo.csv", f"{len(table)} rows, one for each frame"),
        (out / "demo.png", "a figure of these rows"),
        (out / "demo.overlay.mp4", "the clip with these rows drawn on it"),
        (out / "report" / "demo.html", "a web page with player and curves"),
    ]
    return DemoResult(head=_head(table), files=files)


def _predict(clip: Path, path: Path, progress: Progress) -> FrameTable:
    tables: list[FrameTable] = []
    _check_done(predict.run(PredictSettings(inputs=(clip,)), tables.append, progress))
    with staged_writer(path) as stream:
        CsvWriter(stream).write(tables[0])
    return tables[0]


def _check_done(batch: Batch) -> None:
    """Raise InputError if a step failed."""
    for failure in batch.failed:
        raise InputError(failure.reason)


def _head(table: FrameTable) -> list[list[str]]:
    """Rows at equal distances over the whole clip."""
    indices = np.linspace(0, len(table) - 1, ROWS).astype(int)
    rows = [dict(zip(COLUMNS, cells, strict=True)) for cells in table.rows()]
    return [list(SHOWN), *([rows[index][name] for name in SHOWN] for index in indices)]
