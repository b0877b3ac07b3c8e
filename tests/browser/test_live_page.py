"""The page of a live run in a browser."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from synth.live_runs import rows_of
from synth.pages import Browser

from vacli.output.live.server import LivePageServer

ONE_S = range(25)


@pytest.fixture
def server() -> Iterator[LivePageServer]:
    made = LivePageServer("127.0.0.1", 0, "udp://camera:5000")
    yield made
    made.close()


@pytest.fixture
def page(driver, server) -> Iterator[Browser]:
    """The open page; at the end it has no error, and no request to another address."""
    browser = Browser(driver)
    browser.emulate(1200, 900)
    browser.prefer("light")
    browser.open(server.url, player=False)
    yield browser
    assert browser.errors() == []
    other = [url for url in browser.requests() if not url.startswith((server.url, "blob:", "data:"))]
    assert other == []
    browser.open("about:blank", player=False)  # ends the requests before the server


def put(
    server: LivePageServer, number: int, valence: float, rgb: np.ndarray | None = None, **values: object
) -> None:
    """Rows of a second with one valence, and arousal 0.5."""
    count = len(ONE_S)
    values = {"valence": [valence] * count, "arousal": [0.5] * count, **values}
    values |= {f"{name}_uncertainty": [0.2] * count for name in ("valence", "arousal")}
    box = {"face_x": [20.0], "face_y": [10.0], "face_w": [40.0], "face_h": [50.0]}
    values |= {name: x * count for name, x in box.items()}
    server.write(rows_of([25 * number + frame for frame in ONE_S], rgb, **values))


def test_values_curves_and_picture_follow_the_rows(page, server):
    rgb = np.full((90, 160, 3), (10, 200, 30), np.uint8)
    put(server, 0, -0.75, rgb)
    page.until(lambda: "\u22120.75 ± 0.20" in page.find("#values").text)
    assert page.find("#values").text.startswith("visual")
    page.until(lambda: not page.run("return document.getElementById('picture').hidden"))
    assert page.run("return document.getElementById('picture').naturalWidth") == 160
    page.until(lambda: page.coloured("boxes", "--face-0") > 50)
    before = page.until(lambda: page.coloured("curves", "--face-0"))
    assert page.coloured("plane", "--face-0") > 30
    for number in range(1, 20):
        put(server, number, 0.4, rgb)
    page.until(lambda: "+0.40 ± 0.20" in page.find("#values").text)
    page.until(lambda: page.coloured("curves", "--face-0") > 3 * before)
    page.until(lambda: page.find("#state").text == "0:19, latency 50 ms")


def test_flags_and_missing_values_are_shown(page, server):
    count = len(ONE_S)
    blank = {"arousal": [np.nan] * count, "modality": ["none"] * count}
    put(server, 0, np.nan, **blank, flag=["clock_jump+gap"] * count)
    page.until(lambda: "no face or speech" in page.find("#values").text)
    page.until(lambda: "clock jump, gap" in page.find("#state").text)
    assert page.coloured("curves", "--face-0") == 0


def test_name_of_the_source_and_the_end_are_shown(page, server):
    assert page.find("h1").text == "udp://camera:5000"
    assert page.find("#state").text == "Waiting for the first frame"
    put(server, 0, 0.1)
    page.until(lambda: "latency" in page.find("#state").text)
    server.broadcast.end()
    page.until(lambda: page.find("#state").text == "The run has ended")


@pytest.mark.parametrize("width_px", [1200, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits_its_window(page, server, width_px, scheme):
    page.emulate(width_px, 900)
    page.prefer(scheme)
    put(server, 0, 0.3, np.zeros((360, 640, 3), np.uint8))
    page.until(lambda: page.find("#values").text)
    assert page.run("return document.documentElement.scrollWidth <= window.innerWidth")


def test_page_without_its_token_is_refused(driver):
    server, browser = LivePageServer("0.0.0.0", 0, "camera"), Browser(driver)
    address, _, token = server.url.partition("?token=")
    port = address.rstrip("/").rpartition(":")[2]
    browser.open(f"http://127.0.0.1:{port}/?token={token[:-1]}", player=False)
    assert "refused" in browser.find("body").text
    browser.open(f"http://127.0.0.1:{port}/?token={token}", player=False)
    put(server, 0, 0.25)
    browser.until(lambda: "+0.25" in browser.find("#values").text)
    browser.open("about:blank", player=False)
    server.close()
    browser.errors()  # the refused page
