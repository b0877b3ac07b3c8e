"""The last rows and the last picture of a live run, for any number of readers."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from typing import Any

import numpy as np

from vacli.media.live_input import LiveFrame
from vacli.output.live.rows import LATENCY, PredictedRows

KEPT_ROWS = 4000  # about two minutes of one face
WAKE_S = 5.0  # without rows
WIDTH_PX = 480  # of pictures on the page
JPEG_QUALITY = 70
PICTURE_STEP_S = 0.15
NUMBERS = ("time_s", "valence", "arousal", "valence_uncertainty", "arousal_uncertainty", "quality")
BOX = ("face_x", "face_y", "face_w", "face_h")
Row = dict[str, Any]


class Broadcast:
    """Keeps the last KEPT_ROWS rows, each with a number from 1, and the last picture."""

    def __init__(self) -> None:
        self._rows: deque[tuple[int, Row]] = deque(maxlen=KEPT_ROWS)
        self._count = 0
        self._changed = threading.Condition()
        self._is_ended = False
        self._frame: LiveFrame | None = None
        self._jpeg_lock = threading.Lock()
        self._jpeg = b""
        self._jpeg_s = -math.inf

    def put(self, rows: PredictedRows) -> None:
        """Add rows; this does not wait for any reader."""
        made = [self._row(rows, at) for at in range(len(rows.table))]
        with self._changed:
            for row in made:
                self._count += 1
                self._rows.append((self._count, row))
            if rows.frame is not None and rows.frame.rgb is not None:
                self._frame = rows.frame
            self._changed.notify_all()

    def end(self) -> None:
        """There are no more rows."""
        with self._changed:
            self._is_ended = True
            self._changed.notify_all()

    def rows_after(self, number: int, step_s: float) -> tuple[list[Row], int, bool]:
        """Wait for rows after a number; returns them, the last number, and whether the run has ended.

        step_s: the time for which rows are collected. A reader that is slower than the KEPT_ROWS misses some.
        After WAKE_S without a row the list is empty.
        """
        time.sleep(step_s)
        with self._changed:
            if self._count == number and not self._is_ended:
                self._changed.wait(WAKE_S)
            rows = [row for at, row in self._rows if at > number]
            return rows, self._count, self._is_ended

    def jpeg(self) -> bytes:
        """The last picture, at most WIDTH_PX wide; empty if there is none. Readers share one encoding."""
        with self._jpeg_lock:
            now_s, frame = time.monotonic(), self._frame
            if frame is not None and frame.rgb is not None and now_s - self._jpeg_s > PICTURE_STEP_S:
                self._jpeg, self._jpeg_s = _encoded(frame.rgb), now_s
            return self._jpeg

    @staticmethod
    def _row(rows: PredictedRows, at: int) -> Row:
        columns = rows.table.columns
        row: Row = {name: _number(columns[name][at]) for name in (*NUMBERS, LATENCY)}
        row["face"] = int(columns["face_id"][at])
        row["basis"], row["flag"] = str(columns["modality"][at]), str(columns["flag"][at])
        row["box"] = [_number(columns[name][at]) for name in BOX]
        if rows.frame is not None and rows.frame.rgb is not None:
            height, width = rows.frame.rgb.shape[:2]
            row["size"] = [width, height]
        return row


def _number(value: Any) -> float | None:
    number = float(value)
    return round(number, 4) if math.isfinite(number) else None


def _encoded(rgb: np.ndarray) -> bytes:
    """A picture (H, W, 3) as JPEG of at most WIDTH_PX."""
    import simplejpeg
    from PIL import Image

    height, width = rgb.shape[:2]
    if width > WIDTH_PX:
        small = Image.fromarray(rgb).resize((WIDTH_PX, max(1, round(height * WIDTH_PX / width))))
        rgb = np.ascontiguousarray(small)
    return simplejpeg.encode_jpeg(rgb, quality=JPEG_QUALITY, colorspace="RGB")
