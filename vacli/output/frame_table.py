"""The table of `va predict`: one row a frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vacli.clock import duration_s
from vacli.output.columns import COLUMNS

NO_MODALITY = "none"
PREDICTED = ("valence", "arousal", "valence_uncertainty", "arousal_uncertainty")
TEXT_ROWS = 4096  # that are made text together
INTEGERS = ("frame", "speech_present", "speaking", "face_id")
FLAGS = ("face_detected", "audio_present")
TEXTS = ("modality", "quality_limit", "flag", "input")
QUALITY_LIMITS = (  # values of the column
    "face_size",
    "sharpness",
    "pose",
    "face_score",
    "sound_level",
    "uncertainty",
    "no_face_or_speech",
    "",
)
NUMBERS = tuple(name for name in COLUMNS if name not in (*INTEGERS, *FLAGS, *TEXTS))
DECIMALS = {"time_s": 6, "face_x": 1, "face_y": 1, "face_w": 1, "face_h": 1}


@dataclass(frozen=True, eq=False)
class FrameTable:
    """Valence and arousal of one face in one input.

    columns: name -> (N,) array; floats are NaN where a value is unknown. A prediction has all of COLUMNS but
    `input`; a table that was read from a file has `time_s` and the other columns of the file.
    """

    name: str
    columns: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.columns["time_s"])

    @property
    def valid(self) -> np.ndarray:
        """(N,) bool: rows whose prediction is based on a face or on speech; all without a modality."""
        if "modality" not in self.columns:
            return np.ones(len(self), bool)
        return self.columns["modality"] != NO_MODALITY

    @property
    def face_id(self) -> int | None:
        """The number of the face; None without one. Rows in which it is not detected may have -1."""
        ids = self.columns.get("face_id")
        number = int(ids.max()) if ids is not None and len(ids) else -1
        return number if number >= 0 else None

    def without_unsupported(self) -> FrameTable:
        """The table with NaN in the columns PREDICTED of the rows that are not `valid`."""
        blank = {name: np.where(self.valid, self.columns[name], np.float32(np.nan)) for name in PREDICTED}
        return replace(self, columns={**self.columns, **blank})

    def below(self, threshold: float) -> np.ndarray:
        """(N,) bool: valid rows whose quality is below `threshold`; none in a table without the column."""
        if "quality" not in self.columns:
            return np.zeros(len(self), bool)
        return self.valid & (self.columns["quality"] < threshold)

    def rows(self, columns: Sequence[str] = tuple(COLUMNS)) -> Iterator[list[str]]:
        """Rows as text, in the order of `columns`; unknown values are empty."""
        for first in range(0, len(self), TEXT_ROWS):
            here = slice(first, first + TEXT_ROWS)
            yield from map(list, zip(*(self._cells(column, here) for column in columns), strict=True))

    def _cells(self, column: str, here: slice) -> list[str]:
        if column == "input":
            return [self.name] * len(range(len(self))[here])
        return _texts(self.columns[column][here], decimals(column))

    def summary(self) -> dict[str, str | float]:
        """One row for the whole input.

        Means and standard deviations are over the valid frames (`valid_fraction` of all); empty without one.
        face_id is that of the rows, empty where no face was detected.
        """
        c, valid = self.columns, self.valid
        values = {name: c[name][valid] for name in ("valence", "arousal")}
        return {
            "input": self.name,
            "face_id": "" if self.face_id is None else str(self.face_id),
            "frames": len(self),
            "duration_s": duration_s(c["time_s"]),
            **{f"{name}_mean": float(np.nanmean(x)) if len(x) else "" for name, x in values.items()},
            **{f"{name}_sd": float(np.nanstd(x)) if len(x) else "" for name, x in values.items()},
            "face_fraction": _fraction(c["face_detected"]),
            "audio_fraction": _fraction(c["audio_present"]),
            "valid_fraction": _fraction(valid),
        }


def summary_columns() -> tuple[str, ...]:
    """The columns of `FrameTable.summary`, in their order."""
    empty = dict.fromkeys(COLUMNS, np.empty(0)) | {"modality": np.empty(0, "U1")}
    return tuple(FrameTable("", empty).summary())


def blank_below(table: FrameTable, threshold: float) -> FrameTable:
    """The table with empty values, and `modality` none, in the rows whose quality is below `threshold`."""
    below = table.below(threshold)
    columns = {
        name: np.where(below, np.nan, table.columns[name]) for name in PREDICTED if name in table.columns
    }
    if "modality" in table.columns:
        columns["modality"] = np.where(below, NO_MODALITY, table.columns["modality"])
    return replace(table, columns={**table.columns, **columns})


def decimals(column: str) -> int:
    """The number of decimals of a column of NUMBERS."""
    return DECIMALS.get(column, 4)


def _fraction(flags: np.ndarray) -> float:
    return float(np.mean(flags)) if len(flags) else 0.0


def modality(face: np.ndarray, audio: np.ndarray) -> np.ndarray:
    """(N,) of "audiovisual", "visual", "audio", "none" from two (N,) bool."""
    return np.array([NO_MODALITY, "audio", "visual", "audiovisual"])[2 * face.astype(int) + audio.astype(int)]


def _texts(values: np.ndarray, places: int) -> list[str]:
    if values.dtype.kind == "f":
        return ["" if np.isnan(v) else f"{v:.{places}f}" for v in values.tolist()]
    if values.dtype.kind == "b":
        return [str(int(v)) for v in values]
    if values.dtype.kind == "i":
        return ["" if v < 0 else str(v) for v in values.tolist()]
    return [str(v) for v in values.tolist()]
