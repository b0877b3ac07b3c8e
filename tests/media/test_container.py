"""Unusual but valid files open with every version of PyAV."""

from __future__ import annotations

import struct
from pathlib import Path

from vacli.media.container import open_container
from vacli.media.probe import probe

TITLE = b"Caf\xe9 \xff\xfe\x00"  # not UTF-8


def chunk(name: bytes, content: bytes) -> bytes:
    """Return a chunk of a RIFF file."""
    return name + struct.pack("<I", len(content)) + content


def titled_wav(path: Path) -> Path:
    """Write a tenth of a second of silence with the title TITLE."""
    form = struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16)
    parts = chunk(b"fmt ", form), chunk(b"LIST", b"INFO" + chunk(b"INAM", TITLE)), chunk(b"data", bytes(3200))
    path.write_bytes(chunk(b"RIFF", b"WAVE" + b"".join(parts)))
    return path


def test_a_title_in_an_unknown_encoding_is_ignored(tmp_path: Path) -> None:
    path = titled_wav(tmp_path / "titled.wav")
    with open_container(path) as container:
        assert container.metadata["title"].startswith("Caf")  # the title is in the file
    assert probe(path).audio.rate_hz == 16_000
