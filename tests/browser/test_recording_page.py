"""The page of a recording in a browser."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from synth.frame_tables import HOSTILE_NAMES, RATE_HZ, frame_table
from synth.pages import Browser, write_clip, write_page

from vacli.datasets.audio_augmentation import write_wav
from vacli.output.frame_table import FrameTable
from vacli.output.report.packing import BOX
from vacli.output.report.shown_text import shown

FRAME_S = 1 / RATE_HZ
N_SCRIPTS = 3  # index row, data and the script of the page


@pytest.fixture
def page(browser, recordings, tmp_path) -> Browser:
    """The page of the clip with one face."""
    browser.open(write_page(tmp_path, recordings / "clip.webm"))
    return browser


@pytest.fixture
def pair(browser, recordings, tmp_path) -> Browser:
    """The page of the clip with two faces."""
    tables = [frame_table(face_id=number, seed=number) for number in (1, 0)]
    for table in tables:
        box = (30 + 50 * table.columns["face_id"][0], 20, 30, 40)
        table.columns.update({name: np.full(len(table), px) for name, px in zip(BOX, box, strict=True)})
    browser.open(write_page(tmp_path, recordings / "clip.webm", tables))
    return browser


def test_cursor_follows_playback(page):
    page.press(" ")
    page.until(lambda: page.player_s > 1)
    page.press(" ")
    assert page.run("return document.getElementById('media').paused")
    page.until(lambda: abs(page.cursor_s - page.player_s) < 0.002)
    assert page.cursor_s > 1
    assert page.find("#clock").text == f"0:{page.cursor_s:04.1f}"


def test_moving_point_is_at_the_values_of_the_cursor(page):
    before = page.coloured("plane-cursor", "--face-0")
    page.run("document.getElementById('media').currentTime = 4.5")
    page.until(lambda: page.cursor_s > 4)
    assert before > 50
    assert page.coloured("plane-cursor", "--face-0") < before  # no prediction: a trail and no point
    assert page.find("#readout tbody").text.startswith("no prediction")


def test_click_seeks(page):
    timeline = page.find("#timeline")
    page.actions().move_to_element_with_offset(timeline, *page.point_of(3.0)).click().perform()
    page.until(lambda: abs(page.player_s - 3.0) < 0.02)
    assert page.cursor_s == pytest.approx(page.player_s, abs=0.002)


def test_drag_seeks(page):
    page.run(
        "window.times = []; const m = document.getElementById('media');"
        "m.addEventListener('seeked', () => window.times.push(m.currentTime))"
    )
    timeline, places = page.find("#timeline"), [page.point_of(time_s) for time_s in (1.0, 3.0, 5.0, 4.0)]
    (x0, y), *xs = places[0], *(x for x, _ in places[1:])
    drag = page.actions().move_to_element_with_offset(timeline, x0, y).click_and_hold().pause(0.3)
    drag.move_by_offset(xs[0] - x0, 30).pause(0.3).move_by_offset(xs[1] - xs[0], 0).pause(0.3).release()
    drag.move_by_offset(xs[2] - xs[1], 0).perform()  # after the release
    page.until(lambda: page.player_s == pytest.approx(5.0, abs=0.02))
    assert [min(abs(t - at_s) for t in page.run("return times")) < 0.02 for at_s in (1.0, 3.0)] == [True] * 2
    assert page.cursor_s == pytest.approx(5.0, abs=0.02)


@pytest.mark.parametrize(
    ("keys", "expected_s"),
    [
        (["\ue014"], 1.0),  # arrow right
        (["\ue014", "\ue014", "\ue012"], 1.0),  # and left
        (["\ue014", "."], 1.0 + FRAME_S),
        (["\ue014", ",", ","], 1.0 - 2 * FRAME_S),
        (["\ue012"], 0.0),
    ],
)
def test_keys_move_the_cursor(page, keys, expected_s):
    for key in keys:
        page.press(key)
    page.until(lambda: page.cursor_s == pytest.approx(expected_s, abs=2e-3))
    assert page.player_s == pytest.approx(expected_s, abs=2e-3)


def test_home_end_and_page_keys_work_in_the_focused_timeline(page):
    page.run("document.getElementById('timeline').focus()")
    page.press("\ue010")  # end
    page.until(lambda: page.cursor_s == 6.0)
    page.press("\ue00e")  # page up
    page.until(lambda: page.cursor_s < 2e-3)
    page.press("\ue00f")  # page down
    page.until(lambda: page.cursor_s == 6.0)
    page.press("\ue011")  # home
    page.until(lambda: page.cursor_s < 2e-3)


def test_a_step_of_a_frame_shows_that_frame(page):
    """The player is a little past the time of the frame, so that rounding does not show the one before."""
    for number in range(1, 8):
        page.press(".")
        page.until(lambda number=number: page.cursor_s == pytest.approx(number * FRAME_S, abs=2e-3))
        assert page.player_s > number * FRAME_S


def test_tab_order_reaches_all_controls_with_a_visible_focus(page):
    order = []
    for _ in range(12):
        page.press("\ue004")  # tab
        order.append(
            page.run(
                "const e = document.activeElement; const s = getComputedStyle(e);"
                "return [e.id || e.textContent.trim().slice(0, 14), s.outlineStyle, s.outlineWidth]"
            )
        )
    names = [name for name, _, _ in order]
    assert names.index("All recordings") < names.index("media") < names.index("zoom-in")
    assert names.index("zoom-in") < names.index("timeline")
    assert [(style, width) for name, style, width in order if name == "timeline"] == [("solid", "3px")]


def test_space_on_a_button_presses_the_button_only(page):
    page.run("document.getElementById('zoom-in').focus()")
    page.press(" ")
    assert page.run("return document.getElementById('media').paused")
    assert page.find("#zoom-all").is_enabled()


def test_slider_describes_the_values_at_the_cursor(page):
    timeline = page.find("#timeline")
    assert timeline.aria_role == "slider"
    assert timeline.accessible_name == "Time"
    page.run("document.getElementById('media').currentTime = 1")
    page.until(lambda: page.cursor_s == pytest.approx(1, abs=2e-3))
    row = frame_table().columns
    expected = (
        f"0:01.0; valence +{row['valence'][25]:.2f} ± {row['valence_uncertainty'][25]:.2f}, arousal +0.30"
    )
    assert timeline.get_attribute("aria-valuetext") == f"{expected}, audiovisual"
    assert [timeline.get_attribute(f"aria-value{name}") for name in ("min", "max")] == ["0", "6.000"]


def test_a_clear_moment_seeks(page):
    button = page.find(".moments button")
    page.run("arguments[0].click()", button)
    page.until(lambda: page.cursor_s == pytest.approx(float(button.get_attribute("data-seek")), abs=2e-3))
    assert page.player_s == pytest.approx(page.cursor_s, abs=2e-3)


def test_zoom_narrows_the_view_and_the_view_follows_the_cursor(page):
    page.press("+")
    timeline = page.find("#timeline")
    page.actions().move_to_element_with_offset(timeline, *page.point_of(3.0)).click().perform()
    page.until(lambda: abs(page.player_s - 1.5) < 0.02)  # half of the width is half of 3 s
    before = page.coloured("curves", "--face-0")
    page.run("document.getElementById('media').currentTime = 5.5")
    page.until(lambda: page.cursor_s > 5)
    assert page.coloured("curves", "--face-0") != before
    assert page.coloured("cursor", "--cursor") > 100


def test_an_hour_of_rows_is_shown(browser, tmp_path):
    parts = [frame_table(seed=seed).columns for seed in range(600)]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    columns["time_s"] = np.arange(len(columns["valence"])) / RATE_HZ
    browser.open(write_page(tmp_path, None, [FrameTable("hour.mp4", columns)]), player=False)
    assert browser.coloured("curves", "--face-0") > 1000
    browser.run("document.getElementById('timeline').focus()")
    browser.press("\ue010")  # end
    browser.until(lambda: browser.cursor_s == 3600.0)
    assert browser.find("#clock").text == "1:00:00.0"


def test_rows_without_prediction_interrupt_the_curves(page):
    """The table has no prediction from 4 to 5 s: no pixel of the curves is there."""
    assert page.coloured("curves", "--shade-none") > 1000
    assert page.coloured("curves", "--face-0", columns=(4.1, 4.9), tolerance=150) == 0
    assert page.coloured("curves", "--face-0", columns=(3.1, 3.9)) > 100
    assert page.find("#legend").text.split("\n") == ["audiovisual", "visual", "none"]


def test_faces_have_colours_and_can_be_hidden(pair):
    assert [
        line.text.split()[:2] for line in pair.driver.find_elements("css selector", "#readout tbody tr")
    ] == [
        ["face", "0"],
        ["face", "1"],
    ]
    both = [pair.coloured("curves", f"--face-{number}") for number in (0, 1)]
    assert min(both) > 300
    buttons = pair.driver.find_elements("css selector", ".toggle")
    buttons[1].click()
    assert buttons[1].get_attribute("aria-pressed") == "false"
    assert pair.coloured("curves", "--face-1") < both[1] / 3
    assert pair.coloured("curves", "--face-0") > 300
    assert pair.find("#readout tbody").text.startswith("face 0")
    assert "face 1" not in pair.find("#readout tbody").text
    buttons[1].click()
    assert pair.coloured("curves", "--face-1") == both[1]


def test_boxes_of_faces_are_drawn_on_the_picture(pair):
    pair.until(lambda: pair.coloured("boxes", "--face-0") > 20)
    assert pair.coloured("boxes", "--face-1") > 20


def test_without_the_recording_the_cursor_can_be_dragged(browser, tmp_path):
    browser.open(write_page(tmp_path, None), player=False)
    assert browser.driver.find_elements("css selector", "video, audio") == []
    assert "recording was not found" in browser.find("#media-note").text
    timeline, (x, y) = browser.find("#timeline"), browser.point_of(1.0)
    drag = browser.actions().move_to_element_with_offset(timeline, x, y).click_and_hold()
    drag.move_by_offset(browser.point_of(2.0)[0] - x, 0).release().perform()
    browser.until(lambda: browser.cursor_s == pytest.approx(2.0, abs=0.02))
    browser.press(" ", "\ue014")
    browser.until(lambda: browser.cursor_s == pytest.approx(3.0, abs=0.02))


def test_a_recording_that_does_not_play_leaves_the_curves(browser, tmp_path):
    (tmp_path / "damaged.webm").write_bytes(b"no video")
    browser.open(write_page(tmp_path, tmp_path / "damaged.webm"), player=False)
    browser.until(lambda: "cannot be played" in browser.find("#media-note").text)
    assert not browser.find("#media").is_displayed()
    browser.press("\ue014")
    browser.until(lambda: browser.cursor_s == 1.0)


def test_a_sound_file_has_an_audio_player(browser, tmp_path):
    write_wav(tmp_path / "voice.wav", np.zeros(6 * 16_000, np.float32))
    browser.open(write_page(tmp_path, tmp_path / "voice.wav", kind="audio", size_px=None))
    assert browser.find("#media").tag_name == "audio"
    browser.press("\ue014")
    browser.until(lambda: browser.player_s == pytest.approx(1.0, abs=2e-3))


def test_an_embedded_recording_plays_without_its_file(browser, recordings, tmp_path):
    copy = shutil.copy(recordings / "clip.webm", tmp_path / "copy.webm")
    url = write_page(tmp_path, Path(copy), embed=True)
    Path(copy).unlink()
    browser.open(url)
    browser.press("\ue014")
    browser.until(lambda: browser.player_s == pytest.approx(1.0, abs=2e-3))
    assert browser.run("return document.getElementById('media').src").startswith("blob:")


def test_a_clip_that_starts_late_keeps_its_clock(browser, tmp_path):
    write_clip(tmp_path / "late.webm", start=50)
    table = frame_table()
    table.columns["time_s"] += 2.0
    browser.open(write_page(tmp_path, tmp_path / "late.webm", [table], start_s=2.0))
    browser.until(lambda: browser.cursor_s == pytest.approx(2.0, abs=0.01))
    browser.press("\ue014")
    browser.until(lambda: browser.cursor_s == pytest.approx(3.0, abs=0.02))
    assert f"+{table.columns['valence'][25]:.2f} ± " in browser.find("#readout tbody").text


def test_hostile_names_are_text(browser, tmp_path):
    for name in HOSTILE_NAMES:
        browser.open(write_page(tmp_path, None, [frame_table(name)]), player=False)
        assert browser.find("h1").get_attribute("textContent") == Path(shown(name)).name
        assert browser.run("return document.scripts.length") == N_SCRIPTS


def test_a_hostile_file_name_is_linked_and_shown(browser, recordings, tmp_path):
    name = "<script>alert(1)<%2Fscript> \"a\"&'b' #1?x=%41\n\udce9.webm"
    shutil.copy(recordings / "clip.webm", tmp_path / name)
    browser.open(write_page(tmp_path, tmp_path / name))
    assert browser.find("h1").get_attribute("textContent") == shown(name)
    assert browser.run("return document.scripts.length") == N_SCRIPTS


def test_phone_width_has_no_overflow(browser, recordings, tmp_path):
    tables = [frame_table(face_id=number, seed=number) for number in range(7)]
    long_name = recordings / f"{'long' * 20}.webm"
    shutil.copy(recordings / "clip.webm", long_name)
    browser.emulate(360, 740, mobile=True)
    browser.open(write_page(tmp_path, long_name, tables))
    assert browser.overflow() == 0


def test_dark_scheme_changes_colours(page):
    def colours() -> list[str]:
        return [page.run("return getComputedStyle(document.documentElement).backgroundColor")]

    light, curve = colours(), page.coloured("curves", "--face-0")
    page.prefer("dark")
    page.until(lambda: colours() != light)
    assert colours() == ["rgb(21, 24, 27)"]
    page.until(lambda: page.coloured("curves", "--face-0") > curve / 2)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_print_gives_one_or_two_pages_with_the_curves(pair, scheme):
    pdfium = pytest.importorskip("pypdfium2", reason="needs pypdfium2 (pip install '.[test]')")
    pair.prefer(scheme)
    document = pdfium.PdfDocument(pair.pdf())
    assert 1 <= len(document) <= 2
    picture = document[0].render(scale=1).to_numpy().astype(int)[..., :3]
    document.close()
    blue_green_red = [(178, 114, 0), (0, 94, 213)]  # --face-0 and --face-1 of light pages
    counts = [int((abs(picture - colour).sum(axis=2) < 60).sum()) for colour in blue_green_red]
    assert min(counts) > 400
    assert picture[:5].min() == 255
    assert not pair.run("return document.documentElement.classList.contains('printing')")
