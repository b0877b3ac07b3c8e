"""The person in each video, so that no person is on both sides of a split."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vacli.datasets.subject_name import subject_name
from vacli.datasets.text_dialect import is_missing, read_table
from vacli.errors import UsageError
from vacli.store.schema import safe_id

COLUMNS = ("video", "subject")


@dataclass(frozen=True)
class Subjects:
    """Maps a video's id to its subject; None where unknown. source: a description for outputs."""

    find: Callable[[str], str | None]
    source: str

    def of(self, video: str) -> str | None:
        """The subject of a video in the form of `subject_name`, None where unknown."""
        found = self.find(video)
        return None if found is None else subject_name(found)


def from_file(path: Path) -> Subjects:
    """A text table with the columns video and subject; a video is given by its id or its file name.

    Raises LabelError where the file cannot be read, lacks a column or gives a video two subjects.
    """
    table = read_table(path)
    header = [name.lower() for name in table.header]
    absent = [name for name in COLUMNS if name not in header]
    if absent:
        raise table.error(1, f"no column {' or '.join(absent)}", "give a table with both columns")
    subjects: dict[str, str] = {}
    for line, cells in table.rows:
        video, subject = (cells[header.index(name)] for name in COLUMNS)
        if is_missing(video) or is_missing(subject):
            raise table.error(line, f"no {' or '.join(COLUMNS)}", "remove the row or complete it")
        subject = subject_name(subject)
        if subjects.setdefault(safe_id(video), subject) != subject:
            raise table.error(line, f"{video} has two subjects", "keep one of the rows")
    by_stem = {Path(name).stem: subject for name, subject in subjects.items()}  # given as file names
    return Subjects(lambda video: subjects.get(video) or by_stem.get(video), f"subjects of {path.name}")


def from_pattern(pattern: str) -> Subjects:
    """The part of a video's id that a regular expression matches: its first group, or all of the match.

    Raises UsageError for an invalid expression.
    """
    try:
        expression = re.compile(unicodedata.normalize("NFC", pattern))  # as the ids are
    except re.error as error:
        raise UsageError(
            f"--subject-pattern {pattern!r}: {error}", hint="give a regular expression"
        ) from None

    def find(video: str) -> str | None:
        match = expression.search(video)
        return (match[1] if expression.groups else match[0]) if match else None

    return Subjects(find, f"subjects by the pattern {pattern!r}")


def from_options(path: Path | None, pattern: str | None) -> Subjects | None:
    """The subjects of `--subjects` or `--subject-pattern`, None without both; UsageError for both."""
    if path is not None and pattern is not None:
        raise UsageError("--subjects and --subject-pattern exclude each other", hint="leave out one of them")
    if path is not None:
        return from_file(path)
    return None if pattern is None else from_pattern(pattern)
