"""File systems mounted for a test, if the system allows it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(kind: str, folder: Path, options: str) -> Iterator[Path]:
    """A file system of that kind on an empty folder; the test is skipped if it cannot be mounted."""
    folder.mkdir()
    command = ["mount", "-t", kind, "-o", options, kind, str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no `mount`")
    if done.returncode:
        pytest.skip(f"{kind} cannot be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def overlay(root: Path, lower: Path) -> Iterator[Path]:
    """An overlay with `lower` below, as a container has its image."""
    for name in ("upper", "work"):
        (root / name).mkdir()
    options = f"lowerdir={lower},upperdir={root / 'upper'},workdir={root / 'work'}"
    return mounted("overlay", root / "merged", options)
