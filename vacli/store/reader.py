"""Read-only views of what a store holds."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from vacli.errors import StoreError
from vacli.store.raw import RawTable

CROPS_A_READ = 64
SPARSE = 4  # reading up to this many times the wanted bytes at once beats as many small reads


class VideoView:
    """One video of a store; arrays are read when asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.id = path.name
        self._tables: dict[str, RawTable | None] = {}

    @cached_property
    def attrs(self) -> dict[str, Any]:
        """Attributes of the video: `source` (name, path, size_bytes, sha256) and `stream`."""
        return _attributes(self.path)

    @property
    def source(self) -> dict[str, Any]:
        """The file behind the video: name, path, size_bytes, sha256."""
        return self.attrs.get("source", {})

    @cached_property
    def times_s(self) -> np.ndarray:
        """(N,) float64 seconds, one row a frame of the container."""
        return self.read("time")

    def has(self, part: str) -> bool:
        """Whether a part ("face", "feature/vggish", "label") or array is there, and so is whole."""
        return (self.path / part / "zarr.json").is_file()

    def feature_names(self) -> list[str]:
        """Names of the stored features, sorted."""
        folder = self.path / "feature"
        return sorted(p.name for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []

    def part_attrs(self, part: str) -> dict[str, Any]:
        """Attributes of a part: how it was made."""
        return _attributes(self._existing(part))

    def read(self, array: str, rows: slice = slice(None)) -> np.ndarray:
        """Rows of an array such as "face/box"."""
        return np.asarray(self._array(array)[rows])

    def read_into(self, array: str, start: int, out: np.ndarray) -> None:
        """Copy rows start, start + 1, ... of a float table such as "feature/vggish" into (n, D) `out`."""
        if array not in self._tables:
            self._tables[array] = RawTable.open(self._existing(array))
        table = self._tables[array]
        if table is None:
            out[...] = self.read(array, slice(start, start + len(out)))
        else:
            table.read_into(start, out)

    def feature(self, name: str, rows: slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
        """A feature's (n, D) values and (n,) uint8 flags."""
        return self.read(f"feature/{name}", rows), self.read(f"flag/{name}", rows)

    def has_crops(self) -> bool:
        """Whether aligned faces are stored."""
        return self.has("face/crop")

    def crop(self, index: int) -> np.ndarray | None:
        """The aligned face of one frame, (224, 224, 3) uint8 RGB, or None where there is none."""
        return next(self.crops([index]))

    def crop_bytes(self, indices: Sequence[int]) -> Iterator[bytes | None]:
        """The encoded aligned faces of some frames."""
        starts, sizes = self._crop_index
        data = self._array("face/crop")
        for first in range(0, len(indices), CROPS_A_READ):
            rows = np.asarray(indices[first : first + CROPS_A_READ])
            for group in _near(rows, starts, sizes):
                low = int(starts[group].min())
                block = np.asarray(data[low : int((starts[group] + sizes[group]).max())])
                for start, size in zip(starts[group] - low, sizes[group], strict=True):
                    yield block[start : start + size].tobytes() if size else None

    def crops(self, indices: Sequence[int]) -> Iterator[np.ndarray | None]:
        """The aligned faces of some frames, (224, 224, 3) uint8 RGB each, None where there is none."""
        from PIL import Image

        for data in self.crop_bytes(indices):
            yield None if data is None else np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

    @cached_property
    def _crop_index(self) -> tuple[np.ndarray, np.ndarray]:
        return self.read("face/crop_start"), self.read("face/crop_size")

    def _array(self, name: str) -> zarr.Array:
        return zarr.open_array(str(self._existing(name)), mode="r")

    def _existing(self, part: str) -> Path:
        if not self.has(part):
            raise StoreError(f"{self.path} has no {part}", hint=_how_to_make(part))
        return self.path / part


def _near(rows: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> Iterator[np.ndarray]:
    """`rows` together where their bytes lie close to each other, else one by one."""
    span = (starts[rows] + sizes[rows]).max() - starts[rows].min()
    close = span <= SPARSE * sizes[rows].sum()
    yield from [rows] if close else rows[:, np.newaxis]


def _how_to_make(part: str) -> str:
    if part.startswith("face"):
        return "run `va align` on its video first"
    if part.startswith("label"):
        return "run `va labels` first"
    return "run `va extract-visual` or `va extract-audio` for it first"


def _attributes(path: Path) -> dict[str, Any]:
    try:
        return json.loads((path / "zarr.json").read_text()).get("attributes", {})
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{path} cannot be read: {error}", hint="remove that folder and extract again"
        ) from None
