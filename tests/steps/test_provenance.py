"""The record that a store keeps of a source file."""

from __future__ import annotations

import pytest

from vacli.errors import InputError
from vacli.steps._provenance import source_of


def test_source_has_name_path_size_and_hash(tmp_path):
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    source = source_of(path)
    assert (source["name"], source["path"], source["size_bytes"]) == ("abc", str(path.resolve()), 3)
    assert source["sha256"].startswith("ba7816bf")


def test_missing_source_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        source_of(tmp_path / "gone")
