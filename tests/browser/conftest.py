"""A headless browser, and pages to open in it. Skips where Chromium or its driver is absent."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from synth.pages import Browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--headless=new",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--autoplay-policy=no-user-gesture-required",
    "--mute-audio",
    "--window-size=1200,900",
)


@pytest.fixture(scope="module")  # pages that stay open would take time from the tests of other modules
def driver() -> Iterator[object]:
    """A session of Chromium that records the console and the requests of its pages."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium (pip install '.[test]')")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver_path = shutil.which("chromedriver")
    if found is None or driver_path is None:
        pytest.skip("needs Chromium and its driver (apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = found
    for argument in (*ARGUMENTS, *(["--no-sandbox"] if os.geteuid() == 0 else [])):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    session = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver_path))
    session.set_script_timeout(20)
    yield session
    session.quit()


@pytest.fixture
def browser(driver) -> Iterator[Browser]:
    """The browser in a window of 1200 x 900; at the end no page has an error or an outside request."""
    browser = Browser(driver)
    browser.emulate(1200, 900)
    browser.prefer("light")
    yield browser
    assert browser.errors() == []
    assert [url for url in browser.requests() if not url.startswith(("file:", "data:", "blob:"))] == []


@pytest.fixture(scope="session")
def recordings(tmp_path_factory) -> Path:
    """A folder with recordings of 6 s that the pages link."""
    from synth.pages import write_clip

    folder = tmp_path_factory.mktemp("recordings")
    write_clip(folder / "clip.webm")
    return folder
