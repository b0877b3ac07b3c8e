"""Opening what is odd but whole, with every version of PyAV."""

from __future__ import annotations

import struct
from pathlib import Path

from vacli.media.container import opened
from vacli.media.probe import probe

TITLE = b"Caf\xe9 \xff\xfe\x00"  # Latin-1 and worse where UTF-8 is expected


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a RIFF file."""
    return name + struct.pack("<I", len(content)) + content


def titled_wav(path: Path) -> Path:
    """A tenth of a second of silence with TITLE as its title."""
    form = struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16)
    parts = chunk(b"fmt ", form), chunk(b"LIST", b"INFO" + chunk(b"INAM", TITLE)), chunk(b"data", bytes(3200))
    path.write_bytes(chunk(b"RIFF", b"WAVE" + b"".join(parts)))
    return path


def test_a_title_in_no_known_encoding_does_not_matter(tmp_path: Path) -> None:
    path = titled_wav(tmp_path / "titled.wav")
    with opened(path) as container:
        assert container.metadata["title"].startswith("Caf")  # the file does say it
    assert probe(path).audio.rate_hz == 16_000
