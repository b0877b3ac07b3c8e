"""The buffer between reading and prediction never grows."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from vacli.media import frame_buffer
from vacli.media.audio_segments import RATE_HZ
from vacli.media.frame_buffer import MAX_SOUND_S, START_FRAMES, CapturedFrame, FrameBuffer
from vacli.media.live_input import LiveFrame, SoundBlock


@pytest.fixture(autouse=True)
def started(monkeypatch) -> None:
    """Buffers have no start in which more frames may wait."""
    monkeypatch.setattr(frame_buffer, "START_S", -1.0)


def frame(index: int, rgb: np.ndarray | None = None) -> CapturedFrame:
    return CapturedFrame(LiveFrame(index, index / 30, rgb), 0.0)


@pytest.mark.parametrize(("drop", "kept"), [("newest", [0, 1, 2]), ("oldest", [7, 8, 9])])
def test_full_buffer_drops_by_policy(drop, kept):
    buffer = FrameBuffer(drop, n_frames=3)
    for index in range(10):
        buffer.put_frame(frame(index))
    assert [buffer.take().frame.frame.index for _ in range(3)] == kept
    assert buffer.n_dropped == 7


@pytest.mark.parametrize("drop", ["newest", "oldest"])
def test_more_frames_may_wait_at_the_start(drop, monkeypatch):
    monkeypatch.setattr(frame_buffer, "START_S", 60.0)
    buffer = FrameBuffer(drop, n_frames=3)
    for index in range(START_FRAMES):
        buffer.put_frame(frame(index))
    assert buffer.n_dropped == 0
    monkeypatch.setattr(frame_buffer, "START_S", -1.0)
    buffer.put_frame(frame(START_FRAMES))
    assert buffer.n_dropped == START_FRAMES + 1 - 3
    first = START_FRAMES - 2 if drop == "oldest" else 0
    assert [buffer.take().frame.frame.index for _ in range(3)] == [first, first + 1, first + 2]


def test_large_frames_that_wait_at_the_start_have_a_bounded_size(monkeypatch):
    monkeypatch.setattr(frame_buffer, "START_S", 60.0)
    monkeypatch.setattr(frame_buffer, "START_BYTES", 600)
    buffer = FrameBuffer("oldest", n_frames=3)
    for index in range(10):
        buffer.put_frame(frame(index, np.zeros((10, 4, 3), np.uint8)))
    assert buffer.n_dropped == 5


def test_words_about_a_dropped_frame_pass_to_the_next_one():
    buffer = FrameBuffer("oldest", n_frames=1)
    buffer.put_frame(replace(frame(0), flags=("gap",)))
    buffer.put_frame(replace(frame(1), flags=("resized",)))
    assert buffer.take().frame.flags == ("gap", "resized")


def test_frame_that_would_be_dropped_is_counted_once():
    buffer = FrameBuffer("newest", n_frames=1)
    assert not buffer.drops_next()
    buffer.put_frame(frame(0))
    assert buffer.drops_next()
    assert buffer.n_dropped == 1


def test_without_dropping_the_source_waits():
    buffer, put = FrameBuffer("none", n_frames=2), []

    def produce() -> None:
        for index in range(6):
            buffer.put_frame(frame(index))
            put.append(index)
        buffer.end()

    thread = threading.Thread(target=produce)
    thread.start()
    taken = [buffer.take().frame.frame.index for _ in range(2)]
    assert len(put) <= 5
    taken += [captured.frame.frame.index for captured in iter(buffer.take, None)]
    thread.join()
    assert taken == list(range(6))
    assert buffer.n_dropped == 0


def test_sound_of_a_stalled_reader_is_bounded():
    buffer = FrameBuffer("oldest")
    for second in range(60):
        buffer.put_sound(SoundBlock(float(second), np.zeros(RATE_HZ, np.float32)))
    taken = buffer.take()
    assert [block.start_s for block in taken.sound] == list(range(60 - round(MAX_SOUND_S), 60))
    assert taken.frame is None


def test_error_comes_after_the_frames_before_it():
    buffer = FrameBuffer("oldest")
    buffer.put_frame(frame(0))
    buffer.end(ValueError("broken"))
    assert buffer.take().frame.frame.index == 0
    with pytest.raises(ValueError, match="broken"):
        buffer.take()
