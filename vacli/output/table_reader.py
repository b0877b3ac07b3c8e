"""Read the tables that `va predict` writes: CSV, TSV and JSON lines, all columns or some of them."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vacli.errors import InputError
from vacli.files.text_encoding import SAVE_AS_CSV, is_spreadsheet, marked_encoding
from vacli.output.columns import COLUMNS
from vacli.output.frame_table import FLAGS, INTEGERS, NO_MODALITY, QUALITY_LIMITS, FrameTable

RENAMED = {  # columns of va 0.1 -> present names
    "face_ok": "face_detected",
    "audio_ok": "audio_present",
    "person": "face_id",
    "valence_sd": "valence_uncertainty",
    "arousal_sd": "arousal_uncertainty",
}
MODALITIES = {"av": "audiovisual", "v": "visual", "a": "audio"}  # of va 0.1
KNOWN_MODALITIES = (NO_MODALITY, *MODALITIES.values())
SEPARATORS = (",", ";", "\t")
VALUES = ("valence", "arousal")
DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")

Cells = dict[str, str]


@dataclass(frozen=True, eq=False)
class TableFile:
    """tables: one for each face of each input, in the order of the file. columns: those of the file.

    ignored: names of columns that `va` does not write.
    """

    tables: list[FrameTable]
    columns: tuple[str, ...]
    ignored: tuple[str, ...] = ()


def read_table_file(path: Path) -> TableFile:
    """Read a table of `va predict`; the content decides between CSV and JSON lines, not the name.

    Without a column `input` all rows belong to a recording that is named like the file. Raises InputError
    with file and line.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", hint="name a table of `va predict`") from None
    if is_spreadsheet(data):
        raise InputError(f"{path} is a spreadsheet, Parquet or an archive", hint=SAVE_AS_CSV)
    try:
        text = _decoded(data)
        header, rows = _read_json(text) if text.lstrip().startswith("{") else _read_csv(text)
        names = [RENAMED.get(name, name) for name in header]
        if repeated := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
            raise ValueError(f"line 1: the column {repeated[0]} is there twice")
        if "time_s" not in names:
            raise ValueError("line 1: no column time_s")
        return _grouped(path, [dict(zip(names, row, strict=True)) for row in rows], names)
    except (ValueError, OverflowError, csv.Error) as error:
        raise InputError(f"{path}: {error}", hint="it must be a table of `va predict`") from None


def _decoded(data: bytes) -> str:
    """The text of a table. Bytes other than UTF-8 belong to names of files, or Excel has saved the table."""
    encoding = marked_encoding(data) or "utf-8"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        if b"\r\n" in data:
            return data.decode("cp1252", errors="surrogateescape")
        return data.decode(encoding, errors="surrogateescape")


def _read_csv(text: str) -> tuple[list[str], list[list[str]]]:
    first = text.partition("\n")[0]
    separator = max(SEPARATORS, key=first.count)
    lines = _lines(text, separator)
    _, header = next(lines, (1, []))
    rows = []
    for number, cells in lines:
        if len(cells) != len(header):
            raise ValueError(f"line {number}: {len(cells)} cells instead of {len(header)}")
        rows.append(cells)
    if separator != ",":
        rows = [[c.replace(",", ".") if DECIMAL_COMMA.fullmatch(c) else c for c in row] for row in rows]
    return header, rows


def _lines(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each row; a quoted cell may contain line breaks."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    for cells in reader:
        if cells:
            yield reader.line_num, cells


def _read_json(text: str) -> tuple[list[str], list[list[str]]]:
    header: list[str] | None = None
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError):
            raise ValueError(f"line {number} is not a JSON object") from None
        if not isinstance(values, dict):
            raise ValueError(f"line {number} is not a JSON object")
        header = list(values) if header is None else header
        if list(values) != header:
            raise ValueError(f"line {number}: other names than in the first line")
        rows.append(["" if value is None else str(value) for value in values.values()])
    return header or [], rows


def _grouped(path: Path, rows: Sequence[Cells], names: Sequence[str]) -> TableFile:
    columns = tuple(name for name in names if name in COLUMNS)
    groups: dict[tuple[str, str], list[int]] = {}
    for index, row in enumerate(rows):
        groups.setdefault((row.get("input", str(path)), row.get("face_id", "")), []).append(index)
    if not groups:
        raise ValueError("the table has no rows")
    arrays = {name: _array(name, [row[name] for row in rows]) for name in columns if name != "input"}
    tables = [
        FrameTable(name, {column: array[indices] for column, array in arrays.items()})
        for (name, _), indices in groups.items()
    ]
    for table in tables:
        if not (np.diff(table.columns["time_s"]) > 0).all():
            raise ValueError(f"the times of {table.name} do not ascend")
    return TableFile(tables, columns, tuple(name for name in names if name not in COLUMNS))


def _array(name: str, cells: Sequence[str]) -> np.ndarray:
    """(N,) of the type that `va predict` uses. Raises ValueError with the number of the row."""
    if name == "modality":
        cells = [MODALITIES.get(cell, cell) for cell in cells]
        return np.array(_checked(name, cells, dict(zip(KNOWN_MODALITIES, KNOWN_MODALITIES, strict=True))))
    if name == "quality_limit":
        return np.array(_checked(name, cells, dict(zip(QUALITY_LIMITS, QUALITY_LIMITS, strict=True))))
    if name in FLAGS:
        return np.array(_checked(name, cells, {"0": False, "1": True}), bool)
    convert, missing = (int, -1) if name in INTEGERS else (float, np.nan)
    values = []
    for row, cell in enumerate(cells, 1):
        try:
            values.append(convert(cell) if cell else missing)
        except ValueError:
            raise ValueError(f"row {row}: {name} {cell!r} is not a number") from None
    array = np.array(values, np.int64 if name in INTEGERS else np.float64)
    if name in VALUES and (outside := np.abs(array) > 1).any():
        row = int(np.argmax(outside))
        raise ValueError(f"row {row + 1}: {name} {array[row]:g} is outside [-1, 1]")
    if name == "time_s" and not np.isfinite(array).all():
        raise ValueError(f"row {int(np.argmin(np.isfinite(array))) + 1}: time_s is missing")
    return array


def _checked(name: str, cells: Sequence[str], known: Mapping[str, object]) -> list[object]:
    for row, cell in enumerate(cells, 1):
        if cell not in known:
            raise ValueError(f"row {row}: {name} {cell!r} is none of {', '.join(known)}")
    return [known[cell] for cell in cells]
