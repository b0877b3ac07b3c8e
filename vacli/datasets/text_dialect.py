"""Text tables of any common dialect: encoding, separator, comments, quotes, decimal points and commas."""

from __future__ import annotations

import csv
import io
import math
import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vacli.errors import LabelError
from vacli.files.text_encoding import SAVE_AS_CSV, is_spreadsheet, marked_encoding

MISSING = frozenset(("", "na", "n/a", "#n/a", "nan", "null", "none", "-", "--", "?", "."))
BLANKS = " "  # any number of blanks and tabs
SEPARATORS = ("\t", ";", ",", "|", BLANKS)
COMMENT = ("#", "%", "//")
NAME_LIKE_COMMENT = re.compile(r"\s*(#|%|//)[^\s#%/]")
MESSAGE_CHARACTERS = 160  # an unclosed quote makes one cell of the whole file
SAMPLE_LINES = 200  # for the detection of the separator
POINT, COMMA = ".", ","

Line = tuple[int, str]  # number from 1
Row = tuple[int, list[str]]  # line number from 1, cells


@dataclass(frozen=True, eq=False)
class TextTable:
    """header: names of the columns, unique where not empty. rows: line number and as many cells.

    blank_line: the first blank line between rows, which are left out.
    """

    path: Path
    header: tuple[str, ...]
    rows: Sequence[Row]
    blank_line: int | None = None

    def error(self, line: int, message: str, hint: str | None = None) -> LabelError:
        """An error that names file and line."""
        short = textwrap.shorten(message, MESSAGE_CHARACTERS, placeholder=" ...")
        return LabelError(f"{self.path}:{line}: {short}", hint=hint)

    def cells(self, column: int) -> list[str]:
        """One column's cells."""
        return [cells[column] for _, cells in self.rows]

    def numbers(self, columns: Sequence[int]) -> list[list[float]]:
        """For each row the numbers of some columns, NaN for a missing value.

        The decimal mark is detected from all of these columns. Raises LabelError for any other text.
        """
        texts = [text for _, cells in self.rows for text in (cells[c] for c in columns)]
        try:
            mark = decimal_mark(texts)
        except ValueError as error:
            raise LabelError(f"{self.path}: {error}", hint="use one decimal mark") from None
        return [[self._number(line, cells[c], mark) for c in columns] for line, cells in self.rows]

    def _number(self, line: int, text: str, mark: str) -> float:
        try:
            return parse_number(text, mark)
        except ValueError:
            if is_missing(text):
                return math.nan
            raise self.error(line, f"{text!r} is not a number") from None


def is_missing(text: str) -> bool:
    """Whether a cell marks a missing value: empty, NA, NaN, - and others of MISSING."""
    return text.lower() in MISSING


def decode(path: Path) -> str:
    """A text file's content: by its byte order mark, else UTF-8, else Windows-1252.

    Raises LabelError where the file cannot be read or is not a text.
    """
    try:
        data = path.read_bytes()
        if is_spreadsheet(data):
            raise LabelError(f"{path} is a spreadsheet, Parquet or an archive", hint=SAVE_AS_CSV)
        marked = marked_encoding(data)
        text = _decoded(data, [marked] if marked else ["utf-8", "cp1252", "latin-1"])
    except (OSError, UnicodeDecodeError) as error:
        raise LabelError(f"{path} cannot be read: {error}", hint="it must be a text table") from None
    if "\0" in text:
        raise LabelError(f"{path} is not a text table", hint=SAVE_AS_CSV)
    return text


def read_table(path: Path) -> TextTable:
    """Read a table; the first line that is not a comment names the columns.

    A line below it that begins like a comment is a row if a name follows, as in #01, and all columns are
    filled.
    A comment of as many names directly above rows of numbers is the header too, as `numpy.savetxt` writes
    it. A first line `sep=;`, as Excel writes it, gives the separator. Raises LabelError with file and line.
    """
    everything = list(enumerate(io.StringIO(decode(path), newline=None), 1))
    separator, everything = _declared_separator(everything)
    lines, blank_line = _without_comments(everything)
    if not lines:
        raise LabelError(f"{path} is empty")
    try:
        separator = separator or detect_separator([text for _, text in lines[:SAMPLE_LINES]])
        lines = sorted([*lines, *_rows_like_comments(everything, lines[0], separator)])
        rows = [(lines[row - 1][0], cells) for row, cells in _split([text for _, text in lines], separator)]
    except csv.Error as error:
        raise LabelError(f"{path} cannot be read: {error}", hint="it must be a text table") from None
    return _checked(path, rows, separator, blank_line)


def detect_separator(lines: Sequence[str]) -> str:
    """The separator that splits most lines into as many cells as the header, which has two or more.

    Blanks come last, since cells may hold them. Returns "," where no separator does.
    """

    def score(separator: str) -> tuple[float, bool, int]:
        try:
            widths = [len(cells) for _, cells in _split(lines, separator)]
        except csv.Error:
            widths = []
        if not widths or widths[0] < 2:
            return 0.0, False, 0
        # R's write.table writes no name above the row names.
        fits = [width in (widths[0], widths[0] + (separator in "\t ")) for width in widths[1:]]
        return (sum(fits) + 1) / (len(fits) + 1), separator != BLANKS, widths[0]

    best = max(SEPARATORS, key=lambda s: (score(s), -SEPARATORS.index(s)))
    return best if score(best)[0] else ","


def decimal_mark(texts: Iterable[str]) -> str:
    """The decimal mark of numbers, "." or ",".

    A mark that occurs twice in a number, or before the other mark, separates thousands. Raises ValueError
    where numbers of both kinds occur.
    """
    texts = list(texts)
    if not any(COMMA in text or text.count(POINT) > 1 for text in texts):  # fast for long tables
        return POINT
    marks = {mark for text in texts if (mark := _mark_of(text))}
    if len(marks) > 1:
        raise ValueError("some numbers have decimal points and others decimal commas")
    return marks.pop() if marks else POINT


def parse_number(text: str, mark: str) -> float:
    """A number with the given decimal mark; the other mark may separate thousands.

    Raises ValueError for any other text, infinite values and Python's underscores.
    """
    other = COMMA if mark == POINT else POINT
    plain = text
    if other in text:  # thousands
        whole, _, rest = text.partition(mark)
        if not re.fullmatch(rf"[+-]?\d{{1,3}}(\{other}\d{{3}})+", whole):
            raise ValueError(text)
        plain = whole.replace(other, "") + (mark + rest if rest else "")
    value = float(plain.replace(mark, POINT).replace("\N{MINUS SIGN}", "-"))
    if "_" in text or not math.isfinite(value):
        raise ValueError(text)
    return value


def _mark_of(text: str) -> str | None:
    """The decimal mark that one number shows, None where it shows none."""
    found = re.findall(r"[.,]", text) if re.fullmatch(r"[+-]?[\d.,]+([eE][+-]?\d+)?", text) else []
    if not found:
        return None
    if len(found) > 1 and len(set(found)) == 1:
        return COMMA if found[0] == POINT else POINT
    return found[-1]


def _decoded(data: bytes, encodings: Sequence[str]) -> str:
    for encoding in encodings[:-1]:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode(encodings[-1])


def _declared_separator(lines: list[Line]) -> tuple[str, list[Line]]:
    match = re.fullmatch(r'"?sep=(.)"?', lines[0][1].strip("\ufeff \r\n")) if lines else None
    return (match[1], lines[1:]) if match else ("", lines)


def _without_comments(lines: Sequence[Line]) -> tuple[list[Line], int | None]:
    """The lines from the header on, without comments and blank lines, and the first blank line between."""
    comments = [(n, text) for n, text in lines if text.lstrip().startswith(COMMENT)]
    kept = [(n, text) for n, text in lines if text.strip() and not text.lstrip().startswith(COMMENT)]
    if not kept:
        return [], None
    first, last = kept[0][0], kept[-1][0]
    blank = next((n for n, text in lines if first < n < last and not text.strip()), None)
    above = [(n, text) for n, text in comments if n < first]
    if above and re.fullmatch(r"[\s\d.,:;|+\-\"eE]*", kept[0][1]):
        kept.insert(0, (above[-1][0], above[-1][1].lstrip().lstrip("#%/").lstrip()))
    return kept, blank


def _rows_like_comments(lines: Sequence[Line], header: Line, separator: str) -> list[Line]:
    """The lines below the header that begin with a name such as #01, and fill all of two or more columns."""
    if separator == BLANKS:
        return []
    named = [line for line in lines if line[0] > header[0] and NAME_LIKE_COMMENT.match(line[1])]
    names, *rows = [cells for _, cells in _split([header[1], *(text for _, text in named)], separator)]
    filled = [len(cells) == len(names) > 1 for cells in rows]
    return [line for line, is_row in zip(named, filled, strict=False) if is_row]


def _split(lines: Sequence[str], separator: str) -> list[Row]:
    """Row numbers from 1 and stripped cells of lines; a quoted cell may hold separators and line breaks."""
    if separator == BLANKS:
        reader = csv.reader((" ".join(text.split()) for text in lines), delimiter=" ", skipinitialspace=True)
    else:
        reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    rows: list[Row] = []
    start = 1
    for cells in reader:
        rows.append((start, [cell.strip() for cell in cells]))
        start = reader.line_num + 1
    return rows


def _is_numeric(cells: Sequence[str]) -> bool:
    return all(is_missing(cell) or re.fullmatch(r"[+-]?[\d.,:;]+([eE][+-]?\d+)?", cell) for cell in cells)


def _checked(path: Path, rows: Sequence[Row], separator: str, blank_line: int | None) -> TextTable:
    (line, header), rows = rows[0], rows[1:]
    header = _without_trailing_blanks(header, 0)
    table = TextTable(path, tuple(header), rows)
    if _is_numeric(header):
        raise table.error(line, f"no names of columns, but {','.join(header)!r}", "add a header line")
    rows = [(n, _without_trailing_blanks(cells, len(header))) for n, cells in rows]
    if rows and separator in "\t " and all(len(cells) == len(header) + 1 for _, cells in rows):
        header = ["", *header]
    for n, cells in rows:
        if len(cells) != len(header):
            hint = "decimal commas need another separator" if separator == "," else None
            raise table.error(n, f"{len(cells)} values under a header of {len(header)}", hint)
    repeated = sorted({name for name in header if name and header.count(name) > 1})
    if repeated:
        raise table.error(line, f"two columns are called {repeated[0]!r}", "rename one of them")
    return TextTable(path, tuple(header), rows, blank_line)


def _without_trailing_blanks(cells: list[str], width: int) -> list[str]:
    """A row without the empty cells beyond `width` that trailing separators make."""
    while len(cells) > width and not cells[-1]:
        cells = cells[:-1]
    return cells
