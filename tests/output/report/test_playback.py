"""Which recordings browsers play, and their URLs."""

from __future__ import annotations

from pathlib import Path

import pytest

from vacli.output.report.playback import MediaFile, relative_url, unplayable_reason


@pytest.mark.parametrize(
    ("name", "codec", "reason"),
    [
        ("a.MP4", "h264", None),
        ("a.webm", "vp9", None),
        ("a.wav", None, None),
        ("a.mpg", "mpeg1video", "Browsers do not play .mpg files."),
        ("a.flv", "vp6f", "Browsers do not play .flv files."),
        ("a.mkv", "h264", "Browsers do not play .mkv files."),
        ("a.avi", "h264", "Browsers do not play .avi files."),
        ("a", "h264", "Browsers do not play such files."),
        ("a.mp4", "mpeg4", "Browsers do not play the video codec mpeg4."),
    ],
)
def test_unplayable_files_have_a_reason(name, codec, reason):
    assert unplayable_reason(MediaFile(Path(name), "video", codec)) == reason


@pytest.mark.parametrize(
    ("media", "folder", "url"),
    [
        ("clips/a.mp4", "report", "../clips/a.mp4"),
        ("report/a.mp4", "report", "a.mp4"),
        ("a b#c?%41.mp4", ".", "a%20b%23c%3F%2541.mp4"),
        ('"<x>\n\udce9.mp4', ".", "%22%3Cx%3E%0A%E9.mp4"),
    ],
)
def test_urls_are_relative_and_encoded(media, folder, url):
    assert relative_url(Path(media), Path(folder)) == url
