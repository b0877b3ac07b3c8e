"""The columns of an annotation table by the field's usual names, or as the user names them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vacli.datasets.text_dialect import TextTable
from vacli.errors import UsageError, nearest

UNITS = ("s", "ms", "frames", "timecode")
UNIT_WORDS = {
    "s": {"s", "sec", "secs", "second", "seconds"},
    "ms": {"ms", "msec", "msecs", "millisecond", "milliseconds", "millis"},
    "frames": {"frame", "frames"},
    "timecode": {"timecode", "timecodes", "tc", "smpte"},
}
TIME_WORDS = {"time", "times", "timestamp", "timestamps", "t"}
NUMBER_WORDS = {"id", "number", "no", "nr", "idx", "index"}
UNIT_ORDER = ("s", "ms", "timecode", "", "frames")  # of several time columns the first is read
RATER_WORDS = ("rater", "annotator", "coder", "evaluator")
RATER_ID = re.compile(rf"(?:(?:{'|'.join(RATER_WORDS)}|r|a)_?)?\d+|(?:{'|'.join(RATER_WORDS)})_?\w+")
RATER_NAMES = tuple(f"{word}{end}" for word in RATER_WORDS for end in ("", "_id"))
VIDEO_NAMES = tuple(f"{word}{end}" for word in ("video", "file", "clip") for end in ("", "_name", "_id")) + (
    "filename",
)
SUBJECT_NAMES = tuple(f"{word}{end}" for word in ("subject", "participant", "speaker") for end in ("", "_id"))


@dataclass(frozen=True, kw_only=True)
class ColumnNames:
    """Names of columns as the user gives them; None or empty: the usual names are searched for.

    valence, arousal: one column for each rater, in the same order.
    """

    time: str | None = None
    valence: tuple[str, ...] = ()
    arousal: tuple[str, ...] = ()
    video: str | None = None

    def check(self) -> None:
        """Raise UsageError where valence and arousal have different numbers of columns."""
        if len(self.valence) != len(self.arousal):
            raise UsageError(
                f"{len(self.valence)} --valence-column and {len(self.arousal)} --arousal-column",
                hint="give one of each for every rater",
            )


@dataclass(frozen=True, kw_only=True)
class LabelColumns:
    """Indices of columns; None where the table has no such column.

    unit: of the times, one of UNITS, "" where the name does not give it. raters: rater -> valence and
    arousal; the rater is "" in a table of one rater. unused: names of ratings that are not read.
    """

    time: int | None
    unit: str
    raters: Mapping[str, tuple[int, int]]
    rater: int | None
    video: int | None
    subject: int | None
    unused: tuple[str, ...] = field(default=())


def find_columns(table: TextTable, names: ColumnNames, unit: str | None) -> LabelColumns:
    """The columns of a table. unit: the user's unit, whose column is preferred.

    Raises UsageError for a given name that the header lacks, LabelError where valence or arousal is absent
    or the two have different raters.
    """
    keys = [_key(name) for name in table.header]
    time, found_unit = _time_column(table, names.time, unit)
    raters, unused = _rating_columns(table, names)
    return LabelColumns(
        time=time,
        unit=unit or found_unit,
        raters=raters,
        rater=_first(keys, RATER_NAMES),
        video=_named(table, names.video, "--video-column") if names.video else _first(keys, VIDEO_NAMES),
        subject=_first(keys, SUBJECT_NAMES),
        unused=unused,
    )


def unit_of(name: str) -> str | None:
    """The unit of a time column by its name, "" for a time without unit, None for any other column."""
    words = set(_key(name).split("_"))
    found = [unit for unit in UNITS if words & UNIT_WORDS[unit]]
    rest = words - TIME_WORDS - (set().union(*(UNIT_WORDS[unit] for unit in found)) if found else set())
    if found == ["frames"]:
        rest = (rest - NUMBER_WORDS) | (words & TIME_WORDS)  # "frame_time" may be either
    if rest or len(found) > 1 or words <= {"s"}:
        return None
    return found[0] if found else ""


def _key(name: str) -> str:
    """A column's name in lower case, its words joined by "_"; camel case is split."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", unicodedata.normalize("NFKC", name))
    return re.sub(r"[\W_]+", "_", spaced.lower()).strip("_")


def _without_scale(name: str) -> str:
    """A column's name without a scale in brackets, as in "Valence (1-7)"; a rater in brackets remains."""

    def kept(match: re.Match[str]) -> str:
        return match[0] if RATER_ID.fullmatch(_key(match[1])) else ""

    return re.sub(r"[\[(](.*?)[\])]", kept, name)


def _first(keys: Sequence[str], wanted: Sequence[str]) -> int | None:
    return next((keys.index(name) for name in wanted if name in keys), None)


def _named(table: TextTable, name: str, option: str) -> int:
    """The column of a given name; letter case is ignored where no column has it exactly."""
    folded = [column.casefold() for column in table.header]
    if name in table.header:
        return table.header.index(name)
    if name.casefold() in folded:
        return folded.index(name.casefold())
    known = nearest(name, [column for column in table.header if column])
    raise UsageError(f"{option} {name}: {table.path} has no such column", hint=known)


def _time_column(table: TextTable, name: str | None, unit: str | None) -> tuple[int | None, str]:
    if name is not None:
        named = _named(table, name, "--time-column")
        return named, unit_of(table.header[named]) or ""
    found = {i: u for i, header in enumerate(table.header) if (u := unit_of(header)) is not None}
    order = UNIT_ORDER if unit is None else (unit, "", *(u for u in UNIT_ORDER if u not in (unit, "")))
    column = min(found, key=lambda i: (order.index(found[i]), i), default=None)
    if column is None and unit is not None:
        raise table.error(1, f"no time column in the header {_shown(table)}", "name it with --time-column")
    return column, "" if column is None else found[column]


def _rating_columns(
    table: TextTable, names: ColumnNames
) -> tuple[dict[str, tuple[int, int]], tuple[str, ...]]:
    names.check()
    if names.valence:
        options = ("--valence-column", "--arousal-column")
        valences, arousals = (
            [_named(table, name, option) for name in given]
            for given, option in zip((names.valence, names.arousal), options, strict=True)
        )
        columns = list(zip(valences, arousals, strict=True))
        raters = [""] if len(columns) == 1 else list(names.valence)
        return dict(zip(raters, columns, strict=True)), ()
    keys = [_key(_without_scale(name)) for name in table.header]
    valence, arousal = (_raters_of(keys, dimension) for dimension in ("valence", "arousal"))
    absent = [n for n, found in (("valence", valence), ("arousal", arousal)) if not found]
    if absent:
        missing = " and ".join(absent)
        hint = "give " + " and ".join(f"--{name}-column NAME" for name in absent)
        raise table.error(1, f"no column {missing} in the header {_shown(table)}", hint)
    unused: tuple[str, ...] = ()
    if "" in valence and "" in arousal:
        unused = tuple(table.header[i] for found in (valence, arousal) for r, i in found.items() if r)
        valence, arousal = {"": valence[""]}, {"": arousal[""]}
    if set(valence) != set(arousal):
        odd = ", ".join(sorted(set(valence) ^ set(arousal))) or "one"
        hint = "name the columns with --valence-column and --arousal-column"
        raise table.error(1, f"valence and arousal have different raters ({odd})", hint)
    return {rater: (valence[rater], arousal[rater]) for rater in valence}, unused


def _raters_of(keys: Sequence[str], dimension: str) -> dict[str, int]:
    """Rater -> column of one dimension; the rater is "" for a column of the plain name."""
    found: dict[str, int] = {}
    for column, key in enumerate(keys):
        rater = _rest(key, dimension)
        if rater is not None and (rater == "" or RATER_ID.fullmatch(rater)):
            number = re.fullmatch(r"\D*(\d+)", rater)
            found[number[1] if number and number[1] not in found else rater] = column
    return found


def _rest(key: str, dimension: str) -> str | None:
    """A column's name without the dimension, such as "rater2"; None where it is not of the dimension."""
    match = re.fullmatch(rf"(?:(?P<before>\w+)_)?{dimension}(?P<after>(?:_\w+|\d+)?)", key)
    if match is None or (match["before"] and match["after"]):
        return None
    return match["before"] or match["after"].strip("_")


def _shown(table: TextTable) -> str:
    return repr(",".join(table.header))
