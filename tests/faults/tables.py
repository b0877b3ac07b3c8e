"""A strict reader of the tables that `va` takes: what is wrong with one beyond doubt."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

NUMBER = re.compile(r"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?")
LOCATION = re.compile(r"[^/]+/(?!0+\.jpg)\d+\.jpg")
NOT_ANNOTATED = "-5"


def complaints(path: Path, header: str) -> list[str]:
    """Whatever makes a table with that header unlike any that was written whole; empty where nothing does."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        return [f"not UTF-8: {error}"]
    odd = sorted({c for c in text if ord(c) < 32 and c not in "\n\r\t"})
    if odd or "\r" in text.replace("\r\n", ""):
        return [f"control characters {odd}"]
    try:
        lines = list(csv.reader(io.StringIO(text), strict=True))
    except csv.Error as error:
        return [f"csv: {error}"]
    columns = header.split(",")
    if not lines or lines[0] != columns:
        return ["another header"]
    return _rows(columns, [line for line in lines[1:] if line])


def _rows(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    found = [f"row {i} has {len(row)} cells" for i, row in enumerate(rows) if len(row) != len(columns)]
    if found:
        return found
    for name, cells in zip(columns, zip(*rows, strict=True), strict=False):
        if name == "time_s":
            found += [f"{cell!r} is no time" for cell in cells if not NUMBER.fullmatch(cell)]
        if name in ("valence", "arousal"):
            found += [f"{cell!r} is no {name}" for cell in cells if cell and not _rating(cell)]
        if name == "image_location":
            found += [f"{cell!r} is no location" for cell in cells if not LOCATION.fullmatch(cell)]
            found += ["a location twice"] if len(set(cells)) < len(cells) else []
    if "time_s" in columns and not found:
        found += _times(columns, rows)
    return found


def _rating(cell: str) -> bool:
    return cell == NOT_ANNOTATED or (bool(NUMBER.fullmatch(cell)) and -1 <= float(cell) <= 1)


def _times(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Times that do not rise, within each recording."""
    at, who = columns.index("time_s"), columns.index("input") if "input" in columns else None
    last: dict[str, float] = {}
    for row in rows:
        name, time_s = row[who] if who is not None else "", float(row[at])
        if time_s <= last.get(name, float("-inf")):
            return [f"time {time_s} does not rise"]
        last[name] = time_s
    return []
