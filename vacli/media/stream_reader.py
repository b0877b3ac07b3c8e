"""Reads a live source: opens it, decodes its packets, and puts frames and sound into a buffer."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer

from vacli.errors import InputError
from vacli.media.container import (
    ANY_TEXT,
    DECODER_ERRORS,
    audio_stream,
    clock_zero_s,
    decode_packet,
    demux_packets,
)
from vacli.media.frame_buffer import CapturedFrame, FrameBuffer
from vacli.media.live_clock import ArrivalDelay, LiveClock, clock_origin_s
from vacli.media.live_input import LiveFrame
from vacli.media.live_pictures import LivePictures
from vacli.media.live_source import Drop, FFmpegInput, LiveSource
from vacli.media.live_streams import select_streams
from vacli.media.media_recorder import MediaRecorder, recording_format
from vacli.media.open_errors import opening_error
from vacli.media.sound_stream import SoundStream

CLOCK_JUMP, NO_SOUND = "clock_jump", "no_sound"  # words about a frame
# Packets after a longer time without any were held back until the sender went on or stopped.
# Their delay is not that of the stream.
PAUSE_S, RELEASE_S = 1.0, 0.1
MAX_SOUND_LAG_S = 1.0  # of the sound behind a frame; more is missing sound
EARLY_S = 0.001  # of a picture before the packet with the first timestamp after a jump
SOUND_ROW_S = 1 / 25  # between the rows of a source without pictures


@dataclass(frozen=True)
class CaptureSettings:
    """drop: the policy for late frames, None for that of the source. timeout_s: end if nothing arrives.

    record: the path, without its ending, of a copy of the media; None for no copy.
    """

    drop: Drop | None = None
    timeout_s: float | None = None
    record: Path | None = None


class StreamReader:
    """Reads one source in the thread that calls `run`, and a microphone in another one.

    `is_open` is set when the streams are known: `has_sound` is whether one of them has sound, `rate_hz` the
    nominal rate of frames, and `recording` the path of the copy. `n_jumps` counts the jumps of the sender's
    clock. `end_reason` is an error that ended the stream, or None.
    """

    def __init__(
        self,
        source: LiveSource,
        settings: CaptureSettings,
        buffer: FrameBuffer,
        warn: Callable[[str], None],
    ) -> None:
        self._source, self._settings = source, settings
        self._buffer, self._warn = buffer, warn
        self._recorder: MediaRecorder | None = None
        self._sound: SoundStream | None = None
        self._origin_s: float | None = None  # local time that is 0 s
        self._delay = ArrivalDelay()
        self._n_sound_rows = 0
        self.n_jumps = 0
        self.is_open = threading.Event()
        self.recording: Path | None = None
        self.end_reason: str | None = None
        self.has_sound = False
        self.rate_hz: float | None = None

    def run(self) -> None:
        """Read until the source ends or the buffer is ended. Raises InputError and OutputError."""
        timeout_s = self._settings.timeout_s
        with ExitStack() as stack:
            main = stack.enter_context(opened(self._source.main, self._source.name, timeout_s))
            microphone = self._opened_microphone(stack)
            selected = select_streams(main, self._source, self._warn)
            video, audio = selected.video, selected.audio
            if self._settings.record is not None:
                beside = audio_stream(microphone) if microphone else None
                streams = [stream for stream in (video, audio, beside) if stream is not None]
                self._recorder = MediaRecorder(self._settings.record, streams, recording_format(main))
                stack.callback(self._recorder.close)
                self.recording = self._recorder.path
            self.has_sound = audio is not None or microphone is not None
            self.rate_hz = _rate_hz(video)
            if microphone is not None:
                thread = threading.Thread(
                    target=self._read_microphone, args=(microphone,), name="microphone", daemon=True
                )
                thread.start()
                stack.callback(thread.join)
                stack.callback(self._buffer.end)
            self.is_open.set()
            self._read_main(main, video, audio)

    def _opened_microphone(self, stack: ExitStack) -> InputContainer | None:
        """Open the microphone; None without one, and if neither the default one nor its fallback opens."""
        for given in (self._source.microphone, self._source.fallback):
            if given is None:
                continue
            try:
                return stack.enter_context(opened(given, given.url, self._settings.timeout_s))
            except InputError as error:
                if not self._source.microphone_is_default:
                    raise
                problem = error
        if self._source.microphone is not None:
            self._warn(f"there is no sound: {problem.one_line()}")
        return None

    def _read_main(
        self, container: InputContainer, video: av.VideoStream | None, audio: av.AudioStream | None
    ) -> None:
        zero_s = clock_zero_s(container)
        source = self._source
        is_realtime = source.is_realtime or (source.is_pipe and self._buffer.drop != "none")
        clock = LiveClock(container, is_realtime)
        pictures = LivePictures(container, video, self._buffer.drops_next) if video is not None else None
        sound = SoundStream(zero_s) if audio is not None else None
        self._sound = sound or self._sound
        errors: list[str] = []
        released_s, last_s = -math.inf, time.monotonic()
        for packet in demux_packets(container, [], errors, clock):
            arrival_s = time.monotonic()
            released_s = arrival_s if arrival_s - last_s > PAUSE_S else released_s
            is_held, last_s = arrival_s - released_s < RELEASE_S, arrival_s
            if self._buffer.is_ended:
                return
            self._set_origin(packet, zero_s, arrival_s)
            if pictures is not None:
                for frame, words in pictures.add(packet):
                    if clock.jump_s is not None and frame.time_s >= clock.jump_s - zero_s - EARLY_S:
                        clock.jump_s, words = None, (*words, CLOCK_JUMP)
                    self._put(frame, words, arrival_s, is_realtime=source.is_realtime and not is_held)
            if audio is not None and sound is not None and packet.stream.index == audio.index:
                self._add_sound(packet, sound, pictures is None, arrival_s)
            if self._recorder is not None:
                self._recorder.add(packet, zero_s)
            self.n_jumps = clock.n_jumps
        for frame, words in pictures.flush() if pictures else ():
            self._put(
                frame, words, time.monotonic(), is_realtime=False
            )  # the end of the stream releases them
        if errors:
            late = self._settings.timeout_s is not None and "exit" in errors[0]
            self.end_reason = f"nothing arrived for {self._settings.timeout_s:g} s" if late else errors[0]

    def _set_origin(self, packet: av.Packet[Any], zero_s: float, arrival_s: float) -> None:
        if self._origin_s is None and (origin_s := clock_origin_s(packet, arrival_s)) is not None:
            self._origin_s = origin_s + zero_s

    def _add_sound(
        self, packet: av.Packet[Any], sound: SoundStream, makes_rows: bool, arrival_s: float
    ) -> None:
        """Decode a packet of sound; without pictures, rows without a picture follow the sound."""
        for decoded in decode_packet(packet, []):
            self._put_sound(sound, decoded)
        while makes_rows and self._n_sound_rows * SOUND_ROW_S < sound.end_s:
            time_s = self._n_sound_rows * SOUND_ROW_S
            frame = LiveFrame(self._n_sound_rows, time_s, None, has_picture=False)
            self._n_sound_rows += 1
            self._put(frame, (), arrival_s, is_realtime=self._source.is_realtime)

    def _put_sound(self, sound: SoundStream, decoded: av.AudioFrame) -> None:
        """Put decoded sound into the buffer; warn once of each change of it."""
        n_known = len(sound.notes)
        for block in sound.add(decoded):
            self._buffer.put_sound(block)
        for note in sound.notes[n_known:]:
            self._warn(f"{self._source.name}: {note}")

    def _put(self, frame: LiveFrame, words: tuple[str, ...], arrival_s: float, *, is_realtime: bool) -> None:
        captured_s = arrival_s
        if is_realtime:
            captured_s = self._delay.captured_s(frame.time_s, arrival_s)
        sound = self._sound
        is_silent = sound is not None and frame.time_s - sound.end_s > MAX_SOUND_LAG_S
        self._buffer.put_frame(CapturedFrame(frame, captured_s, (*words, NO_SOUND) if is_silent else words))

    def _read_microphone(self, container: InputContainer) -> None:
        """Read a microphone, whose clock is joined with that of the camera by their local times."""
        stream, errors = audio_stream(container), list[str]()
        sound: SoundStream | None = None
        zero_s = 0.0
        for packet in demux_packets(container, [], errors, LiveClock(container, is_realtime=True)):
            if self._buffer.is_ended:
                return
            if sound is None:
                origin_s = clock_origin_s(packet, time.monotonic())
                if origin_s is None or self._origin_s is None:
                    continue  # sound from before the first picture
                zero_s = self._origin_s - origin_s
                sound = self._sound = SoundStream(zero_s)
            if stream is not None and packet.stream.index == stream.index:
                for decoded in decode_packet(packet, errors):
                    self._put_sound(sound, decoded)
                errors.clear()
            if self._recorder is not None:
                self._recorder.add(packet, zero_s)
        if not self._buffer.is_ended:
            self._warn("the microphone has ended; the rows continue without sound")


def _rate_hz(video: av.VideoStream | None) -> float | None:
    """The nominal rate of frames, None if the stream has none; without pictures that of SOUND_ROW_S."""
    if video is None:
        return 1 / SOUND_ROW_S
    rate = video.average_rate or video.guessed_rate
    return float(rate) if rate else None


@contextmanager
def opened(given: FFmpegInput, name: str, timeout_s: float | None) -> Iterator[InputContainer]:
    """Open a source. Raises InputError if it cannot be opened."""
    try:
        container = av.open(
            given.url,
            format=given.format,
            options=dict(given.options),
            timeout=None if timeout_s is None else (timeout_s, timeout_s),
            **ANY_TEXT,
        )
    except (*DECODER_ERRORS, OSError) as problem:
        raise opening_error(given, name, problem, timeout_s) from None
    with container:
        yield container
