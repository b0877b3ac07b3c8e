"""WebVTT and SubRip files, read again by webvtt-py and checked line by line."""

from __future__ import annotations

import re

import pytest
from synth.frame_tables import HOSTILE_NAMES, frame_table

from vacli.output.formats import TableOptions, write_file

CUES = [
    ("00:00:00", "00:00:02", "pleasant, excited"),
    ("00:00:02", "00:00:04", "unpleasant, excited"),
    ("00:00:05", "00:00:06", "unpleasant, excited"),
]
TIMES = re.compile(r"\d\d:\d\d:\d\d[.,]\d{3} --> \d\d:\d\d:\d\d[.,]\d{3}")


def expected(mark: str) -> list[tuple[str, str, str]]:
    table = frame_table()
    cues = []
    for (start, end, quadrant), rows in zip(
        CUES, (slice(0, 50), slice(50, 100), slice(125, 150)), strict=True
    ):
        valence, arousal = (table.columns[name][rows].mean() for name in ("valence", "arousal"))
        text = f"{quadrant} (valence {valence:.2f}, arousal {arousal:.2f})"
        cues.append((f"{start}{mark}000", f"{end}{mark}000", text))
    return cues


def test_webvtt(tmp_path):
    webvtt = pytest.importorskip("webvtt")
    write_file([frame_table()], tmp_path / "x.vtt", TableOptions())
    assert [(c.start, c.end, c.text) for c in webvtt.read(str(tmp_path / "x.vtt"))] == expected(".")
    assert (tmp_path / "x.vtt").read_text().startswith("WEBVTT\n\nNOTE ")


def test_subrip(tmp_path):
    webvtt = pytest.importorskip("webvtt")
    write_file([frame_table()], tmp_path / "x.srt", TableOptions())
    assert [(c.start, c.end, c.text) for c in webvtt.from_srt(str(tmp_path / "x.srt"))] == expected(".")
    blocks = (tmp_path / "x.srt").read_text().removesuffix("\n\n").split("\n\n")
    lines = [block.split("\n") for block in blocks]
    assert [number for number, _, _ in lines] == ["1", "2", "3"]
    assert [(*times.split(" --> "), text) for _, times, text in lines] == expected(",")


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_names_in_webvtt_stay_in_the_comment(name, tmp_path):
    write_file([frame_table(name)], tmp_path / "x.vtt", TableOptions())
    head, note, *cues = (tmp_path / "x.vtt").read_bytes().decode("utf-8").removesuffix("\n").split("\n\n")
    assert head == "WEBVTT"
    assert re.fullmatch("NOTE va [^\r\n]*", note)
    assert "-->" not in note
    assert [(*cue.split("\n")[0].split(" --> "), cue.split("\n")[1]) for cue in cues] == expected(".")
    assert all(TIMES.fullmatch(cue.split("\n")[0]) and cue.count("\n") == 1 for cue in cues)


@pytest.mark.parametrize("ending", [".vtt", ".srt"])
def test_cues_of_several_faces_are_in_order_of_time(ending, tmp_path):
    write_file([frame_table("a.mp4", 0), frame_table("a.mp4", 3)], tmp_path / f"x{ending}", TableOptions())
    text = (tmp_path / f"x{ending}").read_text()
    assert re.findall("face [03]", text) == ["face 0", "face 3"] * 3
    starts = re.findall(r"(\S+) -->", text)
    assert starts == sorted(starts)


def test_times_of_an_hour_and_more(tmp_path):
    table = frame_table()
    table.columns["time_s"][:] += 36_000.5
    write_file([table], tmp_path / "x.vtt", TableOptions())
    assert "\n10:00:00.500 --> 10:00:02.500\n" in (tmp_path / "x.vtt").read_text()
