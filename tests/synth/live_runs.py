"""Live runs with an engine that needs no model, also in processes of their own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vacli.media.live_input import LiveFrame, SoundBlock
from vacli.output.columns import COLUMNS
from vacli.output.frame_table import FLAGS, INTEGERS, TEXTS, FrameTable
from vacli.output.live.rows import LATENCY, PredictedRows
from vacli.pipeline.live_engine import FLAG


class CountingEngine:
    """Gives a row for each frame at once: valence is its mean, arousal the peak of the last sound."""

    def __init__(self, loaded: object, settings: Any) -> None:
        self.settings = settings
        self.peak = 0.0

    def __enter__(self) -> CountingEngine:
        return self

    def __exit__(self, *problem: object) -> None:
        """Nothing is open."""

    def warm_up(self) -> None:
        """Nothing is loaded."""

    def add_sound(self, block: SoundBlock) -> None:
        self.peak = float(np.abs(block.samples).max(initial=0.0))

    def add_frame(self, frame: LiveFrame) -> FrameTable:
        brightness = 0.0 if frame.rgb is None else float(frame.rgb.mean()) / 255
        values = {"valence": [brightness], "arousal": [self.peak]}
        return table_of([frame.index], [frame.time_s], self.settings.name, **values)

    def finish(self) -> FrameTable:
        return table_of([], [], self.settings.name)


def table_of(
    indices: Sequence[int], times_s: Sequence[float], name: str = "live", **values: Sequence[object]
) -> FrameTable:
    """Rows of a visible face with the given values."""
    columns: dict[str, np.ndarray] = {}
    for column in COLUMNS:
        value = 0 if column in INTEGERS else True if column in FLAGS else "" if column in TEXTS else np.nan
        columns[column] = np.full(len(indices), value)
    del columns["input"]
    columns |= {"frame": np.array(indices, int), "time_s": np.array(times_s, float)}
    columns["modality"] = np.full(len(indices), "visual")
    columns[FLAG] = np.full(len(indices), "", "U64")
    columns |= {column: np.array(given) for column, given in values.items()}
    return FrameTable(name, columns)


def rows_of(
    indices: Sequence[int], rgb: np.ndarray | None = None, **values: Sequence[object]
) -> PredictedRows:
    """Rows at 25 frames a second, as an output gets them."""
    table = table_of(indices, [index / 25 for index in indices], **values)
    table.columns[LATENCY] = np.full(len(indices), 0.05)
    frame = LiveFrame(indices[-1], indices[-1] / 25, rgb) if indices else None
    return PredictedRows(table, np.full(len(indices), np.nan), frame)


def write_rows_for_ever(path: str) -> None:
    """Append rows to a RowFile until the process is killed; each is named on stdout after it was written."""
    from vacli.output.live.row_file import RowFile
    from vacli.output.live.rows import RowText

    file, index = RowFile(Path(path), RowText(".csv")), 0
    while True:
        file.write(rows_of([index, index], valence=[0.5, 0.25], face_id=[0, 1]))
        print(index, flush=True)
        index += 1


if __name__ == "__main__":
    write_rows_for_ever(sys.argv[1])
