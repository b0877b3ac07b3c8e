"""Pages of reports in a browser, and short clips that every browser plays."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from synth.frame_tables import N_FRAMES, RATE_HZ, frame_table

from vacli.output.frame_table import FrameTable
from vacli.output.report.page import Limits, RecordingPage
from vacli.output.report.playback import MediaFile

SIZE_PX = (128, 96)
WAIT_S = 10.0


def write_clip(path: Path, start: int = 0) -> Path:
    """A WebM file of N_FRAMES frames at RATE_HZ; its first frame is number `start`."""
    with av.open(str(path), "w", format="webm") as container:
        stream = container.add_stream(
            "libvpx", rate=RATE_HZ, options={"deadline": "realtime", "cpu-used": "8"}
        )
        stream.width, stream.height = SIZE_PX
        stream.pix_fmt = "yuv420p"
        for number in range(N_FRAMES):
            grey = np.full((SIZE_PX[1], SIZE_PX[0], 3), 40 + number, np.uint8)
            frame = av.VideoFrame.from_ndarray(grey, "rgb24")
            frame.pts, frame.time_base = start + number, Fraction(1, RATE_HZ)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_page(
    folder: Path,
    media: Path | None,
    tables: Sequence[FrameTable] = (),
    embed: bool = False,
    **facts: Any,
) -> str:
    """Write the page of a recording into `folder`, and return its URL.

    facts: of the MediaFile. Without `media` the page has the name of the tables.
    """
    file = MediaFile(media, **{"kind": "video", "size_px": SIZE_PX, **facts}) if media else None
    tables = tables or [frame_table("clips/absent.mp4")]
    name = str(media) if media else tables[0].name
    page = RecordingPage(
        name=name,
        tables=tables,
        media=file,
        provenance=[("Rows", "made by a test")],
        limits=Limits("No card.", {}),
        embed=embed,
    )
    path = folder / "page.html"
    path.write_text(page.html(folder), encoding="utf-8")
    return path.as_uri()


class Browser:
    """A page in Chromium. Times are in seconds."""

    def __init__(self, driver: Any) -> None:
        self.driver, self.width_px = driver, 0
        self.errors()
        self.requests()

    def open(self, url: str, player: bool = True) -> None:
        """Open a page; with a player, wait until the recording can be played."""
        self.driver.get(url)
        if player:
            self.until(lambda: self.run("return document.getElementById('media').readyState >= 2"))

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page."""
        return self.driver.execute_script(script, *arguments)

    def until(self, condition: Callable[[], Any]) -> Any:
        """Wait for a condition. Raises AssertionError if it does not hold within WAIT_S."""
        end_s = time.monotonic() + WAIT_S
        while not (value := condition()):
            assert time.monotonic() < end_s, "the condition did not hold in time"
            time.sleep(0.05)
        return value

    def find(self, selector: str) -> Any:
        """The first element of a CSS selector."""
        return self.driver.find_element("css selector", selector)

    @property
    def cursor_s(self) -> float:
        """The time of the cursor that the slider reports."""
        return float(self.find("#timeline").get_attribute("aria-valuenow"))

    @property
    def player_s(self) -> float:
        """The time of the player."""
        return float(self.run("return document.getElementById('media').currentTime"))

    def point_of(self, time_s: float, end_s: float = N_FRAMES / RATE_HZ) -> tuple[int, int]:
        """A point of the timeline at a time, relative to its centre, in pixels."""
        self.run("document.getElementById('timeline').scrollIntoView({ block: 'center' })")
        size = self.find("#timeline").size
        return round(self.x_of(time_s, end_s) - size["width"] / 2), round(60 - size["height"] / 2)

    def x_of(self, time_s: float, end_s: float = N_FRAMES / RATE_HZ) -> int:
        """The column of a time in the timeline, in pixels."""
        left, right = 34, 8  # margins of the charts
        return round(left + time_s / end_s * (self.find("#timeline").size["width"] - left - right))

    def actions(self) -> Any:
        """A new chain of actions of the mouse and the keyboard."""
        from selenium.webdriver import ActionChains

        return ActionChains(self.driver, duration=20)

    def press(self, *keys: str) -> None:
        """Press keys one after the other in the focused element."""
        self.actions().send_keys(*keys).perform()

    def coloured(
        self, canvas: str, colour: str, columns: tuple[float, float] | None = None, tolerance: int = 6
    ) -> int:
        """The number of pixels of a canvas with about the colour of a CSS variable.

        columns: only those between two times on the axis of time. tolerance: of the sum over red, green and
        blue.
        """
        return self.run(
            """
            const pixels = (width, height, draw) => {
              const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
              draw(copy);
              return copy.getImageData(0, 0, width, height).data;
            };
            const style = getComputedStyle(document.documentElement);
            const wanted = pixels(1, 1, (context) => {
              context.fillStyle = style.getPropertyValue(arguments[1]).trim();
              context.fillRect(0, 0, 1, 1);
            });
            const canvas = document.getElementById(arguments[0]);
            const [left, right] = arguments[2] || [0, canvas.width];
            const draw = (context) => context.drawImage(canvas, -left, 0);
            const data = pixels(right - left, canvas.height, draw);
            let count = 0;
            for (let i = 0; i < data.length; i += 4) {
              const distance = Math.abs(data[i] - wanted[0]) + Math.abs(data[i + 1] - wanted[1])
                + Math.abs(data[i + 2] - wanted[2]);
              if (data[i + 3] > 250 && distance < arguments[3]) count++;
            }
            return count;
            """,
            canvas,
            colour,
            None if columns is None else [self.x_of(time_s) for time_s in columns],
            tolerance,
        )

    def emulate(self, width: int, height: int, mobile: bool = False) -> None:
        """Give the screen a size in CSS pixels."""
        self.width_px = width
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def prefer(self, scheme: str) -> None:
        """Set the preferred colour scheme."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def pdf(self) -> bytes:
        """The page as printed on its own paper size."""
        settings = {"printBackground": True, "preferCSSPageSize": True}
        return base64.b64decode(self.driver.execute_cdp_cmd("Page.printToPDF", settings)["data"])

    def overflow(self) -> int:
        """By how many pixels the page is wider than the emulated screen; a phone would zoom out."""
        return self.run("return document.documentElement.scrollWidth") - self.width_px

    def errors(self) -> list[str]:
        """Messages of the console since the last call; violations of the policy are among them."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """URLs that the pages have requested since the last call."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [m for m in messages if m["method"] == "Network.requestWillBeSent"]
        return [message["params"]["request"]["url"] for message in sent]
