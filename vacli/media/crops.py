"""Folders of face crops as in Aff-Wild2: TRIAL/00001.jpg is row 0, a missing number has no face."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vacli.errors import InputError
from vacli.files.object_path import ObjectPath
from vacli.media.image import read_rgb

IMAGE_SUFFIXES = frozenset(
    (
        *(".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"),
        *(".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
    )
)
ASPECTS = (0.6, 1.2)  # width over height of crops; frames have 0.56 and 1.22 (5:4 in PAL) or more
SAMPLES = 8
CROP_NAME = re.compile(r"(\d{5})\.(jpg|jpeg|png)", re.IGNORECASE)


def is_crop_folder(folder: Path) -> bool:
    """Return whether a local folder has images, each has a five-digit number, and some have a face's shape.

    Only the first SAMPLES images are opened.
    """
    if isinstance(folder, ObjectPath):  # many small files, which would be fetched one by one
        return False
    numbered: list[Path] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if CROP_NAME.fullmatch(entry.name):
                numbered += [Path(entry.path)] if len(numbered) < SAMPLES else []
            elif Path(entry.name).suffix.lower() in IMAGE_SUFFIXES:
                return False
    return any(map(_may_be_face, numbered))


def _may_be_face(path: Path) -> bool:
    """Whether the shape of an image is that of a cropped face, and not that of a video's frame."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            width, height = image.size
    except (OSError, ValueError, SyntaxError):  # `CropFolder` reports damaged crops
        return True
    return ASPECTS[0] <= width / height <= ASPECTS[1]


class CropFolder:
    """The crops of one trial.

    `len(folder)` is the number of rows; `rows` (F,) int64 are those with a crop, ascending. Iteration yields
    (row, rgb) for each crop that decodes; afterwards `decode_error` is the first error, or None.
    """

    def __init__(self, path: Path, count: int | None = None) -> None:
        """List the crops of a folder.

        count: number of rows of the trial, if known from its labels or video; None: the highest number of a
        crop, which leaves out frames without a face at the end.
        Raises InputError if there is no crop, one with the number 0, or one with a number over `count`.
        """
        self.path = Path(path)
        self.decode_error: str | None = None
        self._files = _numbered_files(self.path)
        self.rows = np.array(sorted(self._files), dtype=np.int64)
        highest = int(self.rows[-1]) + 1
        if count is not None and highest > count:
            raise InputError(f"{path}: has crop {highest:05d}, but its trial has {count} frames")
        self._count = highest if count is None else count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        self.decode_error = None
        for row, path in sorted(self._files.items()):
            try:
                rgb = read_rgb(path)
            except InputError as problem:
                self.decode_error = self.decode_error or str(problem)
                continue
            yield row, rgb

    def read(self, row: int) -> np.ndarray | None:
        """Read the crop of a row, (H, W, 3) uint8 RGB in its own size; None if there is none."""
        return read_rgb(self._files[row]) if row in self._files else None


def _numbered_files(folder: Path) -> dict[int, Path]:
    """Return row -> file. Raises InputError if two files (jpg and png) have one number."""
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
            raise InputError(f"{folder}: the crops are numbered from 00000, Aff-Wild2 counts from 00001")
        if row in files:
            raise InputError(f"{folder}: has both {files[row].name} and {name}")
        files[row] = folder / name
    if not files:
        raise InputError(f"{folder}: has no crops", hint="name them 00001.jpg, 00002.jpg and so on")
    return files
