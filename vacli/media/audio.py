"""Audio as mono 16 kHz on the clock of the frames."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vacli.clock import SOUND_CLOCK_HZ, regular_times
from vacli.files import scratch
from vacli.media.audio_blocks import SoundBlocks
from vacli.media.audio_gaps import RemovedGap, to_audio_clock, to_frame_clock
from vacli.media.audio_segments import RATE_HZ
from vacli.media.audio_tracks import select_audio_track
from vacli.media.polarity import OPPOSITE_PHASE
from vacli.media.silence import MIN_AUDIBLE_S, Spans, audible_spans, gain_db

EXCERPT_GRID_S = 0.01  # of `Sound.excerpt`: the step of analysis frames
FIRST_SAMPLES = 1 << 20  # for which there is room at first: a minute


@dataclass(frozen=True)
class Sound:
    """Mono audio on its own clock, which is that of the frames without long gaps.

    samples: (S,) float32, zeros where the stream has none; sample k belongs to the time k / rate_hz. Long
    ones lie in a file: read them by `scratch.blocks`, or release them after use. present:
    (start_s, end_s) of the samples of the stream, ascending. audible: the same without digital silence and
    very short parts (`silence`); None if they are equal. removed_gaps: `to_audio_clock` converts times of
    frames to this clock; they are equal if no gap is removed. decode_error: the first error, or None. notes:
    sentences for the user. track: the number of the stream among the audio streams, from 1. gain_db: the gain
    that was applied.
    """

    samples: np.ndarray
    rate_hz: int
    present: Spans
    decode_error: str | None = None
    audible: Spans | None = None
    removed_gaps: tuple[RemovedGap, ...] = ()
    notes: tuple[str, ...] = ()
    track: int = 1
    gain_db: float = 0.0

    @property
    def duration_s(self) -> float:
        """Return the length on the audio clock, including silence."""
        return len(self.samples) / self.rate_hz

    def is_present_at(self, audio_s: np.ndarray) -> np.ndarray:
        """Return whether the stream has samples at times of the audio clock. (N,) seconds to (N,) bool."""
        return _is_inside(self.present, audio_s)

    def is_audible_at(self, audio_s: np.ndarray) -> np.ndarray:
        """Return whether there is audible sound at times of the audio clock. (N,) seconds to (N,) bool."""
        return _is_inside(self.present if self.audible is None else self.audible, audio_s)

    def to_audio_clock(self, times_s: np.ndarray) -> np.ndarray:
        """Convert times (N,) of frames to the audio clock; all times in a removed gap become one."""
        return to_audio_clock(self.removed_gaps, times_s)

    def row_times(self) -> np.ndarray:
        """Return the row times of audio without video: SOUND_CLOCK_HZ a second, none in a removed gap.

        Returns: (N,) float64 seconds of the frames' clock, N at least 1.
        """
        audio_s = regular_times(max(1, round(self.duration_s * SOUND_CLOCK_HZ)), SOUND_CLOCK_HZ)
        return to_frame_clock(self.removed_gaps, audio_s)

    def excerpt(
        self, audio_s: np.ndarray, margin_s: float, grid_s: float = EXCERPT_GRID_S
    ) -> tuple[Sound, float]:
        """Return the part that covers ascending times (N,) with a margin, and the time of its first sample.

        That time is a multiple of grid_s, so that analysis frames have the same positions as in the whole.
        The margin is shorter at an end of the audio.
        """
        per_s = 1 / grid_s
        zero_s = max(math.floor((audio_s[0] - margin_s) * per_s), 0) / per_s
        first, end = round(zero_s * self.rate_hz), math.ceil((audio_s[-1] + margin_s) * self.rate_hz)
        samples = self.samples[first:end]
        length_s = len(samples) / self.rate_hz

        def within(spans: Spans) -> Spans:
            moved = ((max(a - zero_s, 0.0), min(b - zero_s, length_s)) for a, b in spans)
            return tuple((a, b) for a, b in moved if b > a)

        audible = None if self.audible is None else within(self.audible)
        part = replace(self, samples=samples, present=within(self.present), audible=audible, removed_gaps=())
        return part, zero_s


def _is_inside(spans: Spans, times_s: np.ndarray) -> np.ndarray:
    """Return which times (N,) are in a span (start_s, end_s); the end is outside."""
    times_s = np.asarray(times_s, dtype=np.float64)
    bounds_s = np.array(spans, dtype=np.float64).reshape(-1, 2)
    last = np.searchsorted(bounds_s[:, 0], times_s, side="right") - 1
    return times_s < np.append(bounds_s[:, 1], -np.inf)[last]


def read_sound(path: Path, track: int | None = None) -> Sound | None:
    """Read the audio of a file; None if no audio stream can be decoded.

    track: the number of the audio stream, from 1; None: `audio_tracks.select_audio_track`. A gap in the
    timestamps becomes zeros and a gap in `present`. A faint recording is amplified to a usual level.
    Raises InputError as `SoundBlocks` does, and if the track does not exist or cannot be decoded.
    """
    selected = select_audio_track(path, track)
    if selected is None:
        return None
    blocks, samples = _read_all(SoundBlocks(path, track=selected))
    notes: tuple[str, ...] = ()
    if any(signs is not None for signs in blocks.signs):
        del samples
        notes += (OPPOSITE_PHASE,)
        blocks, samples = _read_all(SoundBlocks(path, track=selected, signs=blocks.signs))
    sound = Sound(
        samples,
        RATE_HZ,
        blocks.present,
        blocks.decode_error,
        removed_gaps=blocks.removed_gaps,
        notes=selected.notes + blocks.notes + notes,
        track=selected.number,
    )
    return leveled_sound(sound)


def leveled_sound(sound: Sound) -> Sound:
    """The sound with its audible spans; a faint one is amplified in place to a usual level."""
    audible = audible_spans(sound.samples, sound.rate_hz, sound.present)
    applied_db = gain_db(sound.samples, sound.rate_hz, audible)
    notes = sound.notes
    if applied_db:
        for _, block in scratch.blocks(sound.samples):
            block *= np.float32(10 ** (applied_db / 20))
        notes += (f"its sound is faint; it is raised by {applied_db:.0f} dB",)
    notes += _silence_note(sound.present, audible)
    return replace(sound, audible=audible, notes=notes, gain_db=applied_db)


def _read_all(blocks: SoundBlocks) -> tuple[SoundBlocks, np.ndarray]:
    samples, count = scratch.empty((FIRST_SAMPLES,)), 0
    for block in blocks:
        if count + len(block) > len(samples):
            samples = _moved(samples[:count], 2 * len(samples) + len(block))
        samples[count : count + len(block)] = block
        count += len(block)
        scratch.release(samples)
    return blocks, samples[:count]


def _moved(samples: np.ndarray, length: int) -> np.ndarray:
    """The samples at the beginning of a longer array."""
    longer = scratch.empty((length,))
    for start, block in scratch.blocks(samples):
        longer[start : start + len(block)] = block
        scratch.release(longer)
    return longer


def _silence_note(present: Spans, audible: Spans) -> tuple[str, ...]:
    """Return a sentence if a recording has audio but no audible part."""
    if audible or not present:
        return ()
    length_s = sum(end - start for start, end in present)
    if length_s < MIN_AUDIBLE_S:
        return (f"its sound lasts {length_s:.3f} s, which is too short; it is not used",)
    return ("its sound is digital silence; it is not used",)
