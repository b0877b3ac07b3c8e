"""Folders of face crops as in Aff-Wild2: TRIAL/00001.jpg is row 0, a gap is a frame without a face."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vacli.errors import InputError
from vacli.media.image import read_image

IMAGE_SUFFIXES = frozenset(
    (
        *(".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"),
        *(".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
    )
)
CROP_NAME = re.compile(r"(\d{5})\.(jpg|jpeg|png)", re.IGNORECASE)


def is_crop_folder(folder: Path) -> bool:
    """Whether a folder holds pictures and each of them has a five-digit number as its name."""
    numbered = False
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if CROP_NAME.fullmatch(entry.name):
                numbered = True
            elif Path(entry.name).suffix.lower() in IMAGE_SUFFIXES:
                return False
    return numbered


class CropFolder:
    """The crops of one trial.

    `len(folder)` is the number of rows, `rows` (F,) int64 those that have a crop, ascending. Iterating gives
    (row, rgb) for each crop that decodes; `broken` then names the first one that does not, or is None.
    """

    def __init__(self, path: Path, count: int | None = None) -> None:
        """List a folder.

        count: rows of the trial, if its labels or its video tell; else the highest number there is, which
        misses frames without a face at the end.
        Raises InputError if there is no crop, one numbered 0, or one beyond `count`.
        """
        self.path = Path(path)
        self.broken: str | None = None
        self._files = _numbered_files(self.path)
        self.rows = np.array(sorted(self._files), dtype=np.int64)
        highest = int(self.rows[-1]) + 1
        if count is not None and highest > count:
            raise InputError(f"{path}: holds crop {highest:05d}, but its trial has {count} frames")
        self._count = highest if count is None else count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        self.broken = None
        for row in self.rows.tolist():
            try:
                rgb = self.read(row)
            except InputError as problem:
                self.broken = self.broken or str(problem)
                continue
            yield row, rgb

    def read(self, row: int) -> np.ndarray | None:
        """The crop of a row: (H, W, 3) uint8 RGB in its own size, None where there is none."""
        return read_image(self._files[row]) if row in self._files else None


def _numbered_files(folder: Path) -> dict[int, Path]:
    """Row -> file. Two files with one number (jpg and png) are an error, not a choice."""
    files: dict[int, Path] = {}
    try:
        names = sorted(os.listdir(folder))
    except OSError as problem:
        raise InputError(f"{folder}: cannot be listed ({problem.strerror})") from None
    for name in names:
        match = CROP_NAME.fullmatch(name)
        if not match:
            continue
        row = int(match[1]) - 1
        if row < 0:
            raise InputError(f"{folder}: counts its crops from 00000, Aff-Wild2 counts from 00001")
        if row in files:
            raise InputError(f"{folder}: holds both {files[row].name} and {name}")
        files[row] = folder / name
    if not files:
        raise InputError(f"{folder}: holds no crops", hint="they are called 00001.jpg, 00002.jpg and so on")
    return files
