"""The HTML of pages; tests/browser shows that it works."""

from __future__ import annotations

import base64
import re
import tomllib
from pathlib import Path

import pytest
from synth.frame_tables import HOSTILE_NAMES, frame_table

from vacli.output import report
from vacli.output.report.card_text import Block
from vacli.output.report.page import (
    SCRIPTS,
    IndexRow,
    Limits,
    RecordingPage,
    clock,
    index_html,
    is_report,
    read_row,
    signed,
)
from vacli.output.report.playback import MediaFile
from vacli.output.report.shown_text import shown


def page(name: str = "a.mp4", media: MediaFile | None = None, embed: bool = False) -> RecordingPage:
    limits = Limits("From a card:", {"Limits": [Block("list", ("Not for `x`.",))]})
    return RecordingPage(name, [frame_table(name)], media, [("Rows", "by <me>")], limits, embed)


def test_page_names_no_other_host():
    html = page().html(Path())
    assert not re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//""", html)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)
    assert policy
    assert "default-src 'none'" in policy[1]
    assert "unsafe" not in policy[1]


def test_page_shows_limits_and_provenance_as_text():
    html = page().html(Path())
    assert "<li>Not for <code>x</code>.</li>" in html
    assert "<dt>Rows</dt><dd>by &lt;me&gt;</dd>" in html


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_index_row_is_read_from_a_page(tmp_path, name):
    path = tmp_path / "a.html"
    path.write_text(page(name).html(tmp_path), encoding="utf-8")
    assert read_row(path)["name"] == shown(name)
    assert is_report(path)


def test_only_pages_are_read(tmp_path):
    (tmp_path / "other.html").write_text("<!doctype html><title>va report</title>")
    assert not is_report(tmp_path / "other.html")
    with pytest.raises(ValueError, match="is not a page"):
        read_row(tmp_path / "other.html")


def test_media_are_linked_or_embedded(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"\x00\x01video")
    media = MediaFile(tmp_path / "a.mp4", "video", "h264")
    linked, embedded = (page(media=media, embed=embed).html(tmp_path / "r") for embed in (False, True))
    assert 'src="../a.mp4"' in linked
    content = re.search(r'id="content" data-type="video/mp4">([^<]+)<', embedded)
    assert content
    assert base64.b64decode(content[1]) == b"\x00\x01video"
    assert "../a.mp4" not in embedded


def test_unplayable_media_have_a_note_and_no_player(tmp_path):
    html = page(media=MediaFile(tmp_path / "a.mpg", "video", "mpeg1video"), embed=True).html(tmp_path)
    assert "Browsers do not play .mpg files." in html
    assert "<video" not in html


def test_package_carries_the_templates():
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    assert "output/report/templates/*" in project["tool"]["setuptools"]["package-data"]["vacli"]
    folder = Path(report.__file__).parent / "templates"
    assert {name for names in SCRIPTS.values() for name in names} <= {path.name for path in folder.iterdir()}


def test_equal_input_gives_equal_pages():
    assert page().html(Path()) == page().html(Path())


def test_index_names_folders_only_where_they_differ():
    def row(name: str) -> IndexRow:
        values = {"duration_s": 1.0, "faces": 1, "valence": None, "arousal": 0.5, "valid_fraction": 1.0}
        return IndexRow(f"{name[0]}.html", {"name": name, **values})

    assert "x/" in index_html([row("x/a.mp4"), row("y/b.mp4")], [])
    one = index_html([row("x/a.mp4"), row("x/b.mp4")], [("z.mp4", "z.mp4: broken")])
    assert "<bdi>x/</bdi>" not in one
    assert "<bdi>z.mp4</bdi>: broken" in one


@pytest.mark.parametrize(
    ("time_s", "text"),
    [(0.0, "0:00.0"), (59.96, "1:00.0"), (61.24, "1:01.2"), (3599.97, "1:00:00.0"), (36_000.0, "10:00:00.0")],
)
def test_times_are_minutes_and_seconds(time_s, text):
    assert clock(time_s) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.256, "+0.26"), (-0.2, "\u22120.20"), (-0.001, "+0.00"), (None, "\u2013")]
)
def test_values_have_a_sign(value, text):
    assert signed(value) == text
