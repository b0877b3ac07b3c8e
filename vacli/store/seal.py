"""Checksums in `zarr.json`, by which damage is found.

A sealed node has the CRC-32 of its own metadata. An array also has the CRC-32 of each chunk file, null for a
chunk of fill values only, which has no file. A group has the names of its members. Nodes without a seal come
from earlier versions or other programs.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

from vacli.files.store_folder import METADATA_FILE

SEAL, CHUNKS, MEMBERS = "va_crc32", "va_chunk_crc32", "va_members"
MAX_CHUNKS = 1_000_000  # per array; more mean damaged metadata

Meta = Mapping[str, Any]


def seal(folder: Path) -> None:
    """Seal a group or array and all nodes below it, which must not change afterwards."""
    for path in folder.rglob(METADATA_FILE):
        meta = json.loads(path.read_text(encoding="utf-8"))
        if meta["node_type"] == "array":
            files = (path.parent / key for key in chunk_keys(meta))
            meta["attributes"][CHUNKS] = [_crc(file) if file.is_file() else None for file in files]
        else:
            meta["attributes"][MEMBERS] = sorted(
                p.parent.name for p in path.parent.glob(f"*/{METADATA_FILE}")
            )
        meta["attributes"][SEAL] = _digest(meta)
        path.write_text(json.dumps(meta, indent=2), encoding="utf-8")


def read(folder: Path) -> Meta:
    """The metadata of a group or array. Raises ValueError or OSError if it is damaged."""
    meta = json.loads((folder / METADATA_FILE).read_text(encoding="utf-8"))
    if not isinstance(meta, dict) or not isinstance(meta.get("attributes", {}), dict):
        raise ValueError(f"{METADATA_FILE} does not describe a Zarr group or array")
    expected = meta.get("attributes", {}).get(SEAL)
    if expected is not None and expected != _digest(meta):
        raise ValueError(f"{METADATA_FILE} has been changed")
    return meta


def user_attributes(attributes: Meta) -> dict[str, object]:
    """Attributes without the checksums and member names of the seal."""
    return {key: value for key, value in attributes.items() if key not in (SEAL, CHUNKS, MEMBERS)}


def grid(meta: Meta) -> list[tuple[int, int]]:
    """Length and chunk length of each axis. Raises ValueError without a regular grid."""
    try:
        shape, chunks = meta["shape"], meta["chunk_grid"]["configuration"]["chunk_shape"]
        axes = list(zip(map(int, shape), map(int, chunks), strict=True))
    except (KeyError, TypeError) as error:
        raise ValueError(f"no regular chunks: {error}") from None
    if any(length < 0 or chunk < 1 for length, chunk in axes):
        raise ValueError(f"shape {shape} in chunks {chunks}")
    if math.prod(-(-length // chunk) for length, chunk in axes) > MAX_CHUNKS:
        raise ValueError(f"shape {shape} in chunks {chunks}: too many chunks")
    return axes


def chunk_keys(meta: Meta, rows: range | None = None) -> Iterator[str]:
    """Names of the chunk files in C order, all or those that hold some of `rows`."""
    axes = grid(meta)
    counts = [range(-(-length // chunk)) for length, chunk in axes]
    if rows is not None and axes:
        chunk = axes[0][1]
        counts[0] = range(rows.start // chunk, -(-rows.stop // chunk)) if len(rows) else range(0)
    for index in product(*counts):
        yield "/".join(("c", *map(str, index)))


def chunk_problem(file: Path, expected: int | None) -> str | None:
    """The problem of a chunk file that differs from its CRC-32 `expected`, or None."""
    try:
        found = _crc(file)
    except FileNotFoundError:  # also if another process removes it meanwhile
        return None if expected is None else f"{file} is missing"
    except OSError as error:
        return f"{file} cannot be read: {error.strerror}"
    return None if found == expected else f"{file} has been changed or cut short"


def _crc(path: Path) -> int:
    return zlib.crc32(path.read_bytes())


def _digest(meta: Meta) -> int:
    bare = {**meta, "attributes": {k: v for k, v in meta["attributes"].items() if k != SEAL}}
    return zlib.crc32(json.dumps(bare, sort_keys=True).encode())
