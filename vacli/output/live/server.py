"""A web page with the rows of a live run, served to browsers by HTTP.

The page, its rows (server-sent events) and its pictures (JPEG) are the only answers. Rows and pictures are
kept in bounded memory; a browser that is too slow misses some, and the prediction never waits.

An address of this machine only needs no token. Any other one has a random token in its URL. The Host header
must name the address that is served, so that a foreign page cannot reach it through a name of its own.
"""

from __future__ import annotations

import ipaddress
import json
import secrets
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from vacli.errors import OutputError
from vacli.output.live.broadcast import Broadcast
from vacli.output.live.page import live_page
from vacli.output.live.rows import PredictedRows

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
MAX_CLIENTS = 32  # open connections
SEND_TIMEOUT_S = 10.0  # of a browser that takes no data
EVENT_STEP_S = 0.1  # between two events: a screen needs no more
TOKEN = "token"
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class LivePageServer:
    """Serves the page of one run; an output of `va live`.

    port: 0 for any free port. source: the name that the page shows. Raises OutputError if the address cannot
    be used.
    """

    def __init__(self, host: str, port: int, source: str) -> None:
        host = host.lower()  # as browsers send it
        self.broadcast = Broadcast()
        self._access = Access(host, secrets.token_urlsafe(24) if not is_loopback(host) else None)
        try:
            self._server = _Server((host, port), self._access, self.broadcast, source)
        except (OSError, OverflowError) as error:
            raise OutputError(
                f"cannot serve at {host}:{port} ({getattr(error, 'strerror', None) or error})",
                hint="choose another port with --serve, or another address with --host",
            ) from None
        self._thread = threading.Thread(target=self._server.serve_forever, name="live-page", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The address of the page, with the token if it needs one."""
        host = self._access.host
        shown = socket.gethostname() if _is_any(host) else f"[{host}]" if ":" in host else host
        token = self._access.token
        return f"http://{shown}:{self._server.server_port}/" + (f"?{TOKEN}={token}" if token else "")

    def write(self, rows: PredictedRows) -> None:
        """Take the rows of a moment."""
        self.broadcast.put(rows)

    def close(self) -> None:
        """Send the end to all browsers and close the server."""
        self.broadcast.end()
        self._server.shutdown()
        self._server.server_close()


@dataclass(frozen=True)
class Access:
    """Which requests are answered. token: None if none is needed."""

    host: str
    token: str | None

    def refusal(self, headers: Mapping[str, str], query: str) -> str | None:
        """Why a request is refused, None if it is not."""
        if not self._is_own_name(_name_of(headers.get("Host", ""))):
            return "the name of this address is not the one that is served"
        if self.token is None:
            is_own = headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin")
            return None if is_own else "the request comes from another page"
        given = parse_qs(query).get(TOKEN, [""])[0]
        if not secrets.compare_digest(given.encode(), self.token.encode()):
            return "the token is missing or wrong: use the whole address that `va live` printed"
        return None

    def _is_own_name(self, name: str) -> bool:
        """Whether a name in a Host header is the served address; a page that rebinds a name has another."""
        if name == self.host or (is_loopback(self.host) and name in LOOPBACK_NAMES):
            return True
        if not _is_any(self.host):
            return False
        return _is_address(name) or name in (*LOOPBACK_NAMES, socket.gethostname().lower())


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _is_any(host: str) -> bool:
    """Whether an address stands for all addresses of this machine."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_unspecified
    return host == ""


def _is_address(name: str) -> bool:
    with suppress(ValueError):
        ipaddress.ip_address(name)
        return True
    return False


def _name_of(host_header: str) -> str:
    """The name in a Host header, without port and brackets."""
    with suppress(ValueError):
        return (urlsplit(f"//{host_header}").hostname or "").lower()
    return ""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], access: Access, broadcast: Broadcast, source: str) -> None:
        self.access, self.broadcast = access, broadcast
        self.page, self.policy = live_page(source)
        self._slots = threading.BoundedSemaphore(MAX_CLIENTS)
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, if there are not too many."""
        if self._slots.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that has gone is no error."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = SEND_TIMEOUT_S  # of the socket

    def do_GET(self) -> None:
        """Answer with the page, the rows, or a picture."""
        self.close_connection = True
        parts = urlsplit(self.path)
        refusal = self.server.access.refusal(self.headers, parts.query)  # type: ignore[arg-type]
        if refusal is not None:
            self._answer(403, "text/plain; charset=utf-8", f"refused: {refusal}\n".encode())
        elif parts.path == "/":
            self._answer(200, "text/html; charset=utf-8", self.server.page)
        elif parts.path == "/events":
            self._send_events()
        elif parts.path == "/frame.jpg":
            picture = self.server.broadcast.jpeg()
            self._answer(200 if picture else 204, "image/jpeg", picture)
        else:
            self._answer(404, "text/plain; charset=utf-8", b"not found\n")

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self._send_head(status, kind, {"Content-Length": str(len(body))})
        self.wfile.write(body)

    def _send_head(self, status: int, kind: str, more: Mapping[str, str]) -> None:
        self.send_response(status)
        own = {"Content-Type": kind, "Content-Security-Policy": self.server.policy, "Connection": "close"}
        for name, value in {**own, **HEADERS, **more}.items():
            self.send_header(name, value)
        self.end_headers()

    def _send_events(self) -> None:
        """Send the rows that are kept, then new ones, in events of EVENT_STEP_S."""
        self._send_head(200, "text/event-stream", {})
        after = 0
        while True:
            rows, after, is_ended = self.server.broadcast.rows_after(after, EVENT_STEP_S)
            if rows:
                self.wfile.write(b"data: " + json.dumps(rows).encode() + b"\n\n")
            if is_ended:
                self.wfile.write(b"event: end\ndata: {}\n\n")
                return
            if not rows:
                self.wfile.write(b": no new row\n\n")  # fails if the browser has gone
            self.wfile.flush()

    def version_string(self) -> str:
        """The name of the server, without versions of libraries."""
        return "va"

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002, the name of the base class
        """Requests are not shown: they contain the token."""
