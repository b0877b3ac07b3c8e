"""Which of a file's audio streams is read.

A player takes the default one. Where there are several, that may be the desktop's music, a muted channel or
one that FFmpeg cannot decode; the first of them in a player's order that has speech in it is taken then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition

from vacli.errors import InputError
from vacli.media.container import FAULTS, audio_streams, decoded, opened, picture_stream
from vacli.media.voice_activity import RATE_HZ, Voicing, voicing

# Of sound by which a track is compared: at the start, and at LATER of the whole.
OPENING_S, LATER_S = 30.0, 15.0
LATER = (1 / 3, 2 / 3)


@dataclass(frozen=True)
class Track:
    """An audio stream. number: among the audio streams, from 1; codec: None where FFmpeg has no decoder."""

    number: int
    stream_index: int
    is_default: bool
    codec: str | None
    language: str
    title: str
    notes: tuple[str, ...] = ()

    def described(self, heard: Voicing | None = None) -> str:
        """In one line, as a user may know it."""
        parts = [self.codec or "no decoder for it", self.language, self.title]
        if heard is not None:
            level = "silent" if heard.is_silent else f"{heard.level_db:.0f} dB"
            parts += [level, "speech" if heard.is_speech else ""]
        return f"{self.number}: {', '.join(part for part in parts if part)}"


def chosen_track(path: Path, wanted: int | None = None) -> Track | None:
    """The audio stream to read, with a note where there were several; None where none can be decoded.

    wanted: its number, from 1; None: the default one, or another where that is silent or is not speech while
    the other is. Raises InputError where the wanted one is not there, or where there are some, none can be
    decoded, and there is no picture to go by.
    """
    with opened(path) as container:
        tracks = tracks_of(container)
        usable = [track for track in tracks if track.codec]
        has_picture = picture_stream(container) is not None
    if wanted is not None:
        return _wanted(path, tracks, wanted)
    if not usable:
        if tracks and not has_picture:
            raise InputError(f"{path}: there is no decoder for its sound")
        return None
    heard = hear(path, usable) if len(usable) > 1 else {}
    taken = _preferred(usable, heard)
    others = [track.described(heard.get(track.number)) for track in tracks if track is not taken]
    if not others:
        return taken
    note = f"audio track {taken.described(heard.get(taken.number))} is read, not {'; '.join(others)}"
    return replace(taken, notes=(note,))


def tracks_of(container: InputContainer) -> list[Track]:
    """All audio streams, in the order of the file."""
    usable = {stream.index for stream in audio_streams(container)}
    return [
        Track(
            number=number,
            stream_index=stream.index,
            is_default=bool(stream.disposition & Disposition.default),
            codec=stream.codec_context.name if stream.index in usable else None,
            language=stream.metadata.get("language", ""),
            title=stream.metadata.get("title", ""),
        )
        for number, stream in enumerate(container.streams.audio, 1)
    ]


def hear(path: Path, tracks: Sequence[Track]) -> dict[int, Voicing]:
    """What tracks sound like, by number; a minute of each is read at most."""
    parts: dict[int, list[np.ndarray]] = {track.stream_index: [] for track in tracks}
    with opened(path) as container:
        _listen(container, parts, OPENING_S)
        whole_s = (container.duration or 0) / av.time_base
        if whole_s > 2 * OPENING_S:
            for share in LATER:
                with suppress(*FAULTS):  # what cannot be sought in goes by its opening
                    container.seek(
                        round(((container.start_time or 0) / av.time_base + share * whole_s) * 1e6)
                    )
                    _listen(container, parts, LATER_S)
    return {
        track.number: voicing(np.concatenate([np.zeros(0, np.float32), *parts[track.stream_index]]))
        for track in tracks
    }


def _listen(container: InputContainer, parts: dict[int, list[np.ndarray]], seconds: float) -> None:
    """Add so much of every stream to its parts, from where the container is; times do not matter here."""
    resamplers = {index: av.AudioResampler(format="flt", layout="stereo", rate=RATE_HZ) for index in parts}
    wanted = dict.fromkeys(parts, round(seconds * RATE_HZ))
    from_s: float | None = None
    with suppress(*FAULTS):  # as `packets_of` ends where the file cannot be read further
        for packet in container.demux(*(container.streams[index] for index in parts)):
            if packet.dts is not None:
                time_s = float(packet.dts * packet.time_base)
                from_s = time_s if from_s is None else from_s
                if abs(time_s - from_s) > 2 * seconds:  # a stream that has nothing here is not waited for
                    return
            index = packet.stream_index
            if wanted.get(index, 0) > 0:
                made = _heard_in(packet, resamplers[index])
                parts[index] += made
                wanted[index] -= sum(map(len, made))
            elif max(wanted.values()) <= 0:
                return


def _heard_in(packet: av.Packet, resampler: av.AudioResampler) -> list[np.ndarray]:
    """The louder channel of what a packet holds; nothing where it is damaged or of another form."""
    try:
        frames = [made for frame in decoded(packet, []) for made in resampler.resample(frame)]
        return [_louder(frame.to_ndarray().reshape(-1, 2)) for frame in frames]
    except FAULTS:
        return []


def _louder(both: np.ndarray) -> np.ndarray:
    """One channel of (S, 2): their mean may be silent."""
    return both[:, int(np.square(both).sum(axis=0).argmax())] if len(both) else both[:, 0]


def _preferred(tracks: Sequence[Track], heard: Mapping[int, Voicing]) -> Track:
    """The first in a player's order with speech, else the first that is not silent, else the first."""
    ordered = sorted(tracks, key=lambda track: not track.is_default)
    speech = [track for track in ordered if track.number in heard and heard[track.number].is_speech]
    loud = [track for track in ordered if track.number in heard and not heard[track.number].is_silent]
    return [*speech, *loud, *ordered][0]


def _wanted(path: Path, tracks: Sequence[Track], number: int) -> Track:
    for track in tracks:
        if track.number == number and track.codec:
            return track
    if not tracks:
        raise InputError(f"{path}: has no audio track {number}; it has none", hint="leave out --audio-track")
    heard = hear(path, [track for track in tracks if track.codec])
    listed = "; ".join(track.described(heard.get(track.number)) for track in tracks)
    what = "cannot be decoded" if number in {track.number for track in tracks} else "is not there"
    raise InputError(f"{path}: audio track {number} {what}", hint=f"it has {listed}")
