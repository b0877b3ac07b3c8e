"""The rows of a table at the times of a video's frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vacli.errors import InputError
from vacli.output.frame_table import NO_MODALITY, FrameTable

BOX = ("face_x", "face_y", "face_w", "face_h")
DIMENSIONS = ("valence", "arousal")
VISUAL, AUDIO = ("audiovisual", "visual"), ("audiovisual", "audio")
MAX_STEPS = 0.75  # distance of a frame from its row, in median steps of the table
SINGLE_ROW_S = 0.02


@dataclass(frozen=True, eq=False)
class FaceCurves:
    """The predictions for one face, a row for each frame of the video.

    face_id: -1 if no face was detected in all of the video. values, uncertainty: (N, 2) valence and arousal,
    NaN where they are unknown. modality: (N,) text. boxes: (N, 4) left, top, right, bottom in pixels of the
    upright picture, NaN without a face.
    """

    face_id: int
    values: np.ndarray
    uncertainty: np.ndarray
    modality: np.ndarray
    boxes: np.ndarray

    @property
    def name(self) -> str:
        """How the overlay names the face."""
        return f"face {self.face_id}" if self.face_id >= 0 else "voice"

    @property
    def is_valid(self) -> np.ndarray:
        """(N,) bool: frames with a prediction that is based on a face or on speech."""
        return (self.modality != NO_MODALITY) & np.isfinite(self.values).all(axis=1)

    def uses(self, modalities: Sequence[str]) -> np.ndarray:
        """(N,) bool: frames whose modality is one of these."""
        return np.isin(self.modality, modalities)


def align_tables(tables: Sequence[FrameTable], times_s: np.ndarray) -> list[FaceCurves]:
    """The tables of one recording at the times (N,) of its frames, by face_id.

    Raises InputError if a table has no column valence or arousal, or no row at the times of the video.
    """
    curves = [_align(table, times_s) for table in tables]
    return sorted(curves, key=lambda face: face.face_id)


def _align(table: FrameTable, times_s: np.ndarray) -> FaceCurves:
    for name in DIMENSIONS:
        if name not in table.columns:
            raise InputError(
                f"{table.name}: the table has no column {name}", hint="predict without --columns"
            )
    rows = _nearest_rows(table.columns["time_s"], times_s)
    if (rows < 0).all():
        raise InputError(
            f"{table.name}: the table has no row at the times of the video",
            hint="check that it was predicted from this file",
        )

    def column(name: str) -> np.ndarray:
        values = table.columns.get(name)
        if values is None:
            return np.full(len(rows), np.nan)
        return np.where(rows >= 0, values[rows].astype(np.float64), np.nan)

    left, top, width, height = (column(name) for name in BOX)
    known = rows >= 0
    modality = table.columns.get("modality", np.full(len(table), ""))[rows]
    ids = table.columns.get("face_id")
    return FaceCurves(
        face_id=0 if ids is None else int(ids.max()),
        values=np.stack([column(name) for name in DIMENSIONS], axis=1),
        uncertainty=np.stack([column(f"{name}_uncertainty") for name in DIMENSIONS], axis=1),
        modality=np.where(known, modality, NO_MODALITY),
        boxes=np.stack([left, top, left + width, top + height], axis=1),
    )


def _nearest_rows(table_s: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """(N,) int: the nearest row of each time, -1 if none is near."""
    step_s = float(np.median(np.diff(table_s))) if len(table_s) > 1 else SINGLE_ROW_S
    right = np.searchsorted(table_s, times_s).clip(1, max(len(table_s) - 1, 1))
    right = right.clip(0, len(table_s) - 1)
    left = np.maximum(right - 1, 0)
    nearest = np.where(times_s - table_s[left] <= table_s[right] - times_s, left, right)
    return np.where(np.abs(table_s[nearest] - times_s) <= MAX_STEPS * step_s + 1e-6, nearest, -1)
