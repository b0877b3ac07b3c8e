"""Live pictures and sound on one clock, read by threads of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Self

from vacli.errors import InputError, VaError
from vacli.media.container import DECODER_ERRORS, error_text
from vacli.media.frame_buffer import WAKE_S, Captured, FrameBuffer
from vacli.media.live_source import LiveSource
from vacli.media.stream_reader import CaptureSettings, StreamReader

JOIN_S = 1.0


class Capture:
    """Iterates over the sound and the frames of a source as they arrive, until the source ends.

    warn: gets sentences about the source, also from other threads. Leaving the context ends the capture.
    `reader` has the counts and the path of the recording. Raises InputError if the source cannot be opened or
    has neither pictures nor sound, OutputError if the media cannot be recorded.
    """

    def __init__(self, source: LiveSource, settings: CaptureSettings, warn: Callable[[str], None]) -> None:
        self.buffer = FrameBuffer(settings.drop or source.default_drop)
        self.reader = StreamReader(source, settings, self.buffer, warn)
        self._name = source.name
        self._thread = threading.Thread(target=self._read, name="capture", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self.buffer.end()
        self._thread.join(JOIN_S)  # it may wait for data that never arrive

    def wait_open(self) -> None:
        """Wait until the source is open, or has failed."""
        while not self.reader.is_open.wait(WAKE_S):
            pass

    def __iter__(self) -> Iterator[Captured]:
        while (captured := self.buffer.take()) is not None:
            yield captured

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
