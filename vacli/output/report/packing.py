"""The rows of a recording as compact arrays for a page: base64 of little-endian integers.

An hour of one face at 30 frames a second takes about 3 MB.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from vacli.output.annotations import FaceTier
from vacli.output.frame_durations import NO_FRAMES, recording_gaps
from vacli.output.frame_table import NO_MODALITY, FrameTable

TIME_UNIT_S = 1e-4
VALUE_UNIT = 1e-4  # as precise as the text tables
MISSING = -32768  # in place of a value
MODALITIES = ("audiovisual", "visual", "audio", NO_MODALITY)
UNKNOWN = "unknown"  # the modality of a table without that column
BOX = ("face_x", "face_y", "face_w", "face_h")


def pack_faces(tiers: Sequence[FaceTier]) -> dict[str, Any]:
    """The rows of all faces as JSON values.

    Per face: `label`; `time` in `time_unit_s`, None if equal to that of the first face; `valence`, `arousal`
    and their uncertainties in `value_unit`; `modality` as [first row, index into `modalities`] of each run of
    equal rows; `box` as x, y, width and height in pixels of each row. Arrays without any value are None. A
    gap of the recording is a row without values, with the modality NO_FRAMES.
    """
    return {
        "time_unit_s": TIME_UNIT_S,
        "value_unit": VALUE_UNIT,
        "missing": MISSING,
        "modalities": [*MODALITIES, UNKNOWN, NO_FRAMES],
        "end_s": max((tier.end_ms / 1000 for tier in tiers), default=0.0),
        "faces": [_face(tier, tiers[0].table) for tier in tiers],
    }


def usable(table: FrameTable) -> np.ndarray:
    """(N,) bool: rows that are based on a face or on speech and have values."""
    c = table.columns
    return table.valid & ~np.isnan(c["valence"]) & ~np.isnan(c["arousal"])


def modality_codes(table: FrameTable) -> np.ndarray:
    """(N,) indices into MODALITIES, len(MODALITIES) if the table has no such column."""
    if "modality" not in table.columns:
        return np.full(len(table), len(MODALITIES))
    order = {name: code for code, name in enumerate(MODALITIES)}
    return np.array([order[name] for name in table.columns["modality"].tolist()], int)


def _face(tier: FaceTier, first: FrameTable) -> dict[str, Any]:
    table, times_s = tier.table, tier.table.columns["time_s"]
    is_usable = usable(table)
    is_common = table is not first and np.array_equal(times_s, first.columns["time_s"])
    gaps, starts_s = recording_gaps(times_s)
    packed = {
        name: _values(table.columns.get(name), is_usable, gaps + 1)
        for name in ("valence", "arousal", "valence_uncertainty", "arousal_uncertainty")
    }
    times_s = np.insert(times_s, gaps + 1, starts_s).clip(0)
    codes = np.insert(modality_codes(table), gaps + 1, len(MODALITIES) + 1)
    return {
        "label": tier.label,
        "rows": len(times_s),
        "time": None if is_common else _base64(np.round(times_s / TIME_UNIT_S), "<u4"),
        **packed,
        "modality": _runs(codes),
        "box": _boxes(table, gaps + 1),
    }


def _values(values: np.ndarray | None, is_usable: np.ndarray, gaps: np.ndarray) -> str | None:
    if values is None:
        return None
    known = is_usable & ~np.isnan(values)
    if not known.any():
        return None
    units = np.where(known, np.clip(np.round(values / VALUE_UNIT), MISSING + 1, -MISSING - 1), MISSING)
    return _base64(np.insert(units, gaps, MISSING), "<i2")


def _boxes(table: FrameTable, gaps: np.ndarray) -> str | None:
    if any(name not in table.columns for name in BOX):
        return None
    box = np.stack([table.columns[name] for name in BOX], axis=1)
    if np.isnan(box).all():
        return None
    units = np.clip(np.round(box), MISSING + 1, -MISSING - 1)
    return _base64(np.insert(np.where(np.isnan(box), MISSING, units), gaps, MISSING, axis=0), "<i2")


def _runs(codes: np.ndarray) -> list[list[int]]:
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    return [[int(start), int(codes[start])] for start in starts]


def _base64(values: np.ndarray, kind: str) -> str:
    return base64.b64encode(values.astype(kind).tobytes()).decode("ascii")
