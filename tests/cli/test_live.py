"""`va live` as a command: devices, wrong usage, and standard streams that are closed."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
from synth.clips import Clip, steady, write_clip

from vacli.cli import live as command
from vacli.cli.main import run
from vacli.media import devices
from vacli.media.devices import Device


def test_devices_are_listed_one_a_line(monkeypatch, capsys):
    found = [Device("camera", "/dev/video0", "Webcam"), Device("microphone", "hw:0", "Intel\x1b PCH")]
    monkeypatch.setattr(devices, "list_devices", lambda: found)
    assert run(["live", "--list-devices"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "camera      /dev/video0  Webcam",
        "microphone  hw:0         Intel\x1b PCH",  # escaped on a terminal only
    ]


def test_machine_without_devices(monkeypatch, capsys):
    monkeypatch.setattr(devices, "list_devices", list)
    assert run(["live", "--list-devices"]) == 0
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "no camera or microphone was found\n")


def test_host_needs_a_page(capsys):
    assert run(["live", "udp://0.0.0.0:5000", "--host", "0.0.0.0"]) == 2
    assert capsys.readouterr().err == "va: --host is the address of the web page; add --serve PORT\n"


def test_stdin_that_is_a_terminal_is_refused(monkeypatch, capsys):
    stdin = io.StringIO()
    stdin.isatty = lambda: True
    monkeypatch.setattr(sys, "stdin", stdin)
    assert run(["live", "-"]) == 2
    assert capsys.readouterr().err == "va: stdin is a terminal; pipe a stream into the command\n"


@pytest.mark.parametrize(
    ("more", "code"), [((), 1), (("--watch",), 2), (("--lsl",), 2), (("--serve", "0"), 2)]
)
def test_closed_stdout_is_an_error_if_no_other_output_is_asked_for(more, code, monkeypatch, capsys):
    monkeypatch.setattr(command, "stdout_is_closed", lambda: True)
    assert run(["live", "absent.mp4", *more]) == code  # 2: there is no such source
    assert ("standard output is closed; keep the rows with --record" in capsys.readouterr().err) == (
        code == 1
    )


def test_a_file_whose_index_is_at_its_end_fails_from_a_pipe(tmp_path):
    clip, padding = write_clip(tmp_path / "clip.mp4", Clip(steady(25, 0.4))), 1 << 23
    data = clip.read_bytes()
    start = data.index(b"mdat") - 4
    end = start + int.from_bytes(data[start : start + 4], "big")
    assert data[end + 4 : end + 8] == b"moov"
    size = (end - start + padding).to_bytes(4, "big")  # so large that FFmpeg does not keep it
    clip.write_bytes(data[:start] + size + data[start + 4 : end] + bytes(padding) + data[end:])
    with open(clip, "rb") as stream:
        done = subprocess.run(
            [sys.executable, "-m", "vacli", "live", "-"],
            stdin=stream,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "no frame was read; name an MP4 file by its path" in done.stderr
