"""A strict reader of stores: what in one is damaged beyond doubt; and ways to damage one."""

from __future__ import annotations

import io
import json
import math
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import zarr
from faults import mutators

from vacli.features.flags import MISSING

Values = dict[str, np.ndarray]


def complaints(store: Path) -> list[str]:
    """Whatever in a store cannot have been written so; empty where nothing tells."""
    found = [] if _json(store / "zarr.json") else ["no root"]
    for entry in sorted(p for p in store.iterdir() if p.is_dir() and not p.name.startswith(".")):
        found += [f"{entry.name}: {what}" for what in _entry(entry)]
    return found


def _json(path: Path) -> dict:
    try:
        made = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return made if isinstance(made, dict) else {}


def _entry(entry: Path) -> Iterator[str]:
    if _json(entry / "zarr.json").get("node_type") != "group":
        yield "no group"
    values: Values = {}
    for folder in sorted(
        {p.parent for p in entry.rglob("zarr.json")} | {p.parent.parent for p in entry.rglob("c/0*")}
    ):
        name = str(folder.relative_to(entry))
        if (folder / "c").exists() or _json(folder / "zarr.json").get("node_type") != "group":
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    array = zarr.open_array(str(folder), mode="r")
                    values[name] = np.asarray(array[...])
                yield from _chunks(folder, array, name)
            except Exception as error:
                yield f"{name}: {type(error).__name__}"
    yield from _contents(values)


def _chunks(folder: Path, array: zarr.Array, name: str) -> Iterator[str]:
    """Chunks that are absent though nothing but fill values may be, or of another size than raw rows have."""
    grid = [range(math.ceil(s / c)) for s, c in zip(array.shape, array.chunks, strict=True)]
    raw = [codec["name"] for codec in _json(folder / "zarr.json").get("codecs", [])] == ["bytes"]
    size = int(np.prod(array.chunks)) * array.dtype.itemsize
    for index in grid[0] if grid else ():
        chunk = folder / "c" / "/".join([str(index), *["0"] * (array.ndim - 1)])
        if not chunk.is_file():
            if name == "time":
                yield f"{name}: chunk {index} is absent"
        elif raw and chunk.stat().st_size != size:
            yield f"{name}: chunk {index} has {chunk.stat().st_size} bytes, not {size}"


def _contents(values: Values) -> Iterator[str]:
    time = values.get("time")
    if time is None:
        yield "no time"
        return
    if time.ndim != 1 or time.dtype.kind != "f" or not np.isfinite(time).all() or (np.diff(time) <= 0).any():
        yield "time does not rise"
    rows = len(time)
    for name, array in values.items():
        if name not in ("face/crop", "time") and array.shape[:1] != (rows,):
            yield f"{name} has {array.shape} for {rows} frames"
        if name.startswith("label/") and array.dtype.kind == "f" and (np.abs(array) > 1).any():
            yield f"{name} is outside [-1, 1]"
        if name.startswith("feature/"):
            yield from _feature(name, array, values)
    if "face/crop_size" in values:
        yield from _crops(values)


def _feature(name: str, array: np.ndarray, values: Values) -> Iterator[str]:
    if array.ndim != 2:
        yield f"{name} has {array.ndim} axes"
        return
    flag = values.get(name.replace("feature/", "flag/"))
    if flag is None:
        yield f"{name} without flags"
    elif flag.shape == array.shape[:1] and (np.isnan(array).any(1) != ((flag & MISSING) > 0)).any():
        yield f"{name} is not missing where its flags say so"
    if np.isinf(array).any():
        yield f"{name} is infinite"


def _crops(values: Values) -> Iterator[str]:
    from PIL import Image

    data, size, start = (values.get(f"face/{name}") for name in ("crop", "crop_size", "crop_start"))
    if data is None or start is None:
        yield "crops without their bytes"
        return
    try:
        for first, count in zip(start.tolist(), size.tolist(), strict=True):
            if count:
                picture = Image.open(io.BytesIO(data[first : first + count].tobytes()))
                picture.load()
                if picture.size != (224, 224):
                    yield "a crop of another size"
    except Exception as error:
        yield f"a crop is no picture: {type(error).__name__}"


def damage(store: Path, rng: np.random.Generator) -> tuple[str, str]:
    """Damage one file of a store. Returns: its path below the store, and how."""
    files = sorted(p for p in store.rglob("*") if p.is_file())
    path = files[int(rng.integers(len(files)))]
    where, kind = str(path.relative_to(store)), rng.random()
    if kind < 0.12:
        path.unlink()
        return where, "removed"
    if kind < 0.18:
        path.write_bytes(b"")
        return where, "emptied"
    if kind < 0.22:
        path.unlink()
        path.mkdir()
        return where, "made a folder"
    if kind < 0.28 and path.parent != store:
        shutil.rmtree(path.parent)
        return where, "removed with its folder"
    if kind < 0.36:
        alike = [p for p in files if p.name == path.name and p.read_bytes() != path.read_bytes()]
        if alike:
            path.write_bytes(alike[int(rng.integers(len(alike)))].read_bytes())
            return where, "another one's content"
    among = mutators.TEXT if path.suffix == ".json" else mutators.BINARY
    made, how = mutators.damage(path.read_bytes(), rng, among)
    path.write_bytes(made)
    return where, how
