"""The file formats of prediction tables: the ending of a file selects its writer.

This module imports no large library, so that the command line can check a file name at once.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO

from vacli.errors import UsageError, nearest
from vacli.files.atomic import staged_writer
from vacli.output.columns import COLUMNS
from vacli.packages import require

if TYPE_CHECKING:
    from vacli.output.frame_table import FrameTable

TRAJECTORY = ("time_s", "valence", "arousal")
FACE_LABEL = re.compile(r"_face\d+$")  # in the name of a file of `face_file`


@dataclass(frozen=True)
class TableOptions:
    """columns: names in the order to write, None for all. separator: of text tables.

    decimal_comma: numbers such as 0,25, with `;` instead of `,` between the cells. provenance: one line of
    JSON for the formats that have a place for it (.parquet, .eaf, .vtt).
    """

    columns: tuple[str, ...] | None = None
    decimal_comma: bool = False
    separator: str = ","
    provenance: str = ""

    @property
    def delimiter(self) -> str:
        """The character between two cells."""
        return ";" if self.decimal_comma and self.separator == "," else self.separator


DEFAULTS = TableOptions()


@dataclass(frozen=True)
class OutputFormat:
    """writer: class path of a RowWriter, or of a FileWriter where `by_row` is False. package: an extra.

    one_recording: a file holds one recording, and its contents are fixed. Otherwise `--columns` selects.
    companions: ends of the names of further files that are written beside it, which replace its ending.
    face_companions: likewise, one file for each face.
    """

    writer: str
    help: str
    package: str | None = None
    by_row: bool = False
    one_recording: bool = False
    separator: str | None = None
    companions: tuple[str, ...] = ()
    face_companions: tuple[str, ...] = ()

    def load(self) -> type:
        """The class of the writer."""
        module, _, name = self.writer.rpartition(".")
        return getattr(importlib.import_module(module), name)

    def row_writer(self, out: TextIO, header: bool, options: TableOptions) -> RowWriter:
        """A writer of rows to a text stream; only for formats that are written by row."""
        return self.load()(out, header, self.with_separator(options))

    def with_separator(self, options: TableOptions) -> TableOptions:
        """The options with the separator of this format."""
        return replace(options, separator=self.separator or options.separator)


class RowWriter(Protocol):
    """Writes tables one after the other to a text stream."""

    def write(self, table: FrameTable) -> None:
        """Append the rows of one table."""
        ...


class FileWriter(Protocol):
    """Writes a whole file."""

    def __init__(self, options: TableOptions) -> None: ...

    def write(self, tables: Sequence[FrameTable], path: Path) -> None:
        """Write all tables to `path`, which appears when it is complete. Raises OutputError."""
        ...


WRITERS: dict[str, OutputFormat] = {
    ".csv": OutputFormat(
        "vacli.output.writers.CsvWriter", "comma-separated text", by_row=True, separator=","
    ),
    ".tsv": OutputFormat("vacli.output.writers.CsvWriter", "tab-separated text", by_row=True, separator="\t"),
    ".jsonl": OutputFormat("vacli.output.writers.JsonWriter", "one JSON object a line", by_row=True),
    ".parquet": OutputFormat(
        "vacli.output.parquet_writer.ParquetWriter", "Apache Parquet", package="pyarrow"
    ),
    ".xlsx": OutputFormat("vacli.output.xlsx_writer.XlsxWriter", "Excel", package="openpyxl"),
    ".eaf": OutputFormat(
        "vacli.output.elan.ElanWriter",
        "ELAN",
        one_recording=True,
        companions=("_tsconf.xml",),
        face_companions=("_curves.csv",),
    ),
    ".vtt": OutputFormat("vacli.output.subtitles.VttWriter", "WebVTT subtitles", one_recording=True),
    ".srt": OutputFormat("vacli.output.subtitles.SrtWriter", "SubRip subtitles", one_recording=True),
    ".TextGrid": OutputFormat("vacli.output.textgrid.TextGridWriter", "Praat", one_recording=True),
}


COMPANION_ENDINGS = tuple(
    end for entry in WRITERS.values() for end in (*entry.face_companions, *entry.companions)
)


def ending_of(path: Path) -> str:
    """The key of WRITERS for a file, in any case of letters. Raises UsageError for an unknown ending."""
    if (ending := _known_ending(path.suffix)) is not None:
        return ending
    problem = f"unknown ending {path.suffix!r}" if path.suffix else "the name has no ending"
    raise UsageError(f"{path}: {problem}", hint=_endings_hint())


def parse_ending(option: str, text: str) -> str:
    """The key of WRITERS for the value of an option, `.eaf` or `eaf`. Raises UsageError if it is unknown."""
    ending = _known_ending(f".{text.removeprefix('.')}")
    if ending is None:
        raise UsageError(f"{option}: unknown ending {text!r}", hint=_endings_hint())
    return ending


def _known_ending(suffix: str) -> str | None:
    return next((ending for ending in WRITERS if ending.lower() == suffix.lower()), None)


def _endings_hint() -> str:
    return "known: " + ", ".join(f"{ending} ({entry.help})" for ending, entry in WRITERS.items())


def check_options(ending: str, options: TableOptions) -> OutputFormat:
    """The format of an ending.

    Raises UsageError for options that the format does not have, PackageMissing if it needs an extra.
    """
    entry = WRITERS[ending]
    if options.columns is not None and entry.one_recording:
        raise UsageError(f"--columns has no effect on {ending}", hint="leave it out")
    if options.decimal_comma and entry.separator is None:
        raise UsageError(f"--decimal-comma has no effect on {ending}", hint="use it with .csv or .tsv")
    if entry.package is not None:
        require(entry.package, f"{ending} output", "use .csv")
    return entry


def options_for(ending: str, options: TableOptions) -> TableOptions:
    """The options without those that the format of an ending does not have."""
    entry = WRITERS[ending]
    return TableOptions(
        columns=None if entry.one_recording else options.columns,
        decimal_comma=options.decimal_comma and entry.separator is not None,
    )


def face_labels(face_ids: Sequence[int | None]) -> list[str]:
    """Empty for the only face of a recording, else "face 2": its id, or its position where it has none."""
    if len(face_ids) == 1:
        return [""]
    known = (position if one is None or one < 0 else one for position, one in enumerate(face_ids))
    return [f"face {number}" for number in known]


def face_file(path: Path, label: str, end: str) -> Path:
    """The file beside `path` for the face of a label; `end` is the end of its name."""
    face = f"_{label.replace(' ', '')}" if label else ""
    return path.with_name(f"{path.stem}{face}{end}")


def written_files(path: Path, labels: Sequence[str] = ("",)) -> list[Path]:
    """The files that `write_file` writes: `path`, and those beside it. labels: see `face_labels`."""
    entry = WRITERS[ending_of(path)]
    curves = [face_file(path, label, end) for label in labels for end in entry.face_companions]
    return [path, *curves, *(path.with_name(f"{path.stem}{end}") for end in entry.companions)]


def is_companion(path: Path) -> bool:
    """Whether a file was written beside another one, such as the curves of an ELAN file."""
    for ending, entry in WRITERS.items():
        for end in (*entry.face_companions, *entry.companions):
            stem = path.name.removesuffix(end)
            owners = {stem, FACE_LABEL.sub("", stem)} if path.name.endswith(end) else set()
            if any(path.with_name(f"{owner}{ending}").is_file() for owner in owners):
                return True
    return False


def write_file(
    tables: Sequence[FrameTable], path: Path, options: TableOptions, ending: str | None = None
) -> None:
    """Write tables in the format of `ending`, else of that of `path`; the file appears when it is complete.

    Raises UsageError as `ending_of` and `check_options` do, for several recordings in a format of one, and
    for tables without a column that the format needs; OutputError if the file cannot be written.
    """
    ending = ending or ending_of(path)
    entry = check_options(ending, options)
    needed = TRAJECTORY if entry.one_recording else [c for c in options.columns or () if c != "input"]
    missing = [name for name in needed if any(name not in table.columns for table in tables)]
    if missing:
        raise UsageError(f"{path}: the table has no column {', '.join(missing)}")
    if entry.one_recording:
        check_one_recording(ending, len({table.name for table in tables}))
    if not entry.by_row:
        entry.load()(options).write(tables, path)
        return
    with staged_writer(path) as stream:
        writer = entry.row_writer(stream, True, options)
        for table in tables:
            writer.write(table)


def check_one_recording(ending: str, count: int) -> None:
    """Raise UsageError if there is more than one recording for a format of one recording."""
    if count > 1:
        tables = ", ".join(name for name, entry in WRITERS.items() if not entry.one_recording)
        raise UsageError(
            f"a {ending} file holds one recording, and there are {count}",
            hint=f"name one with `va convert --input NAME`, or write all of them as {tables}",
        )


def parse_columns(text: str, known: Iterable[str] = COLUMNS) -> tuple[str, ...]:
    """The columns of a comma-separated list. Raises UsageError for unknown, repeated or no names."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in known:
            raise UsageError(f"--columns: unknown column {name!r}", hint=nearest(name, known))
        if names.count(name) > 1:
            raise UsageError(f"--columns: {name} is listed twice")
    if not names:
        raise UsageError("--columns is empty", hint=f"known: {', '.join(known)}")
    return names
