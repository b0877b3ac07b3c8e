"""The index of a report in a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from synth.frame_tables import HOSTILE_NAMES
from synth.pages import Browser

from vacli.output.file_names import InputName, output_names
from vacli.output.report.page import IndexRow, index_html
from vacli.output.report.shown_text import shown

NAMES = ("videos/b.mp4", "videos/a.mp4", "videos/c10.mp4", "videos/c9.mp4")
VALENCES = (0.5, None, -0.25, 0.0)


def write_index(folder: Path, names: tuple[str, ...], failed: tuple[tuple[str, str], ...] = ()) -> str:
    pages = output_names([InputName(name, Path(name).stem) for name in names], reserved=["index"])
    rows = [
        IndexRow(
            f"{page}.html",
            {
                "name": shown(name),
                "duration_s": 10.0 * number,
                "faces": 1,
                "valence": VALENCES[number % 4],
                "arousal": 0.1,
                "valid_fraction": 0.5,
            },
        )
        for number, (name, page) in enumerate(zip(names, pages, strict=True))
    ]
    for row in rows:
        (folder / row.page).write_text("<!doctype html><title>target</title><link rel=icon href='data:,'>")
    (folder / "index.html").write_text(index_html(rows, failed))
    return (folder / "index.html").as_uri()


def order(browser: Browser) -> list[str]:
    return [link.text for link in browser.driver.find_elements("css selector", "tbody a")]


@pytest.mark.parametrize(
    ("key", "ascending"),
    [
        ("name", ["a.mp4", "b.mp4", "c9.mp4", "c10.mp4"]),
        ("duration_s", ["b.mp4", "a.mp4", "c10.mp4", "c9.mp4"]),
        ("valence", ["c10.mp4", "c9.mp4", "b.mp4", "a.mp4"]),
    ],
)
def test_buttons_sort_by_a_column(browser, tmp_path, key, ascending):
    browser.open(write_index(tmp_path, NAMES), player=False)
    button = browser.find(f"button[data-key='{key}']")
    button.click()
    assert order(browser) == ascending
    header = browser.find(f"th:has(button[data-key='{key}'])")
    assert header.get_attribute("aria-sort") == "ascending"
    button.click()
    assert header.get_attribute("aria-sort") == "descending"
    is_known = [name != "a.mp4" or key != "valence" for name in ascending]  # unknown values stay last
    known = [name for name, known in zip(ascending, is_known, strict=True) if known]
    assert order(browser) == known[::-1] + ascending[len(known) :]


def test_each_row_links_its_page(browser, tmp_path):
    url = write_index(tmp_path, HOSTILE_NAMES)
    for number, name in enumerate(HOSTILE_NAMES):
        browser.open(url, player=False)
        link = browser.driver.find_elements("css selector", "tbody a")[number]
        assert link.get_attribute("textContent") == Path(shown(name)).name
        link.click()
        assert browser.driver.title == "target"


def test_failed_inputs_are_listed_as_text(browser, tmp_path):
    failed = (("<b>x</b>.mp4", "<b>x</b>.mp4: cannot be read; check it"),)
    browser.open(write_index(tmp_path, NAMES, failed), player=False)
    assert browser.find(".failed").text == "<b>x</b>.mp4: cannot be read; check it"


def test_an_index_without_recordings_lists_the_failures(browser, tmp_path):
    browser.open(write_index(tmp_path, (), (("a.mp4", "broken"),)), player=False)
    assert browser.find("main").text == "Failed inputs\na.mp4: broken"


def test_phone_width_has_no_overflow(browser, tmp_path):
    browser.emulate(360, 740, mobile=True)
    browser.open(write_index(tmp_path, (*NAMES, f"videos/{'long' * 30}.mp4")), player=False)
    assert browser.overflow() == 0
