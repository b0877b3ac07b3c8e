"""The listing of cameras and microphones, from listings of the platforms that are replaced."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace

import av
import pytest

from vacli.errors import InputError
from vacli.media import devices
from vacli.media.devices import Device, device_names, list_devices
from vacli.media.live_source import FFmpegInput
from vacli.media.stream_reader import opened


def info(name: str, description: str, *media_types: str) -> SimpleNamespace:
    return SimpleNamespace(name=name, description=description, media_types=list(media_types))


@pytest.fixture
def listed(monkeypatch):
    """Replace the platform and what PyAV lists on it."""

    def replace(platform: str, **found: list[SimpleNamespace]) -> None:
        def enumerate_devices(library: str) -> list[SimpleNamespace]:
            if library not in found:
                raise ValueError(f"no such input format: {library!r}")
            return found[library]

        monkeypatch.setattr(sys, "platform", platform)
        monkeypatch.setattr(devices, "enumerate_input_devices", enumerate_devices)

    return replace


def test_cameras_and_microphones_of_linux(listed, tmp_path, monkeypatch):
    for number, name in ((0, "Webcam"), (1, "Webcam"), (2, "Locked"), (10, "Capture card")):
        (tmp_path / f"video{number}").mkdir()
        (tmp_path / f"video{number}" / "name").write_text(f"{name}\n")
    monkeypatch.setattr(devices, "VIDEO4LINUX", tmp_path)
    monkeypatch.setattr(os, "access", lambda path, mode: path != "/dev/video2")
    captures = [info("/dev/video0", "x", "video"), info("/dev/video10", "x", "video")]
    sounds = [info("null", "Discard"), info("hw:CARD=PCH,DEV=0", "HDA Intel PCH\nDirect device")]
    listed("linux", v4l2=captures, alsa=sounds)
    assert list_devices() == [
        Device("camera", "/dev/video0", "Webcam"),  # video1 has metadata only
        Device("camera", "/dev/video2", "Locked, no permission"),
        Device("camera", "/dev/video10", "Capture card"),
        Device("microphone", "hw:CARD=PCH,DEV=0", "HDA Intel PCH Direct device"),
    ]
    assert device_names("microphone") == "there are: hw:CARD=PCH,DEV=0 (HDA Intel PCH Direct device)"


def test_cameras_and_microphones_of_macos(listed):
    found = [info("0", "Built-in Microphone", "audio"), info("0", "FaceTime HD", "video")]
    listed("darwin", avfoundation=found)
    assert list_devices() == [
        Device("camera", "0", "FaceTime HD"),
        Device("microphone", "0", "Built-in Microphone"),
    ]


def test_cameras_and_microphones_of_windows_are_named_by_their_description(listed):
    found = [info("@device_pnp_1", "Integrated Camera", "video"), info("@device_cm_2", "Mic", "audio")]
    listed("win32", dshow=found)
    assert [(one.kind, one.name) for one in list_devices()] == [
        ("camera", "Integrated Camera"),
        ("microphone", "Mic"),
    ]


def test_no_devices_are_listed_where_pyav_lacks_the_library(listed):
    listed("darwin")
    assert list_devices() == []
    assert device_names("camera") == "no camera was found"


@pytest.mark.skipif("alsa" not in av.formats_available, reason="PyAV has no ALSA here")
def test_alsa_reads_the_configuration_of_the_system(tmp_path, monkeypatch, capfd):
    (tmp_path / "alsa.conf").write_text("pcm.silence { type null }\nctl.silence { type null }\n")
    monkeypatch.setattr(devices, "ALSA_FOLDER", tmp_path)
    for name in devices.ALSA_VARIABLES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    devices.set_up_alsa()
    with opened(FFmpegInput("silence", "alsa", is_microphone=True), "silence", 5.0) as container:
        assert [stream.type for stream in container.streams] == ["audio"]
    monkeypatch.setenv(devices.ALSA_VARIABLES[0], "/own")
    devices.set_up_alsa()
    assert os.environ[devices.ALSA_VARIABLES[0]] == "/own"
    absent = FFmpegInput("absent", "alsa", is_microphone=True)
    with pytest.raises(InputError, match="no such microphone"), opened(absent, "absent", 5.0):
        pass
    assert capfd.readouterr().err == ""  # libasound writes no lines of its own
