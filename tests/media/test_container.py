"""Unusual but valid files open with every version of PyAV."""

from __future__ import annotations

import struct
from pathlib import Path
from types import SimpleNamespace

import pytest

from vacli.media.container import clock_zero_s, open_container
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


@pytest.mark.parametrize(
    ("name", "start_s", "zero_s"),
    [
        ("matroska,webm", 0.5, 0.0),  # the picture starts later than the sound
        ("mov,mp4,m4a,3gp,3g2,mj2", -0.021, 0.0),  # the delay of AAC
        ("matroska,webm", -0.996, -0.996),
        ("matroska,webm", 3600.0, 3600.0),
        ("mpegts", 1.4, 1.4),
    ],
)
def test_the_clock_of_a_container_has_its_zero_at_zero_or_at_the_start(name, start_s, zero_s):
    container = SimpleNamespace(format=SimpleNamespace(name=name), start_time=round(1e6 * start_s))
    assert clock_zero_s(container) == pytest.approx(zero_s)
