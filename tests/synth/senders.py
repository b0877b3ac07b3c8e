"""Senders of MPEG-TS for tests of live sources: over UDP with lost packets, over HTTP and over RTSP."""

from __future__ import annotations

import errno
import io
import random
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av

DATAGRAM_BYTES = 1316  # seven packets of a transport stream
NULL_PACKET = bytes([0x47, 0x1F, 0xFF, 0x10]) + b"\xff" * 184
PORT_TIMEOUT_S = 60.0
SDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=live\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\na=control:track\r\n"
Part = tuple[float, bytes]  # seconds after the start at which it is sent


def transport_stream(path: Path) -> list[Part]:
    """Return a file as MPEG-TS: for each packet its decoding time and its bytes."""
    parts: list[Part] = []
    buffer = io.BytesIO()
    with av.open(str(path)) as source, av.open(buffer, "w", format="mpegts") as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is None:
                continue
            due_s = float(packet.dts * packet.time_base)
            packet.stream = streams[packet.stream.index]
            target.mux(packet)
            parts.append((due_s, _taken(buffer)))
    parts.append((parts[-1][0], _taken(buffer)))
    return [(due_s, data) for due_s, data in parts if data]


def _taken(buffer: io.BytesIO) -> bytes:
    data = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return data


def whole(parts: Sequence[Part]) -> bytes:
    """Return all bytes of a stream."""
    return b"".join(data for _, data in parts)


def delayed(parts: Sequence[Part], by_s: float) -> list[Part]:
    """Return the parts of a stream that begins later."""
    return [(due_s + by_s, data) for due_s, data in parts]


def hurried(parts: Sequence[Part], factor: float) -> list[Part]:
    """Return the parts of a stream that is sent faster than it is shown."""
    return [(due_s / factor, data) for due_s, data in parts]


def send_in_time(parts: Sequence[Part], send: Callable[[bytes], object]) -> None:
    """Send each part at its time."""
    start_s = time.monotonic()
    for due_s, data in parts:
        time.sleep(max(0.0, start_s + due_s - time.monotonic()))
        send(data)


@contextmanager
def udp_sender(parts: Sequence[Part], loss: float = 0.0, seed: int = 0) -> Iterator[str]:
    """Yield the URL of a stream that is sent as soon as the port is opened; a share of datagrams is lost."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    sender = threading.Thread(target=_send_datagrams, args=(port, parts, loss, seed), daemon=True)
    sender.start()
    yield f"udp://127.0.0.1:{port}"
    sender.join()


def _send_datagrams(port: int, parts: Sequence[Part], loss: float, seed: int) -> None:
    draw = random.Random(seed).random
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.connect(("127.0.0.1", port))
        _wait_for_port(out)

        def send(data: bytes) -> None:
            for first in range(0, len(data), DATAGRAM_BYTES):
                if draw() >= loss:
                    out.send(data[first : first + DATAGRAM_BYTES])

        send_in_time(parts, send)


def _wait_for_port(out: socket.socket) -> None:
    """Send packets without content until the port accepts them: a closed one refuses the next packet."""
    end_s = time.monotonic() + PORT_TIMEOUT_S
    accepted = 0
    while accepted < 3 and time.monotonic() < end_s:
        try:
            out.send(NULL_PACKET)
            accepted += 1
        except OSError as error:
            if error.errno != errno.ECONNREFUSED:
                raise
            accepted = 0
        time.sleep(0.02)


@contextmanager
def http_sender(parts: Sequence[Part]) -> Iterator[str]:
    """Yield the URL of a stream that is sent in real time to each client."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "video/mp2t")
            self.send_header("Connection", "close")
            self.end_headers()
            send_in_time(parts, self.wfile.write)

        def log_message(self, *arguments: object) -> None:
            """Nothing is shown."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *arguments: None  # a client that has gone
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/live.ts"
    server.shutdown()
    server.server_close()
    thread.join()


@contextmanager
def rtsp_sender(parts: Sequence[Part]) -> Iterator[str]:
    """Yield the URL of a stream that an RTSP server sends in real time, as RTP over its TCP connection."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while request := self.rfile.readline().decode():
                headers = {}
                while line := self.rfile.readline().decode().strip():
                    name, _, value = line.partition(": ")
                    headers[name.lower()] = value
                method, transport = request.split()[0], headers.get("transport", "")
                is_refused = method == "SETUP" and "interleaved" not in transport
                status = "461 Unsupported Transport" if is_refused else "200 OK"
                body = SDP if method == "DESCRIBE" else ""
                lines = [f"RTSP/1.0 {status}", f"CSeq: {headers['cseq']}", "Session: 1"]
                lines += [f"Transport: {transport}", "Content-Type: application/sdp"]
                lines += [f"Content-Length: {len(body)}", "", body]
                self.wfile.write("\r\n".join(lines).encode())
                if method == "PLAY":
                    self.number = 0
                    send_in_time(parts, self.send)
                    return

        def send(self, data: bytes) -> None:
            for first in range(0, len(data), DATAGRAM_BYTES):
                payload = data[first : first + DATAGRAM_BYTES]
                header = struct.pack(">BBHII", 0x80, 33, self.number & 0xFFFF, 0, 1)
                self.number += 1
                self.wfile.write(struct.pack(">cBH", b"$", 0, len(header + payload)) + header + payload)

    socketserver.ThreadingTCPServer.daemon_threads = True
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.handle_error = lambda *arguments: None  # a client that has gone
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"rtsp://127.0.0.1:{server.server_address[1]}/live"
        server.shutdown()
        thread.join()
