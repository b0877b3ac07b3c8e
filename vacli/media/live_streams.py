"""The picture and the sound of a live source that are read, of all streams that it has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import av
from av.container import InputContainer

from vacli.errors import InputError
from vacli.media.audio_tracks import (
    AudioTrack,
    list_audio_tracks,
    preferred_track,
    select_audio_track,
)
from vacli.media.container import default_or_first, playable_video_streams, video_stream
from vacli.media.live_source import LiveSource


@dataclass(frozen=True)
class LiveStreams:
    """The selected streams; at least one is not None."""

    video: av.VideoStream | None
    audio: av.AudioStream | None


def select_streams(container: InputContainer, source: LiveSource, warn: Callable[[str], None]) -> LiveStreams:
    """Select the streams of an open source; a sentence about other audio tracks goes to `warn`.

    A file has the streams that `va predict` reads. Of other sources, whose sound cannot be analysed before it
    arrives, the default or first ones are selected.
    Raises InputError without pictures and sound, and for an audio track that the source does not have.
    """
    if source.file is not None:
        video = video_stream(container)
    else:
        video = default_or_first(playable_video_streams(container))
    track = _audio_track(container, source) if source.with_sound else None
    if track is None and video is None:
        raise InputError(f"{source.name}: has neither pictures nor sound")
    for note in track.notes if track else ():
        warn(f"{source.name}: {note}")
    audio = None
    if track is not None:
        audio = next(one for one in container.streams.audio if one.index == track.stream_index)
    return LiveStreams(video, audio)


def _audio_track(container: InputContainer, source: LiveSource) -> AudioTrack | None:
    if source.file is not None:
        return select_audio_track(source.file, source.audio_track)
    tracks = list_audio_tracks(container)
    usable = [track for track in tracks if track.codec]
    if source.audio_track is None:
        return preferred_track(tracks, {}) if usable else None
    for track in usable:
        if track.number == source.audio_track:
            return track
    listed = "; ".join(track.describe() for track in tracks) or "no audio track"
    raise InputError(
        f"{source.name}: audio track {source.audio_track} cannot be read", hint=f"the source has {listed}"
    )
