"""Live pictures and sound on one clock, read by threads of their own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Self

from vacli.errors import InputError, VaError
from vacli.media.container import DECODER_ERRORS, error_text
from vacli.media.frame_buffer import WAKE_S, Captured, FrameBuffer
from vacli.media.live_source import LiveSource
from vacli.media.open_errors import SENDER_HINT, silence_error
from vacli.media.stream_reader import CaptureSettings, StreamReader

JOIN_S = 1.0
SILENT_S = 10.0  # without data, after which the user gets a warning
GRACE_S = 0.5  # FFmpeg ends the reading of an address after `timeout_s`; pipes and cameras are ended here


class Capture:
    """Iterates over the sound and the frames of a source as they arrive, until the source ends.

    warn: gets sentences about the source, also from other threads. Leaving the context ends the capture.
    `reader` has the counts and the path of the recording. Raises InputError if the source cannot be opened or
    has neither pictures nor sound, OutputError if the media cannot be recorded.
    """

    def __init__(self, source: LiveSource, settings: CaptureSettings, warn: Callable[[str], None]) -> None:
        self.buffer = FrameBuffer(settings.drop or source.default_drop)
        self.reader = StreamReader(source, settings, self.buffer, warn)
        self._name, self._warn, self._timeout_s = source.name, warn, settings.timeout_s
        self._thread = threading.Thread(target=self._read, name="capture", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self.buffer.end()
        self._thread.join(JOIN_S)  # it may wait for data that never arrive

    def wait_open(self) -> None:
        """Wait until the source is open, or has failed. Raises InputError if nothing arrives in time."""
        begun_s, warned = time.monotonic(), False
        while not self.reader.is_open.wait(WAKE_S):
            waited_s = time.monotonic() - begun_s
            if self._is_late(waited_s):
                raise silence_error(self._name, self._timeout_s or 0.0)
            if waited_s > SILENT_S and not warned:
                warned = True
                self._warn(f"{self._name}: no data arrived for {SILENT_S:g} s; {SENDER_HINT}")

    def _is_late(self, waited_s: float) -> bool:
        return self._timeout_s is not None and waited_s > self._timeout_s + GRACE_S

    def __iter__(self) -> Iterator[Captured]:
        silent_since_s = None
        while (captured := self.buffer.take()) is not None:
            yield captured
            now_s = time.monotonic()
            if captured.sound or captured.frame:
                silent_since_s = None
            elif silent_since_s is None:
                silent_since_s = now_s
            elif self._is_late(now_s - silent_since_s):
                if not self.reader.is_open.is_set():
                    raise silence_error(self._name, self._timeout_s or 0.0)
                self.reader.end_reason = f"nothing arrived for {self._timeout_s:g} s"
                return

    def _read(self) -> None:
        try:
            self.reader.run()
        except VaError as problem:
            self.buffer.end(problem)
        except DECODER_ERRORS as problem:
            self.buffer.end(InputError(f"{self._name}: cannot be read ({error_text(problem)})"))
        finally:
            self.buffer.end()
            self.reader.is_open.set()
