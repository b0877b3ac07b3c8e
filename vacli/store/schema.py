"""Names, versions and layouts of what is on disk."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import zarr

from vacli import __version__
from vacli.errors import StoreError

FORMAT_VERSION = 1
CHUNK_BYTES = 4 << 20  # large enough to stream, small enough to pick windows from
CROP_CHUNK_BYTES = 1 << 20  # crops are also read one by one


def root_attributes() -> dict[str, object]:
    """What marks a directory as a store of this version."""
    return {"va_store": FORMAT_VERSION, "created_by": f"va {__version__}"}


def check_root(path: Path) -> None:
    """Raise StoreError where `path` is not a store that this version reads."""
    meta = path / "zarr.json"
    if not path.exists():
        raise StoreError(f"no store at {path}", hint="`va align` or `va extract-audio` makes one")
    try:
        attributes = json.loads(meta.read_text()).get("attributes", {})
    except (OSError, ValueError, AttributeError):
        raise StoreError(f"{path} is not a feature store", hint="name a folder that `va` wrote") from None
    version = attributes.get("va_store")
    if version is None:
        raise StoreError(f"{path} is a Zarr group but not a feature store of va")
    if version != FORMAT_VERSION:
        raise StoreError(
            f"store {path} has format {version}, this va reads {FORMAT_VERSION}",
            hint="use the va that wrote it, or extract again into a new store",
        )


def safe_id(stem: str) -> str:
    """A file's stem as a group name: letters, digits, '-', '_' and '.', never hidden, never empty."""
    return re.sub(r"[^\w.-]+", "_", stem).lstrip("._") or "video"


def chunk_rows(row_shape: tuple[int, ...], dtype: np.dtype, limit_bytes: int = CHUNK_BYTES) -> int:
    """Rows a chunk so that it stays below `limit_bytes`."""
    return max(1, limit_bytes // (math.prod(row_shape) * dtype.itemsize))


def is_number_noise(dtype: np.dtype, ndim: int) -> bool:
    """Float tables hardly compress; kept raw they can be mapped into memory."""
    return dtype.kind == "f" and ndim > 1


def create_group(path: Path, attributes: dict[str, object]) -> zarr.Group:
    """A new group on disk."""
    return zarr.create_group(store=str(path), attributes=attributes)
