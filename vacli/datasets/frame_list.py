"""A table that names frames of videos: CSV with the columns video and frame."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from pathlib import Path

import numpy as np

from vacli.datasets.text_dialect import decode
from vacli.errors import LabelError
from vacli.store.schema import safe_id

COLUMNS = ("video", "frame")


def read_frame_list(path: Path) -> dict[str, np.ndarray]:
    """Video -> its listed frames, (K,) int64 from 0, ascending. A video is given by its id or file name.

    Raises LabelError where the file cannot be read or a row lacks a video or a frame.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(decode(path), newline="")))
    except csv.Error as error:
        raise LabelError(f"{path} cannot be read: {error}", hint="it must be a CSV table") from None
    frames: dict[str, set[int]] = defaultdict(set)
    for line, row in enumerate(rows, start=2):
        video, frame = ((row.get(name) or "").strip() for name in COLUMNS)
        if not video or not frame.isdecimal():
            raise LabelError(
                f"{path}:{line}: no video with a frame number", hint="give a CSV with the columns video,frame"
            )
        frames[safe_id(video)].add(int(frame))
    if not frames:
        raise LabelError(f"{path} lists no frame", hint="give a CSV with the columns video,frame")
    return {video: np.array(sorted(numbers), np.int64) for video, numbers in frames.items()}
