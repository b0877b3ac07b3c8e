"""`va demo`: a clip made on the spot, through the whole line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vacli.errors import InputError
from vacli.files.atomic import staged_writer
from vacli.media.demo_clip import write_demo_clip
from vacli.output import plot
from vacli.output.frame_table import COLUMNS, FrameTable
from vacli.output.writers import CsvWriter
from vacli.progress import Progress, Quiet
from vacli.steps import align, extract_audio, extract_visual, predict
from vacli.steps._batch import Batch

SHOWN = ("frame", "time_s", "valence", "arousal", "valence_uncertainty", "arousal_uncertainty", "modality")
ROWS = 8


@dataclass(frozen=True)
class DemoSettings:
    """The folder that everything goes into."""

    out: Path


@dataclass(frozen=True)
class DemoResult:
    """head: a header and some rows as text. files: what was written and what it is."""

    head: list[list[str]]
    files: list[tuple[Path, str]]


def run(settings: DemoSettings, progress: Progress = Quiet()) -> DemoResult:
    """Make a clip, put it through the steps into a store, predict, draw. Runs again from the clip on."""
    out = settings.out
    out.mkdir(parents=True, exist_ok=True)
    clip, store = out / "demo.mp4", out / "demo.zarr"
    write_demo_clip(clip)
    progress.say(f"{clip}: a clip of a photographed face and a synthetic voice")
    _all_done(align.run(align.AlignSettings(inputs=(clip,), store=store, force=True), progress))
    faces = extract_visual.ExtractVisualSettings(inputs=(store,), store=store, feature="compact", force=True)
    _all_done(extract_visual.run(faces, progress))
    sound = extract_audio.ExtractAudioSettings(inputs=(store,), store=store, force=True)
    _all_done(extract_audio.run(sound, progress))
    table = _predict(clip, out / "demo.csv", progress)
    plot.trajectory(out / "demo.png", "demo.mp4", _curves(table))
    files = [
        (clip, "the clip"),
        (store, "its faces and features, a store for the other commands"),
        (out / "demo.csv", f"{len(table)} rows, one a frame"),
        (out / "demo.png", "the same as a figure"),
    ]
    return DemoResult(head=_head(table), files=files)


def _predict(clip: Path, path: Path, progress: Progress) -> FrameTable:
    tables: list[FrameTable] = []
    _all_done(predict.run(predict.PredictSettings(inputs=(clip,)), tables.append, progress))
    with staged_writer(path) as stream:
        CsvWriter(stream).write(tables[0])
    return tables[0]


def _all_done(batch: Batch) -> None:
    """Raises InputError where a step of the line failed."""
    for failure in batch.failed:
        raise InputError(failure.reason)


def _curves(table: FrameTable) -> plot.Curves:
    c = table.columns
    spread = np.stack([c["valence_uncertainty"], c["arousal_uncertainty"]], axis=1)
    return plot.Curves(
        times_s=c["time_s"],
        predicted=np.stack([c["valence"], c["arousal"]], axis=1),
        sd=None if np.isnan(spread).all() else spread,
    )


def _head(table: FrameTable) -> list[list[str]]:
    """Rows spread over the clip, so that all that happens in it is seen."""
    places = np.linspace(0, len(table) - 1, ROWS).astype(int)
    rows = [dict(zip(COLUMNS, cells, strict=True)) for cells in table.rows()]
    return [list(SHOWN), *([rows[place][name] for name in SHOWN] for place in places)]
