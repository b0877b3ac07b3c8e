"""A sheet that puts recordings, or faces in them, into groups and names their subjects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vacli.datasets.recording_names import recordings_by_cell
from vacli.datasets.subject_name import subject_name
from vacli.datasets.text_dialect import is_missing, read_table
from vacli.errors import LabelError

INPUT, FACE_ID, SUBJECT = "input", "face_id", "subject"


@dataclass(frozen=True)
class _Row:
    recording: str
    face_id: int | None
    values: Mapping[str, str]


@dataclass(frozen=True)
class GroupTable:
    """groups: names of the columns that are not input, face_id or subject. has_subjects: of that column."""

    path: Path
    groups: tuple[str, ...]
    has_subjects: bool
    rows: Sequence[_Row]

    def of_recordings(self, names: Iterable[str]) -> GroupTable:
        """The sheet with the whole names of its recordings, where these are among `names`.

        Raises LabelError for a cell that names several recordings, and for two rows of one.
        """
        whole = recordings_by_cell((row.recording for row in self.rows), names, self.path)
        rows = [replace(row, recording=whole.get(row.recording, row.recording)) for row in self.rows]
        cells: dict[tuple[str, int | None], str] = {}
        for row, before in zip(rows, self.rows, strict=True):
            other = cells.setdefault((row.recording, row.face_id), before.recording)
            if other != before.recording:
                raise LabelError(
                    f"{self.path}: {other} and {before.recording} name {row.recording}",
                    hint="keep one of the rows",
                )
        return replace(self, rows=rows)

    def values_of(self, name: str, face_id: int) -> Mapping[str, str] | None:
        """The subject and the groups of a face of the recording of this whole name.

        A row of the face precedes one of the recording. None if the sheet has no such row.
        """
        matching = [row for row in self.rows if row.recording == name]
        for wanted in (face_id, None):
            for row in matching:
                if row.face_id == wanted:
                    return row.values
        return None


def read_groups(path: Path) -> GroupTable:
    """Read a text table with the column input, perhaps face_id and subject, and columns of groups.

    Raises LabelError with file and line.
    """
    table = read_table(path)
    names = [name if name.lower() not in (INPUT, FACE_ID, SUBJECT) else name.lower() for name in table.header]
    if INPUT not in names:
        raise table.error(1, "no column input", "name the columns input,face_id,subject,GROUP")
    values = [name for name in names if name not in (INPUT, FACE_ID, "")]
    if not values:
        raise table.error(1, "no column of a group", "add one beside input, for example condition")
    rows: list[_Row] = []
    seen: dict[tuple[str, str], int] = {}
    for line, cells in table.rows:
        row = dict(zip(names, cells, strict=True))
        if is_missing(row[INPUT]):
            raise table.error(line, "input is missing", "name the recording")
        face = row.get(FACE_ID, "")
        if not is_missing(face) and not face.isdecimal():
            raise table.error(line, f"face_id {face!r} is not a number from 0")
        key = (row[INPUT], face)
        if seen.setdefault(key, line) != line:
            raise table.error(line, f"{row[INPUT]} is in line {seen[key]} as well", "keep one of the rows")
        face_id = None if is_missing(face) else int(face)
        rows.append(_Row(row[INPUT], face_id, {n: _name(row[n]) for n in values}))
    groups = tuple(name for name in values if name != SUBJECT)
    return GroupTable(path, groups, SUBJECT in names, rows)


def _name(cell: str) -> str:
    """The subject or the group of a cell, in Unicode's NFC; "" where it is missing."""
    return "" if is_missing(cell) else subject_name(cell)
