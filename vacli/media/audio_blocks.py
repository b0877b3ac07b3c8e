"""The audio of a file as blocks of equal length, which need little memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from vacli.errors import InputError
from vacli.media.audio_gaps import GapRemover, RemovedGap, to_audio_clock
from vacli.media.audio_segments import MIN_GAP_S, RATE_HZ, AudioSegment, AudioSegments
from vacli.media.audio_tracks import AudioTrack, select_audio_track
from vacli.media.container import open_container, video_stream
from vacli.media.polarity import Signs
from vacli.media.silence import Spans

MAX_TAIL_S = 5.0  # of zeros after the audio, if the video is longer


class SoundBlocks:
    """The audio of a file as blocks of equal length.

    Iteration yields (samples,) float32 arrays in order from time 0, zeros where the stream has none; the last
    one may be shorter. Afterwards `present`, `removed_gaps`, `decode_error` and `notes` are as in `Sound`,
    and `signs` has the batches in which channels cancel each other. Another instance that gets these signs
    inverts these channels. The total length is that of the longer one of video and audio, but at most
    MAX_TAIL_S longer than the audio; samples before time 0 (encoder priming) are dropped. Raises InputError
    if the file has no audio stream, or if it has no video and none of its audio decodes.
    """

    def __init__(
        self,
        path: Path,
        block_s: float = 60.0,
        track: AudioTrack | None = None,
        signs: Sequence[Signs] = (),
    ) -> None:
        self.path = path
        self.present: Spans = ()
        self.removed_gaps: tuple[RemovedGap, ...] = ()
        self.decode_error: str | None = None
        self.notes: tuple[str, ...] = ()
        self.signs: Sequence[Signs] = signs
        self._track = track
        self._block_size = round(block_s * RATE_HZ)

    def __iter__(self) -> Iterator[np.ndarray]:
        track = self._track or select_audio_track(self.path)
        if track is None:
            raise InputError(f"{self.path}: has no audio stream that can be decoded")
        with open_container(self.path) as container:
            stream = container.streams.audio[track.number - 1]
            segments = AudioSegments(container, stream, video_stream(container), self.signs)
            yield from self._fill(segments)

    def _fill(self, segments: AudioSegments) -> Iterator[np.ndarray]:
        spans: list[tuple[int, int]] = []
        remover = GapRemover(RATE_HZ)
        first, block = 0, self._empty_block()
        for segment in segments:
            segment = AudioSegment(remover.shift(segment.first, segment.end), segment.samples)
            _extend(spans, segment.first, segment.end)
            while segment.end > first + self._block_size:
                _copy_overlap(segment, block, first)
                yield block
                first, block = first + self._block_size, self._empty_block()
            _copy_overlap(segment, block, first)
        self._set_results(segments, remover, spans)
        left = self._end(segments, spans) - first
        while left > 0:
            yield block[:left]
            left, block = left - self._block_size, self._empty_block()

    def _empty_block(self) -> np.ndarray:
        return np.zeros(self._block_size, dtype=np.float32)

    def _set_results(
        self, segments: AudioSegments, remover: GapRemover, spans: list[tuple[int, int]]
    ) -> None:
        self.decode_error, self.removed_gaps = segments.decode_error, remover.removed_gaps
        self.notes = segments.notes + remover.notes
        self.signs = self.signs or segments.polarity.signs()
        self.present = tuple((begin / RATE_HZ, end / RATE_HZ) for begin, end in spans)
        if not spans and segments.video_end_s == 0:
            cause = self.decode_error or "it has no samples"
            raise InputError(f"{self.path}: none of its sound decodes ({cause})")

    def _end(self, segments: AudioSegments, spans: list[tuple[int, int]]) -> int:
        """Return the sample at which the last block ends."""
        audio_end = spans[-1][1] if spans else 0
        video_end_s = float(to_audio_clock(self.removed_gaps, np.array([segments.video_end_s]))[0])
        return max(audio_end, min(math.ceil(video_end_s * RATE_HZ), audio_end + round(MAX_TAIL_S * RATE_HZ)))


def _copy_overlap(segment: AudioSegment, block: np.ndarray, first: int) -> None:
    """Copy the samples of a segment that lie in a block, which starts at sample `first`."""
    start, end = max(segment.first, first), min(segment.end, first + len(block))
    if start < end:
        block[start - first : end - first] = segment.samples[start - segment.first : end - segment.first]


def _extend(spans: list[tuple[int, int]], first: int, end: int) -> None:
    """Extend the last span, or add a new one after a gap."""
    if spans and first - spans[-1][1] <= MIN_GAP_S * RATE_HZ:
        spans[-1] = (spans[-1][0], end)
    else:
        spans.append((first, end))
