"""Sound as mono 16 kHz on the clock of the frames."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vacli.clock import SOUND_CLOCK_HZ, regular_times
from vacli.media.audio_blocks import SoundBlocks
from vacli.media.audio_gaps import Cut, clock_times, own_times
from vacli.media.audio_segments import RATE_HZ
from vacli.media.audio_tracks import chosen_track
from vacli.media.silence import SHORTEST_SOUND_S, Spans, audible_spans, gain_db


@dataclass(frozen=True)
class Sound:
    """Mono sound on a clock of its own: that of the frames, less what is cut out of long holes.

    samples: (S,) float32, zeros where the stream has nothing; sample k belongs to the time k / rate_hz.
    present: (start_s, end_s) of what is really there, ascending. audible: the same of what counts as sound,
    which digital silence and snippets do not (`audible`); None for all that is present. cuts: `own_times`
    takes times of frames to this clock; without cuts they are the same. broken: where decoding failed, or
    None. notes: what a user should know of the sound. track: the number of its stream among the audio
    streams, from 1. gain_db: by how much the recording was raised.
    """

    samples: np.ndarray
    rate_hz: int
    present: Spans
    broken: str | None = None
    audible: Spans | None = None
    cuts: tuple[Cut, ...] = ()
    notes: tuple[str, ...] = ()
    track: int = 1
    gain_db: float = 0.0

    @property
    def duration_s(self) -> float:
        """Length on its own clock, silence included."""
        return len(self.samples) / self.rate_hz

    def ok_at(self, own_s: np.ndarray) -> np.ndarray:
        """Whether there is sound at each time of its own clock. own_s: (N,) seconds. Returns: (N,) bool."""
        own_s = np.asarray(own_s, dtype=np.float64)
        spans = self.present if self.audible is None else self.audible
        bounds_s = np.array(spans, dtype=np.float64).reshape(-1, 2)
        last = np.searchsorted(bounds_s[:, 0], own_s, side="right") - 1
        return own_s < np.append(bounds_s[:, 1], -np.inf)[last]

    def own_times(self, times_s: np.ndarray) -> np.ndarray:
        """Times of frames (N,) on the sound's own clock; all of a cut is one moment in a hole."""
        return own_times(self.cuts, times_s)

    def row_times(self) -> np.ndarray:
        """The rows of a sound without pictures, SOUND_CLOCK_HZ a second and none in a cut. Returns: (N,)
        float64 seconds of the frames' clock, N at least 1."""
        own_s = regular_times(max(1, round(self.duration_s * SOUND_CLOCK_HZ)), SOUND_CLOCK_HZ)
        return clock_times(self.cuts, own_s)

    def around(self, own_s: np.ndarray, margin_s: float) -> tuple[Sound, float]:
        """The part that covers ascending times (N,) and `margin_s` to each side, and the time of its first
        sample: a multiple of 10 ms, so that analysis frames lie as in the whole. A hole may cut it short."""
        zero_s = max(math.floor((own_s[0] - margin_s) * 100), 0) / 100
        first, end = round(zero_s * self.rate_hz), math.ceil((own_s[-1] + margin_s) * self.rate_hz)
        samples = self.samples[first:end]
        length_s = len(samples) / self.rate_hz

        def within(spans: Spans) -> Spans:
            moved = ((max(a - zero_s, 0.0), min(b - zero_s, length_s)) for a, b in spans)
            return tuple((a, b) for a, b in moved if b > a)

        audible = None if self.audible is None else within(self.audible)
        return replace(self, samples=samples, present=within(self.present), audible=audible, cuts=()), zero_s


def read_sound(path: Path, track: int | None = None) -> Sound | None:
    """A file's sound in one piece; None without a sound stream that can be decoded.

    track: the number of the audio stream, from 1; None: `audio_tracks.chosen_track`. A hole in the
    timestamps stays a hole: zeros, and a gap in `present`. A faint recording is raised to a usual level.
    Raises InputError as `SoundBlocks`, and where the track is not there or cannot be decoded.
    """
    chosen = chosen_track(path, track)
    if chosen is None:
        return None
    blocks, samples = _gathered(SoundBlocks(path, track=chosen))
    inverted: tuple[str, ...] = ()
    if any(signs is not None for signs in blocks.signs):
        del samples
        inverted = (
            "its channels are in opposite phase; some are inverted so that their mix keeps the voice",
        )
        blocks, samples = _gathered(SoundBlocks(path, track=chosen, signs=blocks.signs))
    audible = audible_spans(samples, RATE_HZ, blocks.present)
    raised_db = gain_db(samples, RATE_HZ, audible)
    faint: tuple[str, ...] = ()
    if raised_db:
        samples *= np.float32(10 ** (raised_db / 20))
        faint = (f"its sound is faint; it is raised by {raised_db:.0f} dB",)
    return Sound(
        samples,
        RATE_HZ,
        blocks.present,
        blocks.broken,
        audible=audible,
        cuts=blocks.cuts,
        notes=chosen.notes + blocks.notes + inverted + faint + _silence(blocks.present, audible),
        track=chosen.number,
        gain_db=raised_db,
    )


def _gathered(blocks: SoundBlocks) -> tuple[SoundBlocks, np.ndarray]:
    samples = np.zeros(0, dtype=np.float32)
    for block in blocks:
        start = len(samples)
        samples.resize(start + len(block), refcheck=False)  # in place: no second copy of an hour of sound
        samples[start:] = block
    return blocks, samples


def _silence(present: Spans, audible: Spans) -> tuple[str, ...]:
    """A sentence where a recording has sound, but nothing to hear."""
    if audible or not present:
        return ()
    length_s = sum(end - start for start, end in present)
    if length_s < SHORTEST_SOUND_S:
        return (f"its sound lasts {length_s:.3f} s, too short to say anything",)
    return ("its sound is digital silence; it counts as none",)
