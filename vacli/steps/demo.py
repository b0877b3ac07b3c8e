"""`va demo`: create a clip and run all steps on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vacli.errors import InputError
from vacli.files.atomic import staged_writer
from vacli.media.demo_clip import write_demo_clip
from vacli.output import provenance
from vacli.output.columns import COLUMNS
from vacli.output.formats import DEFAULTS
from vacli.output.frame_table import FrameTable
from vacli.output.prediction_figure import draw_predictions
from vacli.output.writers import CsvWriter
from vacli.progress import Progress, RecordingProgress, begin_step
from vacli.steps import align, extract_audio, extract_visual, predict, report
from vacli.steps._batch import Batch
from vacli.steps._overlay_video import Drawing, write_overlay
from vacli.steps._prediction_provenance import conditions
from vacli.steps._prediction_settings import PredictSettings

SHOWN = ("frame", "time_s", "valence", "arousal", "valence_uncertainty", "arousal_uncertainty", "modality")
ROWS = 8
STEPS = 6  # of the command


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
    aligned = align.AlignSettings(inputs=(clip,), store=store, force=True)
    _check_done(align.run(aligned, begin_step(progress, 1, STEPS, "align")))
    faces = extract_visual.ExtractVisualSettings(inputs=(store,), store=store, feature="compact", force=True)
    _check_done(extract_visual.run(faces, begin_step(progress, 2, STEPS, "extract-visual")))
    sound = extract_audio.ExtractAudioSettings(inputs=(store,), store=store, force=True)
    _check_done(extract_audio.run(sound, begin_step(progress, 3, STEPS, "extract-audio")))
    table = _predict(clip, out / "demo.csv", begin_step(progress, 4, STEPS, "predict"))
    draw_predictions(out / "demo.png", "demo.mp4", [table])
    drawn = begin_step(progress, 5, STEPS, "overlay")
    write_overlay(clip, [table], out / "demo.overlay.mp4", Drawing(), drawn)
    pages = report.ReportSettings(predict=PredictSettings(inputs=(out / "demo.csv",)), out=out / "report")
    _check_done(report.run(pages, begin_step(progress, 6, STEPS, "report")))
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
    """Predict the clip; the table and its provenance are written."""
    tables: list[FrameTable] = []
    settings = PredictSettings(inputs=(clip,), record_inputs=True)
    batch = predict.run(settings, tables.append, progress)
    _check_done(batch)
    with staged_writer(path) as stream:
        CsvWriter(stream).write(tables[0])
    made = {**conditions(settings, DEFAULTS), "inputs": batch.inputs}
    provenance.write_sidecar(path, {**made, "files": provenance.digests_of({path.name: path})})
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
