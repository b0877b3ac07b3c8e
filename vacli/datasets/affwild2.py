"""Aff-Wild2's annotation folders in the layouts of all editions of the ABAW challenge.

Each trial is one text file with a header that depends on the task, and one row for each video frame.
Folders are called VA_Set or VA_Estimation_Challenge, EXPR_Set, EXPR_Classification_Challenge, ...; their
subfolders are Train_Set or Training_Set, Validation_Set. A file's task follows from its header, its split
from the folders above it. Therefore any of these folders can be given, or one that contains them all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from vacli.datasets.annotations import VALENCE_AROUSAL, Annotation, AnnotationTable
from vacli.datasets.text_dialect import is_missing
from vacli.errors import LabelError

VA_INVALID = -5.0
EXPRESSIONS = ("Neutral", "Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise", "Other")
EDITIONS_OF_EXPRESSION = (EXPRESSIONS[:7], EXPRESSIONS)  # no "Other" before the third ABAW
IGNORE = -1
SUFFIXES = (".txt", ".csv", ".tsv")

EXPRESSION, ACTION_UNITS = "expression", "action_units"
SPLITS = {"train": "train", "training": "train", "validation": "validation", "val": "validation"} | {
    "test": "test"
}
TASKS = {"va": "valence and arousal", "expr": EXPRESSION, "au": "action units"}


@dataclass(frozen=True)
class LabelFile:
    """An annotation file with the split and task of the folders above it, "" where unknown."""

    path: Path
    split: str
    task: str


@dataclass(frozen=True, eq=False, kw_only=True)
class DiscreteAnnotation:
    """One file's expression (R, 1) or action units (R, C): int8, -1 where not annotated."""

    path: Path
    trial: str
    kind: str
    names: tuple[str, ...]
    values: np.ndarray
    folders: ClassVar[None] = None  # those of the file
    rater: ClassVar[str] = ""


def find(root: Path) -> tuple[list[LabelFile], list[Path]]:
    """All .txt, .csv and .tsv files in a folder (or the given file), sorted, and the skipped hidden files.

    Raises LabelError where there is no file to read.
    """
    if not root.exists():
        raise LabelError(f"no such file or folder: {root}")
    base = root.resolve()
    files = sorted(p for p in base.rglob("*") if p.is_file()) if base.is_dir() else [base]
    hidden = [p for p in files if _is_hidden(p.relative_to(base).parts or (p.name,))]
    wanted = [p for p in files if p.suffix.lower() in SUFFIXES and p not in set(hidden)]
    if not wanted:
        raise LabelError(f"no annotation files in {root}", hint="annotations are .csv, .tsv or .txt files")
    return [_label_file(p, base) for p in wanted], hidden


def is_header(header: tuple[str, ...]) -> bool:
    """Whether a file with this header is one of Aff-Wild2's."""
    known = (VALENCE_AROUSAL, *EDITIONS_OF_EXPRESSION)
    return header in known or (bool(header) and _are_action_units(header))


def read(file: LabelFile) -> Annotation | DiscreteAnnotation:
    """Read an annotation of any kind; raises LabelError with file and line."""
    table = AnnotationTable(file.path)
    made: Annotation | DiscreteAnnotation
    if table.header == VALENCE_AROUSAL:
        made, task = _read_va(table, file.split), "va"
    elif table.header in EDITIONS_OF_EXPRESSION:
        made, task = _read_expression(table), "expr"
    elif _are_action_units(table.header):
        made, task = _read_action_units(table), "au"
    else:
        raise LabelError(
            f"{file.path}:1: unknown header {','.join(table.header)!r}",
            hint="use a header of Aff-Wild2",
        )
    if file.task and file.task != task:
        raise table.error(1, f"header of {TASKS[task]} in a folder of {TASKS[file.task]}")
    return made


def _are_action_units(header: tuple[str, ...]) -> bool:
    return all(re.fullmatch(r"AU\d+", name) for name in header)


def _read_va(table: AnnotationTable, split: str) -> Annotation:
    values = np.full((len(table), 2), np.nan, np.float32)
    for row, (line, cells) in enumerate(table.rows((0, 1))):
        if any(map(is_missing, cells)):
            continue
        if VA_INVALID not in [table.number(line, cell) for cell in cells]:
            values[row] = [table.rating(line, cell) for cell in cells]
    return Annotation(path=table.path, trial=table.path.stem, split=split, values=values)


def _read_expression(table: AnnotationTable) -> DiscreteAnnotation:
    """One class number a row under a header of class names."""
    names = table.header
    table.header = ("class",)
    allowed = {str(code): code for code in range(IGNORE, len(names))}
    return _discrete(table, EXPRESSION, names, allowed)


def _read_action_units(table: AnnotationTable) -> DiscreteAnnotation:
    return _discrete(table, ACTION_UNITS, table.header, {"-1": IGNORE, "0": 0, "1": 1})


def _discrete(
    table: AnnotationTable, kind: str, names: tuple[str, ...], allowed: dict[str, int]
) -> DiscreteAnnotation:
    width = len(table.header)
    values = np.full((len(table), width), IGNORE, np.int8)
    for row, (line, cells) in enumerate(table.rows(range(width))):
        try:
            values[row] = [allowed[cell] for cell in cells]
        except KeyError as error:
            wanted = f"{IGNORE} to {max(allowed.values())}"
            raise table.error(line, f"{error.args[0]!r} is not a whole number from {wanted}") from None
    return DiscreteAnnotation(path=table.path, trial=table.path.stem, kind=kind, names=names, values=values)


def _is_hidden(parts: Iterable[str]) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)


def _label_file(path: Path, base: Path) -> LabelFile:
    folders = [part.lower() for part in path.parent.parts]
    # Folders above the parent of the given folder are ignored: "/data/train/..." is not a split.
    near = folders[max(len(base.parts) - 2, 0) :]
    words = [re.split(r"[_\s-]+", folder) for folder in near]
    splits = [SPLITS[w[0]] for w in words if w[0] in SPLITS and (len(w) == 1 or w[1] == "set")]
    tasks = [w[0] for w in words if w[0] in TASKS and len(w) > 1 and w[-1] in ("set", "challenge")]
    return LabelFile(path, splits[-1] if splits else "", tasks[-1] if tasks else "")
