"""Selection of an audio stream.

A player plays the default one. If there are several, that may be the desktop's music, a muted channel or a
stream that FFmpeg cannot decode; then the first one with speech, in a player's order, is selected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition

from vacli.errors import InputError
from vacli.media.container import DECODER_ERRORS, audio_streams, decode_packet, open_container, video_stream
from vacli.media.sample_check import usable_samples
from vacli.media.voice_activity import RATE_HZ, VoiceActivity, detect_voice_activity

# Lengths of the audio that is analysed: at the start, and at LATER_FRACTIONS of the whole.
OPENING_S, LATER_S = 30.0, 15.0
LATER_FRACTIONS = (1 / 3, 2 / 3)


@dataclass(frozen=True)
class AudioTrack:
    """An audio stream. number: among the audio streams, from 1; codec: None if FFmpeg has no decoder."""

    number: int
    stream_index: int
    is_default: bool
    codec: str | None
    language: str
    title: str
    notes: tuple[str, ...] = ()

    def describe(self, activity: VoiceActivity | None = None) -> str:
        """Return a description in one line for the user."""
        parts = [self.codec or "no decoder for it", self.language, self.title]
        if activity is not None:
            level = "silent" if activity.is_silent else f"{activity.level_db:.0f} dB"
            parts += [level, "speech" if activity.is_speech else ""]
        return f"{self.number}: {', '.join(part for part in parts if part)}"


def select_audio_track(path: Path, wanted: int | None = None) -> AudioTrack | None:
    """Select the audio stream to read, with a note if there are several; None if none can be decoded.

    wanted: its number, from 1; None: the default one, or another one with speech if the default one has none.
    Raises InputError if the wanted one does not exist or cannot be decoded, or if the file has audio streams
    only and none of them can be decoded.
    """
    with open_container(path) as container:
        tracks = list_audio_tracks(container)
        usable = [track for track in tracks if track.codec]
        has_picture = video_stream(container) is not None
    if wanted is not None:
        return _wanted(path, tracks, wanted)
    if not usable:
        if tracks and not has_picture:
            raise InputError(f"{path}: FFmpeg has no decoder for its sound")
        return None
    return preferred_track(tracks, detect_speech(path, usable) if len(usable) > 1 else {})


def preferred_track(tracks: Sequence[AudioTrack], activity: Mapping[int, VoiceActivity]) -> AudioTrack:
    """Return the first decodable track with speech, in a player's order, with a note if there are others.

    activity: by number; without it, the default or first one. Raises IndexError if none can be decoded.
    """
    selected = _select([track for track in tracks if track.codec], activity)
    others = [track.describe(activity.get(track.number)) for track in tracks if track is not selected]
    if not others:
        return selected
    note = f"audio track {selected.describe(activity.get(selected.number))} is read, not {'; '.join(others)}"
    return replace(selected, notes=(note,))


def list_audio_tracks(container: InputContainer) -> list[AudioTrack]:
    """Return all audio streams, in the order of the file."""
    usable = {stream.index for stream in audio_streams(container)}
    return [
        AudioTrack(
            number=number,
            stream_index=stream.index,
            is_default=bool(stream.disposition & Disposition.default),
            codec=stream.codec_context.name if stream.index in usable else None,
            language=stream.metadata.get("language", ""),
            title=stream.metadata.get("title", ""),
        )
        for number, stream in enumerate(container.streams.audio, 1)
    ]


def detect_speech(path: Path, tracks: Sequence[AudioTrack]) -> dict[int, VoiceActivity]:
    """Return the voice activity of tracks by number, from at most a minute of each."""
    parts: dict[int, list[np.ndarray]] = {track.stream_index: [] for track in tracks}
    with open_container(path) as container:
        _collect(container, parts, OPENING_S)
        whole_s = (container.duration or 0) / av.time_base
        if whole_s > 2 * OPENING_S:
            for share in LATER_FRACTIONS:
                with suppress(*DECODER_ERRORS):  # without seeking, the opening has to be enough
                    container.seek(
                        round(((container.start_time or 0) / av.time_base + share * whole_s) * 1e6)
                    )
                    _collect(container, parts, LATER_S)
    return {
        track.number: detect_voice_activity(
            np.concatenate([np.zeros(0, np.float32), *parts[track.stream_index]])
        )
        for track in tracks
    }


def _collect(container: InputContainer, parts: dict[int, list[np.ndarray]], seconds: float) -> None:
    """Append the next seconds of every stream to its parts, from the position of the container."""
    resamplers = {index: av.AudioResampler(format="flt", layout="stereo", rate=RATE_HZ) for index in parts}
    wanted = dict.fromkeys(parts, round(seconds * RATE_HZ))
    from_s: float | None = None
    with suppress(*DECODER_ERRORS):  # `demux_packets` also ends where the file cannot be read further
        for packet in container.demux(*(container.streams[index] for index in parts)):
            if packet.dts is not None:
                time_s = float(packet.dts * packet.time_base)
                from_s = time_s if from_s is None else from_s
                if abs(time_s - from_s) > 2 * seconds:  # do not wait for a stream without packets here
                    return
            index = packet.stream_index
            if wanted.get(index, 0) > 0:
                made = _decode_louder_channel(packet, resamplers[index])
                parts[index] += made
                wanted[index] -= sum(map(len, made))
            elif max(wanted.values()) <= 0:
                return


def _decode_louder_channel(packet: av.Packet[Any], resampler: av.AudioResampler) -> list[np.ndarray]:
    """Decode the louder channel of a packet; empty if it is damaged or has another format."""
    try:
        frames = [made for frame in decode_packet(packet, []) for made in resampler.resample(frame)]
        both = (usable_samples(frame.to_ndarray())[0].reshape(-1, 2) for frame in frames)
        return [_louder_channel(one) for one in both]
    except DECODER_ERRORS:
        return []


def _louder_channel(both: np.ndarray) -> np.ndarray:
    """Return one channel of (S, 2), because their mean may be silent."""
    return both[:, int(np.square(both).sum(axis=0).argmax())] if len(both) else both[:, 0]


def _select(tracks: Sequence[AudioTrack], activity: Mapping[int, VoiceActivity]) -> AudioTrack:
    """Return the first track with speech, in a player's order, else the first audible one or the first."""
    ordered = sorted(tracks, key=lambda track: not track.is_default)
    speech = [track for track in ordered if track.number in activity and activity[track.number].is_speech]
    loud = [track for track in ordered if track.number in activity and not activity[track.number].is_silent]
    return [*speech, *loud, *ordered][0]


def _wanted(path: Path, tracks: Sequence[AudioTrack], number: int) -> AudioTrack:
    for track in tracks:
        if track.number == number and track.codec:
            return track
    if not tracks:
        raise InputError(f"{path}: has no audio track {number}; it has none", hint="leave out --audio-track")
    activity = detect_speech(path, [track for track in tracks if track.codec])
    listed = "; ".join(track.describe(activity.get(track.number)) for track in tracks)
    problem = "cannot be decoded" if number in {track.number for track in tracks} else "does not exist"
    raise InputError(f"{path}: audio track {number} {problem}", hint=f"the file has {listed}")
