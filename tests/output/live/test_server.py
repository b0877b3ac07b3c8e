"""The server of the page: what it answers, whom it refuses, and that slow browsers delay nobody."""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import json
import re
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from synth.live_runs import rows_of

from vacli.errors import OutputError
from vacli.output.live.broadcast import KEPT_ROWS, WIDTH_PX
from vacli.output.live.server import MAX_CLIENTS, Access, LivePageServer


@pytest.fixture
def server() -> Iterator[LivePageServer]:
    made = LivePageServer("127.0.0.1", 0, "<camera> & co")
    yield made
    made.close()


def get(server: LivePageServer, path: str, **headers: str) -> http.client.HTTPResponse:
    """Ask for a path; headers: with _ in place of -."""
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(server.url).port, timeout=20)
    connection.request("GET", path, headers={name.replace("_", "-"): text for name, text in headers.items()})
    return connection.getresponse()


def events(answer: http.client.HTTPResponse) -> Iterator[list[dict]]:
    """The rows of each event."""
    for line in answer:
        if line.startswith(b"data: ["):
            yield json.loads(line[6:])


def test_page_allows_only_its_own_script_and_style(server):
    answer = get(server, "/")
    page, policy = answer.read().decode(), answer.headers["Content-Security-Policy"]
    for tag in ("script", "style"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "&lt;camera&gt; &amp; co" in page
    assert not re.findall(r"https?://", page)
    assert answer.headers["Server"] == "va"


def test_events_have_the_kept_rows_and_the_new_ones(server):
    server.write(rows_of([0, 1], valence=[0.5, float("nan")], flag=["", "gap"]))
    received = events(get(server, "/events"))
    first, second = next(received)
    assert (first["valence"], first["time_s"], first["flag"], first["latency_s"]) == (0.5, 0.0, "", 0.05)
    assert (second["valence"], second["flag"], second["basis"]) == (None, "gap", "visual")
    server.write(rows_of([2]))
    assert [row["time_s"] for row in next(received)] == [0.08]


def test_picture_is_the_last_one_reduced(server):
    assert get(server, "/frame.jpg").status == 204
    rgb = np.zeros((600, 1200, 3), np.uint8)
    rgb[..., 0] = 200
    server.write(rows_of([0], rgb))
    picture = Image.open(io.BytesIO(get(server, "/frame.jpg").read()))
    assert picture.size == (WIDTH_PX, WIDTH_PX // 2)
    assert np.allclose(np.asarray(picture).mean((0, 1)), [200, 0, 0], atol=4)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "192.168.0.1"]
)
def test_foreign_names_of_the_address_are_refused(server, host):
    assert get(server, "/", Host=host).status == 403


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "[::1]:8000", "LOCALHOST"])
def test_own_names_are_answered(server, host):
    assert get(server, "/", Host=host).status == 200


def test_requests_of_other_pages_are_refused(server):
    assert get(server, "/frame.jpg", Sec_Fetch_Site="cross-site").status == 403
    assert get(server, "/", Sec_Fetch_Site="same-origin").status == 200


def test_unknown_paths_and_methods_are_refused(server):
    assert get(server, "/../etc/passwd").status == 404
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(server.url).port, timeout=20)
    connection.request("POST", "/")
    assert connection.getresponse().status == 501


def test_other_addresses_need_the_token_of_the_url():
    server = LivePageServer("0.0.0.0", 0, "camera")
    token = server.url.partition("token=")[2]
    assert len(token) >= 32
    try:
        for path in ("/", "/events", "/frame.jpg"):
            for wrong in ("", "?token=", "?token=abc", f"?token={token}x", "?token=%ff"):
                assert get(server, path + wrong).status == 403
        assert get(server, f"/?token={token}").status == 200
        assert get(server, f"/?token={token}", Host="evil.example").status == 403
        assert get(server, f"/?token={token}", Host="10.0.0.7:8000").status == 200
        assert get(server, f"/?token={token}", Sec_Fetch_Site="cross-site").status == 200  # a link in a mail
    finally:
        server.close()
    assert token not in LivePageServer.__doc__


def test_a_host_in_capital_letters_is_that_of_its_url():
    server = LivePageServer("LOCALHOST", 0, "camera")
    try:
        assert get(server, "/", Host=urlsplit(server.url).netloc).status == 200
    finally:
        server.close()


def test_loopback_needs_no_token():
    assert Access("127.0.0.1", None).refusal({"Host": "127.0.0.1:8000"}, "") is None
    assert Access("::1", None).refusal({"Host": "[::1]:8000"}, "") is None


def test_browsers_that_read_nothing_hold_no_rows_back(server):
    stalled = [socket.create_connection(("127.0.0.1", urlsplit(server.url).port)) for _ in range(3)]
    for connection in stalled:
        connection.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    rgb = np.zeros((36, 64, 3), np.uint8)
    for first in range(0, 3 * KEPT_ROWS, 50):
        server.write(rows_of(list(range(first, first + 50)), rgb))
    rows = next(events(get(server, "/events")))
    assert len(rows) == KEPT_ROWS  # bounded, and the newest ones
    assert rows[-1]["time_s"] == (3 * KEPT_ROWS - 1) / 25
    for connection in stalled:
        connection.close()


def test_connections_are_bounded(server):
    port = urlsplit(server.url).port
    held = [socket.create_connection(("127.0.0.1", port)) for _ in range(MAX_CLIENTS + 4)]
    closed = 0
    for connection in held[MAX_CLIENTS:]:
        connection.settimeout(20)
        closed += connection.recv(1) == b""
    assert closed == 4
    for connection in held:
        connection.close()


def test_end_of_the_run_is_sent(server):
    answer = get(server, "/events")
    server.write(rows_of([0]))
    server.broadcast.end()
    assert b"event: end" in answer.read()


def test_port_that_is_used_is_an_output_error(server):
    with pytest.raises(OutputError, match="cannot serve") as error:
        LivePageServer("127.0.0.1", urlsplit(server.url).port, "camera")
    assert "choose another port" in error.value.one_line()
