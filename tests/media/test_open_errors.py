"""The messages about sources that cannot be opened."""

from __future__ import annotations

import errno
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from vacli.errors import InputError
from vacli.media import open_errors
from vacli.media.live_source import FFmpegInput, parse_source
from vacli.media.open_errors import opening_error
from vacli.media.stream_reader import opened


def message(name: str, timeout_s: float | None = 5.0, **source: object) -> str:
    """The line of the error that opening a source gives."""
    given = parse_source(name, **source)
    with pytest.raises(InputError) as error, opened(given.main, given.name, timeout_s):
        pass
    return error.value.one_line()


def test_port_in_use():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as used:
        used.bind(("127.0.0.1", 0))
        text = message(f"udp://127.0.0.1:{used.getsockname()[1]}")
    assert "another program uses this port; end that program, or choose another port" in text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("udp://203.0.113.7:5000", "this machine does not have this address; receive at"),
        ("http://127.0.0.1:9/a", "the connection is refused; check whether the server runs"),
        ("rtsp://127.0.0.1:9/a", "the connection is refused"),
        ("http://no-host.invalid/a", "the host is not known or cannot be reached"),
        ("udp://127.0.0.1:47123", "no data arrived for 0.1 s; check whether the sender runs"),
    ],
)
def test_addresses(name, text):
    assert text in message(name, 0.1 if "47123" in name else 5.0)


def test_protocols_that_pyav_lacks():
    given = FFmpegInput("srt://h:1")
    import av

    text = opening_error(given, "srt://h:1", av.error.ProtocolNotFoundError(1, "x"), None).one_line()
    assert text.startswith("srt://h:1: PyAV has no srt; read it by another program: `srt-live-transmit")


def test_refusal_of_a_server_is_shown():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *arguments: object) -> None:
            """Nothing is shown."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.01,)).start()
        text = message(f"http://127.0.0.1:{server.server_port}/a.ts")
        server.shutdown()
    assert "404 Not Found" in text


def test_files(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("text\n" * 50)
    assert "the data have no known format; name the format of raw data" in message(str(path))
    assert "PyAV has no input format other" in message(str(path), demuxer="other")
    assert "raw pictures need --input-option video_size" in message(str(path), demuxer="rawvideo")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.ENOENT, "there is no such camera; there are: /dev/video0 (Webcam)"),
        (errno.EBUSY, "another program uses this camera"),
        (errno.EACCES, "you may not open this camera; become a member of its group"),
        (errno.EINVAL, "the camera refuses these options"),
    ],
)
def test_cameras(number, text, monkeypatch):
    monkeypatch.setattr(open_errors, "device_names", lambda kind: "there are: /dev/video0 (Webcam)")
    monkeypatch.setattr(open_errors, "capture_library", lambda: "v4l2")
    given = FFmpegInput("/dev/video7", "v4l2")
    assert text in opening_error(given, "7", OSError(number, "x"), None).one_line()


def test_microphones(monkeypatch):
    monkeypatch.setattr(open_errors, "device_names", lambda kind: f"no {kind} was found")
    given = FFmpegInput("hw:9", "alsa", is_microphone=True)
    text = opening_error(given, "hw:9", OSError(errno.EIO, "x"), None).one_line()
    assert text == (
        "hw:9: there is no such microphone, or another program uses it; "
        "no microphone was found; --audio none leaves the sound out"
    )
