"""Recordings through stdin and pipes, beside the lists of paths that stdin stands for otherwise."""

from __future__ import annotations

import io
import os
import sys
import threading
from pathlib import Path

import click
import pytest
from synth.clips import Clip, steady, write_clip

from vacli.cli import piped_media, streams
from vacli.errors import InputError, UsageError
from vacli.media.probe import probe


@pytest.fixture
def context():
    with click.Context(click.Command("predict")):
        yield


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("name", ["clip.ts", "clip.mkv", "clip.mp4"])
def test_recording_on_stdin_is_copied(name, tmp_path, monkeypatch):
    data = write_clip(tmp_path / name, Clip(times_s=steady(25, 0.4))).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(data))))
    (path,), names = piped_media.read_inputs(["-"])
    assert path.read_bytes() == data
    assert names == {str(path): "-"}
    assert probe(path).video is not None


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize(
    "text",
    [
        b"a.mp4\nb c.mp4\n",
        b"a.mp4\0b c.mp4\0",
        "a.mp4\r\nb c.mp4".encode("utf-16"),
        "\ufeffa.mp4\nb c.mp4".encode(),
    ],
)
def test_paths_on_stdin_stay_paths(text, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(text))))
    assert piped_media.read_inputs(["-"]) == ((Path("a.mp4"), Path("b c.mp4")), {})


@pytest.mark.usefixtures("context")
def test_name_with_a_control_character_stays_a_path(tmp_path, monkeypatch):
    path = tmp_path / "a\x01.mp4"
    path.touch()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(os.fsencode(path)))))
    assert piped_media.read_inputs(["-"]) == ((path,), {})


class Endless(io.RawIOBase):
    """Zeros without an end, as of /dev/zero; a reader without a limit fails."""

    def __init__(self, limit: int) -> None:
        self._left = limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        self._left -= len(buffer)
        assert self._left > 0, "reads without a limit"
        buffer[:] = bytes(len(buffer))
        return len(buffer)


@pytest.mark.usefixtures("context")
def test_endless_stdin_is_refused(monkeypatch):
    monkeypatch.setattr(streams, "MAX_LIST_BYTES", 1 << 20)
    endless = io.BufferedReader(Endless(4 << 20))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(endless))
    with pytest.raises(UsageError) as caught:
        piped_media.read_inputs(["-"])
    line = caught.value.one_line()
    assert line == "stdin: more than 1 MB without being a recording; give paths, one a line"


@pytest.mark.usefixtures("context")
def test_list_of_the_greatest_length_is_read(monkeypatch):
    text = b"a.mp4\nb.mp4\n"
    monkeypatch.setattr(streams, "MAX_LIST_BYTES", len(text))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(text))))
    assert piped_media.read_inputs(["-"]) == ((Path("a.mp4"), Path("b.mp4")), {})


@pytest.mark.usefixtures("context")
def test_named_pipe_is_copied_and_files_are_not(tmp_path):
    data = write_clip(tmp_path / "clip.ts", Clip(times_s=steady(25, 0.4))).read_bytes()
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(data))
    writer.start()
    (copy, file), names = piped_media.read_inputs([str(tmp_path / "pipe"), str(tmp_path / "clip.ts")])
    writer.join()
    assert copy.read_bytes() == data
    assert names == {str(copy): str(tmp_path / "pipe")}
    assert file == tmp_path / "clip.ts"


@pytest.mark.usefixtures("context")
def test_pipes_without_data_or_with_too_much_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(piped_media, "MAX_BYTES", 1000)
    for data, message in ((b"", "is empty"), (bytes(2000), "through the pipe")):
        os.mkfifo(pipe := tmp_path / f"pipe{len(data)}")
        writer = threading.Thread(target=write_quietly, args=(pipe, data))
        writer.start()
        with pytest.raises(InputError, match=message):
            piped_media.read_inputs([str(pipe)])
        writer.join()


def write_quietly(pipe: Path, data: bytes) -> None:
    with open(pipe, "wb", buffering=0) as file:
        file.write(data)
