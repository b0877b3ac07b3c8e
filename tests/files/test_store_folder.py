"""A store is recognised without Zarr."""

from __future__ import annotations

import subprocess
import sys

from vacli.files.store_folder import is_store
from vacli.store import Store


def test_a_store_is_a_folder_with_zarr_metadata(tmp_path):
    assert is_store(Store.open_or_create(tmp_path / "a").path)
    (tmp_path / "b.zarr").mkdir()
    assert not is_store(tmp_path / "b.zarr")
    assert not is_store(tmp_path / "absent.zarr")
    assert not is_store(tmp_path / "a" / "zarr.json")


def test_zarr_is_not_imported():
    code = "import sys, vacli.files.store_folder; sys.exit('zarr' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
