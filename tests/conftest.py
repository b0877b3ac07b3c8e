"""Fixtures that all rooms share: where the real clips and the labelled data are, if they are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("VA_SHARED", Path(__file__).parents[2] / "shared"))


def _shared(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"needs the folder {name}/ of real recordings (set VA_SHARED to where it is)")
    return folder


@pytest.fixture(scope="session")
def clips() -> Path:
    """The folder of real clips; skips where it is absent."""
    return _shared("clips")


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of labelled recordings; skips where it is absent."""
    return _shared("data")
