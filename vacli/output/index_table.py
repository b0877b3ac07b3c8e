"""The index of an output folder: a row for each face of each input, with its file, status and summary."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from vacli.output.formats import TableOptions
from vacli.output.frame_table import summary_columns
from vacli.output.writers import csv_writer, path_cell, summary_cell

COMPLETE, FAILED = "complete", "failed"
INDEX_FILE = "index.csv"
FIRST_COLUMNS = ("file", "status")


@dataclass(frozen=True)
class IndexEntry:
    """An input and its output file, "" if it has none.

    summaries: those of its faces (`FrameTable.summary`), empty if it failed. cause: of the failure, in one
    line.
    """

    file: str
    input: str
    summaries: Sequence[Mapping[str, str | float]] = ()
    cause: str = ""


def index_lines(entries: Iterable[IndexEntry], options: TableOptions) -> Iterator[str]:
    """The text of the index as CSV: that of its header, then that of each entry in the given order."""
    columns = (*FIRST_COLUMNS, *summary_columns(), "cause")
    out = io.StringIO()
    csv_writer(out, "", options).writerow(columns)
    yield out.getvalue()
    for entry in entries:
        out = io.StringIO()
        status = FAILED if entry.cause else COMPLETE
        own = {"file": path_cell(entry.file), "status": status, "cause": path_cell(entry.cause)}
        for summary in entry.summaries or ({},):
            row = {**summary, "input": path_cell(entry.input), **own}
            writer = csv_writer(out, "".join((entry.file, entry.input, entry.cause)), options)
            writer.writerow([summary_cell(row.get(column, ""), options) for column in columns])
        yield out.getvalue()


def index_rows(folder: Path) -> list[dict[str, str]] | None:
    """The rows of the index of a folder, column -> text; None without an index."""
    with _opened(folder) as rows:
        return None if rows is None else list(rows)


def indexed_tables(folder: Path) -> list[Path] | None:
    """The complete tables that the index of a folder lists, in its order; None without an index."""
    inputs = indexed_inputs(folder)
    return None if inputs is None else [folder / name for name in inputs]


def indexed_inputs(folder: Path) -> dict[str, str] | None:
    """Table -> input of the complete tables in the index of a folder, in its order; None without an index."""
    with _opened(folder) as rows:
        if rows is None:
            return None
        try:
            return {row["file"]: row.get("input") or "" for row in rows if row["status"] == COMPLETE}
        except csv.Error:  # a damaged file
            return {}


def indexed_failures(folder: Path) -> dict[str, tuple[str, str]]:
    """Table -> its input and the cause, of the inputs that failed according to the index of a folder."""
    with _opened(folder) as rows:
        try:
            failed = [row for row in rows or () if row["status"] == FAILED]
        except csv.Error:  # a damaged file
            return {}
    return {row["file"]: (row.get("input") or "", row.get("cause") or "") for row in failed}


@contextmanager
def _opened(folder: Path) -> Iterator[Iterable[dict[str, str]] | None]:
    """The rows of an index one by one, since there may be a million; None without an index."""
    path = folder / INDEX_FILE
    if not path.is_file():  # it may be in an object store, where opening it raises another error
        yield None
        return
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(open(path, encoding="utf-8", errors="surrogateescape", newline=""))
        except OSError:
            yield None
            return
        head = stream.read(20)
        stream.seek(0)
        delimiter = ";" if head.startswith(f"{FIRST_COLUMNS[0]};") else ","
        yield csv.DictReader(stream, delimiter=delimiter) if is_index(head) else None


def is_index(head: str) -> bool:
    """Whether a text begins like an index."""
    return any(head.startswith(f"{mark}".join(FIRST_COLUMNS)) for mark in (",", ";"))
