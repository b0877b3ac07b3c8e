"""How a feature store is recognised, without Zarr, which takes long to import."""

from __future__ import annotations

from pathlib import Path

SUFFIX = ".zarr"  # customary, not required
METADATA_FILE = "zarr.json"  # Zarr v3 has one in each group and array


def is_store(path: Path) -> bool:
    """Whether a path is a folder, local or in an object store, that holds a Zarr group.

    `store.schema.check_root` checks its version.
    """
    return (path / METADATA_FILE).is_file()
