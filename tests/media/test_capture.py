"""Streams over loopback, in real time, and files that are read forwards: frames and sound on one clock."""

from __future__ import annotations

import gc
import os
import socket
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
import pytest
from synth.clips import Clip, steady, write_clip
from synth.senders import (
    Part,
    delayed,
    http_sender,
    hurried,
    rtsp_sender,
    transport_stream,
    udp_sender,
    whole,
)

from vacli.errors import InputError
from vacli.media import capture as capture_module
from vacli.media import live_pictures
from vacli.media.audio_segments import RATE_HZ
from vacli.media.capture import Capture
from vacli.media.frame_buffer import START_FRAMES, CapturedFrame
from vacli.media.live_source import parse_source
from vacli.media.probe import probe
from vacli.media.stream_reader import CaptureSettings, StreamReader
from vacli.media.timeline import read_timeline

SECONDS, EVENTS = 1.4, (8, 28)
HURRY = 4.0  # of senders in tests that are not about time
TIMEOUT_S = 0.4
X264 = {"g": "10", "bf": "0", "tune": "zerolatency"}
SYNC_S = 0.02  # between a flash and its click


@dataclass
class Received:
    """All that a source gave."""

    reader: StreamReader
    frames: list[CapturedFrame] = field(default_factory=list)
    blocks: list[tuple[float, np.ndarray]] = field(default_factory=list)

    @property
    def times_s(self) -> list[float]:
        return [one.frame.time_s for one in self.frames]

    @property
    def flags(self) -> list[str]:
        return [word for one in self.frames for word in one.flags]

    @property
    def flashes_s(self) -> list[float]:
        return [
            one.frame.time_s
            for one in self.frames
            if one.frame.rgb is not None and one.frame.rgb.mean() > 200
        ]

    @property
    def clicks_s(self) -> list[float]:
        """The times of the peaks of the sound."""
        times_s = np.concatenate([start_s + np.arange(len(x)) / RATE_HZ for start_s, x in self.blocks])
        level = np.abs(np.concatenate([x for _, x in self.blocks]))
        loud_s = times_s[level > 0.4]
        return [float(part.mean()) for part in np.split(loud_s, np.flatnonzero(np.diff(loud_s) > 0.1) + 1)]


def receive(name: str, timeout_s: float | None = None, **settings: object) -> Received:
    """Read a source until it ends."""
    notes: list[str] = []
    with Capture(
        parse_source(name), CaptureSettings(timeout_s=timeout_s, **settings), notes.append
    ) as capture:
        received = Received(capture.reader)
        for captured in capture:
            received.blocks += [(block.start_s, block.samples) for block in captured.sound]
            received.frames += [captured.frame] if captured.frame else []
    assert notes == []
    assert received.times_s == sorted(set(received.times_s))
    return received


def clip_of(folder: Path, name: str = "clip.mp4", **changes: object) -> Path:
    """A clip whose picture flashes and whose sound clicks at EVENTS."""
    facts = {
        "times_s": steady(25, SECONDS),
        "events": EVENTS,
        "sound_spans": ((0.0, SECONDS),),
        "options": X264,
    }
    return write_clip(folder / name, Clip(**{**facts, **changes}))


@pytest.fixture(scope="module")
def stream(tmp_path_factory) -> list[Part]:
    return transport_stream(clip_of(tmp_path_factory.mktemp("clip")))


@pytest.fixture(scope="module")
def file_times_s(stream, tmp_path_factory) -> np.ndarray:
    """The times of the frames of the stream as a file."""
    path = tmp_path_factory.mktemp("stream") / "clip.ts"
    path.write_bytes(whole(stream))
    return read_timeline(probe(path)).times_s


@pytest.mark.parametrize("sender", [http_sender, udp_sender])
def test_frames_and_sound_of_a_stream_have_the_times_of_the_file(sender, stream, file_times_s):
    with sender(stream) as url:
        received = receive(url, timeout_s=TIMEOUT_S if sender is udp_sender else None, drop="none")
    np.testing.assert_allclose(received.times_s, file_times_s, atol=1e-9)
    assert [one.frame.index for one in received.frames] == list(range(len(received.frames)))
    assert all(one.frame.rgb.shape == (48, 64, 3) for one in received.frames)
    assert len(received.flashes_s) == len(received.clicks_s) == len(EVENTS)
    np.testing.assert_allclose(received.clicks_s, received.flashes_s, atol=SYNC_S)
    assert received.flags == []
    if sender is udp_sender:
        assert received.reader.end_reason == "nothing arrived for 0.4 s"


def test_frames_of_rtsp_have_the_steps_of_the_file(stream, file_times_s):
    with rtsp_sender(hurried(stream, HURRY)) as url:
        received = receive(url, timeout_s=5.0, drop="none")
    times_s = np.array(received.times_s)
    count = len(times_s)
    assert count >= len(file_times_s) - 1
    np.testing.assert_allclose(times_s - times_s[0], file_times_s[:count] - file_times_s[0], atol=1e-3)
    np.testing.assert_allclose(received.clicks_s, received.flashes_s, atol=SYNC_S)


def test_flags_of_dropped_frames_are_kept(tmp_path):
    times_s = (*steady(25, 0.16), *steady(25, 1.4, 2.0))
    path = clip_of(tmp_path, "clip.ts", times_s=times_s, events=(), sound_spans=())
    for drop in ("newest", "oldest"):
        with Capture(parse_source(str(path)), CaptureSettings(drop=drop), print) as capture:
            while not capture.buffer.is_ended:
                time.sleep(0.05)
            flags = [word for captured in capture for word in captured.frame.flags]
        assert flags == ["gap"]


@pytest.mark.parametrize(("loss", "seed"), [(0.01, 1), (0.1, 1)])
def test_lost_packets_leave_damaged_frames_and_no_error(loss, seed, stream, file_times_s):
    with udp_sender(hurried(stream, HURRY), loss, seed) as url:
        received = receive(url, timeout_s=TIMEOUT_S, drop="none")
    damaged = [one for one in received.frames if one.frame.rgb is None]
    assert len(damaged) + len(file_times_s) - len(received.frames) > 0
    assert len(damaged) < len(received.frames)
    assert set(received.flags) <= {"gap", "no_sound", "resized"}


def test_sender_that_stops_and_starts_anew_leaves_a_gap_of_its_length(stream, monkeypatch):
    monkeypatch.setattr(live_pictures, "GAP_S", 0.5)
    pause_s = 1.2
    with http_sender([*stream, *delayed(stream, SECONDS + pause_s)]) as url:
        received = receive(url, drop="none")
    assert received.reader.n_jumps == 1
    flagged = [at for at, one in enumerate(received.frames) if {"gap", "clock_jump"} <= set(one.flags)]
    assert len(flagged) == 1
    gap_s = received.times_s[flagged[0]] - received.times_s[flagged[0] - 1]
    assert pause_s - 0.5 < gap_s  # the last packets before it may be late; so may the sender
    assert len(received.flashes_s) == 2 * len(EVENTS)
    np.testing.assert_allclose(received.clicks_s, received.flashes_s, atol=SYNC_S)


def test_clock_jump_of_a_pipe_is_removed(stream, tmp_path):
    path = tmp_path / "joined.ts"
    path.write_bytes(whole(stream) + whole(stream))
    received = receive(str(path))
    assert received.flags.count("clock_jump") == 1
    assert max(np.diff(received.times_s)) < 0.2
    assert len(received.frames) == 2 * round(SECONDS * 25)


def test_other_size_of_the_picture_is_flagged(stream, tmp_path):
    other = transport_stream(clip_of(tmp_path, size_px=(96, 64)))
    path = tmp_path / "joined.ts"
    path.write_bytes(whole(stream) + whole(other))
    received = receive(str(path))
    sizes = [one.frame.rgb.shape[:2] for one in received.frames if one.frame.rgb is not None]
    assert list(dict.fromkeys(sizes)) == [(48, 64), (64, 96)]
    assert received.flags.count("resized") == 1


def test_missing_sound_is_flagged_and_leaves_a_hole(tmp_path):
    path = clip_of(
        tmp_path, "clip.ts", times_s=steady(25, 14), events=(10, 325), sound_spans=((0.0, 1.5), (12.0, 14.0))
    )
    received = receive(str(path))
    silent_s = [one.frame.time_s for one in received.frames if "no_sound" in one.flags]
    start_s = received.times_s[0]
    assert 2.3 < min(silent_s) - start_s < 3.2
    assert 11.5 < max(silent_s) - start_s < 13
    ends_s = [start_s + len(samples) / RATE_HZ for start_s, samples in received.blocks]
    holes_s = [
        start - end for end, (start, _) in zip(ends_s, received.blocks[1:], strict=False) if start - end > 1
    ]
    assert [pytest.approx(10.5, abs=0.1)] == holes_s
    np.testing.assert_allclose(received.clicks_s, received.flashes_s, atol=SYNC_S)


def test_source_without_pictures_has_rows_of_its_sound(tmp_path):
    received = receive(str(clip_of(tmp_path, "sound.ts", times_s=(), events=())))
    assert len(received.frames) == pytest.approx(25 * SECONDS, abs=3)
    np.testing.assert_allclose(np.diff(received.times_s), 0.04)
    assert all(one.frame.rgb is None for one in received.frames)


@pytest.mark.parametrize(("name", "suffix"), [("clip.ts", ".ts"), ("clip.mkv", ".mkv")])
def test_recorded_media_have_the_times_of_the_frames(name, suffix, tmp_path):
    path = clip_of(tmp_path, name)
    received = receive(str(path), record=tmp_path / "copy")
    assert received.reader.recording == tmp_path / f"copy{suffix}"
    recorded = probe(received.reader.recording)
    np.testing.assert_allclose(read_timeline(recorded).times_s, received.times_s, atol=1.1e-3)
    assert recorded.audio is not None


def test_frames_are_dropped_by_policy_and_counted(tmp_path):
    path = clip_of(tmp_path, "clip.ts")
    for drop, first in (("newest", list(range(START_FRAMES))), ("oldest", None)):
        with Capture(parse_source(str(path)), CaptureSettings(drop=drop), print) as capture:
            while not capture.buffer.is_ended:
                time.sleep(0.05)
            frames = [captured.frame.frame.index for captured in capture if captured.frame]
        count = round(SECONDS * 25)
        assert frames == (first or list(range(count - START_FRAMES, count)))
        assert capture.buffer.n_dropped == count - START_FRAMES


def test_unreadable_sources_are_input_errors(tmp_path):
    path = tmp_path / "noise.ts"
    path.write_bytes(bytes(1000))
    with pytest.raises(InputError, match=r"noise\.ts"):
        receive(str(path))
    with pytest.raises(InputError, match="connection is refused"):
        receive("http://127.0.0.1:9/none")


def test_silent_sources_are_input_errors(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(InputError, match=r"no data arrived for 0\.1 s"):
        receive(f"udp://127.0.0.1:{port}", timeout_s=0.1)
    os.mkfifo(tmp_path / "pipe")
    with os.fdopen(os.open(tmp_path / "pipe", os.O_RDWR), "wb"), pytest.raises(InputError, match="no data"):
        receive(str(tmp_path / "pipe"), timeout_s=0.1)


def test_pipe_that_becomes_silent_ends_at_the_timeout(stream, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with os.fdopen(os.open(tmp_path / "pipe", os.O_RDWR), "wb", buffering=0) as pipe:
        writer = threading.Thread(target=pipe.write, args=(whole(stream),), daemon=True)
        writer.start()
        received = receive(str(tmp_path / "pipe"), timeout_s=2.0)
        writer.join()
    assert received.reader.end_reason == "nothing arrived for 2 s"
    assert len(received.frames) > 20


def test_silence_is_a_warning_without_a_timeout(tmp_path, monkeypatch):
    monkeypatch.setattr(capture_module, "SILENT_S", 0.1)
    os.mkfifo(tmp_path / "pipe")
    notes: list[str] = []
    pipe = os.open(tmp_path / "pipe", os.O_RDWR)
    with Capture(parse_source(str(tmp_path / "pipe")), CaptureSettings(), notes.append) as capture:
        opened = threading.Thread(target=capture.wait_open)
        opened.start()
        opened.join(1.0)
        assert len(notes) == 1
        assert "no data arrived for 0.1 s" in notes[0]
        os.close(pipe)
        opened.join()


def test_frames_that_arrive_while_a_stream_is_opened_are_kept(stream):
    """A reader that is as fast as the stream gets all of them, with the default policy for addresses."""
    with http_sender(hurried(stream, 1.5)) as url:
        received = receive(url)
    assert received.frames[0].frame.index == 0
    assert received.flags == []
    assert [one.frame.index for one in received.frames] == list(range(len(received.frames)))


def test_reader_that_leaves_ends_the_capture(stream):
    with http_sender(stream) as url, Capture(parse_source(url), CaptureSettings(), print) as capture:
        assert any(captured.frame for captured in capture)
    count = len(list(capture))
    assert count <= len(stream)  # nothing is read after the end


def test_pictures_leave_no_reference_cycles(tmp_path):
    """Their memory would otherwise grow until the next full collection, by a gigabyte in a minute."""
    gc.collect()
    gc.disable()
    try:
        received = receive(str(clip_of(tmp_path)))
        assert len(received.frames) > 30
        del received
        assert sum(type(one) is av.VideoFrame for one in gc.get_objects()) < 5
    finally:
        gc.enable()
