"""Large arrays in files: content, blocks, and the memory that they take."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vacli.files import scratch

SOURCES = Path(__file__).parents[2]
LARGE = (scratch.MIN_BYTES // 4 // 10, 10)
MEMORY = """
from vacli.files import scratch
values = scratch.empty((30_000_000,))
for number, block in scratch.blocks(values):
    block[:] = number
assert values[-1] == max(range(0, len(values), scratch.BLOCK_BYTES // 4))
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
needs_files = pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="arrays are in memory here")


@pytest.mark.parametrize("shape", [(0, 3), (7, 3), LARGE])
def test_content_is_kept_after_a_release(shape):
    values = scratch.missing_rows(*shape)
    assert np.isnan(values).all()
    expected = np.arange(values.size, dtype=np.float32).reshape(shape)
    values[:] = expected
    for part in (values, values[1:], values[::2].T):
        scratch.release(part)
    np.testing.assert_array_equal(values, expected)


def test_blocks_are_all_rows_in_order():
    values = np.arange(3 * scratch.BLOCK_BYTES // 8, dtype=np.float64)
    found = list(scratch.blocks(values, 1000))
    assert [start for start, _ in found] == list(np.cumsum([0, *(len(part) for _, part in found[:-1])]))
    assert all(len(part) % 1000 == 0 for _, part in found[:-1])
    np.testing.assert_array_equal(np.concatenate([part for _, part in found]), values)


def test_a_disk_without_room_gives_an_array_in_memory(monkeypatch):
    def refuse(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse, raising=False)
    values = scratch.missing_rows(*LARGE)
    assert values.shape == LARGE
    assert values.base is None


@needs_files
@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory from /proc")
def test_memory_does_not_grow_with_the_array():
    done = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True, cwd=SOURCES
    )
    assert int(done.stdout) < 60_000  # KiB; the array has 117,000
