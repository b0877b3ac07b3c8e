"""The names of live sources."""

from __future__ import annotations

import os
import sys

import pytest

from vacli.errors import UsageError
from vacli.media.live_source import FFmpegInput, parse_source


def test_camera_numbers_and_paths_are_devices_with_the_default_microphone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("1", "/dev/video1"):
        source = parse_source(name)
        assert (source.main.url, source.main.format) == ("/dev/video1", "v4l2")
        assert source.microphone == FFmpegInput("default", "alsa", is_microphone=True)
        assert source.fallback == FFmpegInput("sysdefault", "alsa", is_microphone=True)
        assert source.microphone_is_default
        assert (source.is_realtime, source.default_drop, source.with_sound) == (True, "oldest", False)
    chosen = parse_source("0", audio="hw:1")
    assert (chosen.microphone.url, chosen.fallback) == ("hw:1", None)
    assert parse_source("0", audio="none").microphone is None
    assert parse_source("0", audio="none").fallback is None
    assert parse_source("0", options={"video_size": "640x360"}).main.options["video_size"] == "640x360"


def test_cameras_of_other_platforms(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert parse_source("0").main.url == "0:none"
    assert parse_source("0", "Built-in").microphone.url == "none:Built-in"
    assert parse_source("FaceTime", demuxer="avfoundation").main.url == "FaceTime:none"
    monkeypatch.setattr(sys, "platform", "win32")
    source = parse_source("Camera", audio="Mic", demuxer="dshow")
    assert (source.main.url, source.microphone.url) == ("video=Camera", "audio=Mic")
    assert parse_source("Camera", demuxer="dshow").microphone is None
    with pytest.raises(UsageError, match="no numbers"):
        parse_source("0")


@pytest.mark.parametrize("url", ["rtsp://h/1", "http://h/a.ts", "udp://0.0.0.0:5000", "srt://h:1"])
def test_addresses_are_in_real_time(url):
    source = parse_source(url)
    assert source.main.url == url
    assert (source.is_realtime, source.default_drop, source.with_sound) == (True, "oldest", True)


def test_pipes_and_stdin_make_the_sender_wait(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    source = parse_source(str(tmp_path / "pipe"))
    assert (source.main.url, source.default_drop) == (f"file:{tmp_path / 'pipe'}", "none")
    assert parse_source("-").main.url == "pipe:0"
    assert parse_source("-", demuxer="rawvideo", options={"video_size": "8x8"}).main.format == "rawvideo"
    assert not parse_source("-", audio="none").with_sound


@pytest.mark.parametrize(
    ("name", "audio", "message"),
    [
        ("absent.mp4", None, "no camera, address or file"),
        ("ftp://h/a", None, "unknown scheme ftp"),
        (".", None, "is a folder"),
        ("udp://h:1", "hw:1", "is no camera"),
    ],
)
def test_other_names_are_usage_errors(name, audio, message):
    with pytest.raises(UsageError, match=message):
        parse_source(name, audio)


@pytest.mark.parametrize(
    ("name", "audio", "message"),
    [("0", None, "a camera has no audio tracks"), ("-", "none", "reads no sound")],
)
def test_an_audio_track_without_a_stream_of_sound_is_a_usage_error(name, audio, message):
    with pytest.raises(UsageError, match=message):
        parse_source(name, audio, audio_track=2)
