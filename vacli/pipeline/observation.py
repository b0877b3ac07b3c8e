"""The faces and the sound of one recording as rows in memory, without a store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vacli.clock import SOUND_CLOCK_HZ, median_rate_hz, regular_times
from vacli.errors import InputError
from vacli.faces.align import resize_crop
from vacli.faces.face_frame import FaceFrame, FaceSettings
from vacli.faces.images import AlignedImage, ImageAligner, tta_views
from vacli.faces.quality import sharpness
from vacli.faces.selection import NO_SPEAKER, SPEAKER
from vacli.faces.tracker import track_faces
from vacli.inference.voice import VoiceEvidence
from vacli.media.audio import Sound, read_sound
from vacli.media.crops import CropFolder
from vacli.media.image import read_image
from vacli.media.probe import probe
from vacli.media.reader import FrameSource
from vacli.media.video import open_video
from vacli.pipeline.audio_features import AudioFeatures, BackgroundAudio
from vacli.pipeline.face_embedding import MAX_GAP, FaceDetections, FaceEmbedder, FaceTrackFeatures
from vacli.pipeline.face_tracks import FaceTracks
from vacli.pipeline.reader_warnings import warn_of_notes, warn_of_sound
from vacli.progress import Progress


@dataclass(frozen=True, eq=False, kw_only=True)
class Observation:
    """One face track of one recording, with its sound.

    times_s (N,) float64. face_id: the track, -1 without faces. features: name -> (N, D) float32, NaN rows
    where missing. audio_present (N,) bool. speaking (N,) float64: the degree to which this face is the one
    who speaks, from 0 to 1, NaN where there is no face or no sound, but 0 where it is hidden and another face
    speaks. level_db (N,): `sound_level.level_db`, NaN where unknown. speech (N,): probability of speech, NaN
    where unknown.
    """

    times_s: np.ndarray
    face_id: int
    faces: FaceDetections
    audio_present: np.ndarray
    speaking: np.ndarray
    level_db: np.ndarray
    speech: np.ndarray
    features: Mapping[str, np.ndarray]

    def rows(self, start: int, end: int) -> Observation:
        """The rows from `start` up to `end`, without features."""
        here = slice(start, end)
        return replace(
            self,
            times_s=self.times_s[here],
            faces=self.faces.rows(start, end),
            audio_present=self.audio_present[here],
            speaking=self.speaking[here],
            level_db=self.level_db[here],
            speech=self.speech[here],
            features={},
        )

    @property
    def voice(self) -> VoiceEvidence:
        """What is known about the sound."""
        return VoiceEvidence(self.speech, self.speaking)

    def features_of(self, start: int, end: int) -> dict[str, np.ndarray]:
        """Name -> (end - start, D): the features of these rows."""
        return {name: rows[start:end] for name, rows in self.features.items()}


@dataclass(frozen=True)
class Extractors:
    """The extractors of a model's features by name, built once for all recordings."""

    visual: Mapping[str, Any]
    audio: Mapping[str, Any]


def embedding_stride(rate_hz: float, embedding_rate_hz: float | None) -> int:
    """Every which frame is embedded, at `rate_hz` frames a second; every one if that is NaN.

    It is at most MAX_GAP, over which features are interpolated.
    """
    if embedding_rate_hz is None or not np.isfinite(rate_hz):
        return 1
    return min(max(1, round(rate_hz / embedding_rate_hz)), MAX_GAP)


@dataclass(frozen=True)
class ObservationSettings:
    """How a recording is read.

    face: which tracks (`faces.selection`). backend: of the video. embedding_rate_hz: faces are embedded at
    most so often, and interpolated in between; None for every frame. audio_track: the number of the audio
    stream, None for the one that `media.audio_tracks` chooses.
    """

    extractors: Extractors
    face: str
    backend: str
    embedding_rate_hz: float | None = None
    audio_track: int | None = None


class FrameCallback(Protocol):
    """Gets the tracks and the sound of a video while it is read."""

    def on_frame(self, tracks: FaceTracks, frame: FaceFrame, audio: AudioFeatures | None) -> None:
        """Called after every frame; `audio` is None until the sound is read."""
        ...


def observe_video(
    path: Path, settings: ObservationSettings, progress: Progress, callback: FrameCallback | None = None
) -> list[Observation]:
    """The selected tracks of a video with its sound, a row for every frame of the container."""
    read = partial(read_sound, path, settings.audio_track)
    with open_video(path, settings.backend) as video:
        return observe_frames(video, read, path, settings, progress, callback)


def observe_frames(
    video: FrameSource,
    read: Callable[[], Sound | None],
    path: Path,
    settings: ObservationSettings,
    progress: Progress,
    callback: FrameCallback | None = None,
) -> list[Observation]:
    """As `observe_video`, for any frames. read: gives the sound. path: names them in messages."""
    times_s = video.times_s
    with ThreadPoolExecutor(1) as pool:
        background = BackgroundAudio(pool, read, settings.extractors.audio).start(times_s)
        tracks = FaceTracks(settings.extractors.visual, times_s)
        stride = embedding_stride(median_rate_hz(times_s), settings.embedding_rate_hz)
        with progress.task(path.name, len(video), "frames") as advance:
            sampling = FaceSettings(crop_every=stride, lower_face_every=tracks.speaker.stride)
            for frame in track_faces(video, sampling):
                tracks.add(frame)
                audio = background.so_far
                if callback:
                    callback.on_frame(tracks, frame, audio)
                advance(1)
        decode_error = video.decode_error
        warn_of_notes(path, video.notes, progress)
        audio = background.result()
    if decode_error:
        progress.warn(f"{path}: {decode_error}; the undamaged frames are used")
    warn_of_sound(path, audio.sound, progress)
    selected = tracks.select(settings.face, audio)
    _warn_of_selection(path, tracks, settings.face, audio, progress)
    return [_observation(times_s, track, audio, face_id, tracks) for face_id, track in selected]


def _warn_of_selection(
    path: Path, tracks: FaceTracks, choice: str, audio: AudioFeatures, progress: Progress
) -> None:
    if choice == SPEAKER and not any(tracks.speaking_s(audio).values()):
        progress.warn(f"{path}: no face speaks; {NO_SPEAKER}")
    if tracks.locked is None or tracks.selection(choice, audio) == [tracks.locked]:
        return
    (larger,) = tracks.selection(choice, audio)
    progress.warn(
        f"{path}: the rows are those of face {tracks.locked}, the only one in the first second; face "
        f"{larger} is larger over the whole video: give --face {larger} for its rows"
    )


def observe_sound(path: Path, settings: ObservationSettings, progress: Progress) -> Observation:
    """A recording's sound without its pictures, on a clock of 25 rows a second."""
    sound = read_sound(path, settings.audio_track)
    if sound is None:
        raise InputError(f"{path} has no sound")
    warn_of_notes(path, probe(path).notes, progress)
    warn_of_sound(path, sound, progress)
    return observe_read_sound(sound, settings)


def observe_read_sound(sound: Sound, settings: ObservationSettings) -> Observation:
    """As `observe_sound`, for sound that is in memory."""
    times_s = sound.row_times()
    track = FaceTrackFeatures(FaceEmbedder(settings.extractors.visual), len(times_s))
    return _observation(times_s, track, AudioFeatures(settings.extractors.audio, sound, times_s).extract())


def observe_crops(path: Path, extractors: Extractors, progress: Progress) -> Observation:
    """A folder of numbered aligned faces, a row a number, on a clock of 25 rows a second."""
    folder = CropFolder(path)
    track = FaceTrackFeatures(FaceEmbedder(extractors.visual), len(folder))
    with progress.task(path.name, len(folder.rows), "faces") as advance:
        for row, picture in folder:
            crop = resize_crop(picture)
            track.add(row, crop, None, sharpness=sharpness(crop))
            advance(1)
    times_s = regular_times(len(folder), SOUND_CLOCK_HZ)
    return _observation(times_s, track, AudioFeatures(extractors.audio, None, times_s), face_id=0)


def observe_image(
    path: Path, extractors: Extractors, choice: str, progress: Progress, *, augment: bool
) -> list[Observation]:
    """The selected faces of one picture, a row each, or the whole picture if it shows no face.

    choice: which faces (`ImageAligner.align_selected`). augment: the features are the mean over the
    `tta_views` of the face (test-time augmentation). Raises InputError where there is no such face.
    """
    picture = read_image(path)
    if picture.note:
        progress.warn(f"{path}: {picture.note}")
    try:
        selected = ImageAligner().align_selected(picture.rgb, choice)
    except InputError as error:
        raise InputError(f"{path}: {error}", hint=error.hint) from None
    return [
        _observed_image(number, aligned, picture.reduced_by, extractors, augment)
        for number, aligned in selected.items()
    ]


def _observed_image(
    face_id: int, aligned: AlignedImage, reduced_by: float, extractors: Extractors, augment: bool
) -> Observation:
    """One face of a picture that is read at a fraction of its size."""
    face = aligned.face and aligned.face.rescaled(reduced_by, (0.0, 0.0))
    crops = tta_views(aligned.crop) if augment else aligned.crop[np.newaxis]
    track = FaceTrackFeatures(FaceEmbedder(extractors.visual), 1)
    track.add(0, None, face, sharpness=sharpness(aligned.crop), detected=face is not None)
    features = {
        name: extractor.extract(crops).mean(axis=0, keepdims=True)
        for name, extractor in extractors.visual.items()
    }
    silence = AudioFeatures(extractors.audio, None, np.zeros(1))
    observed = _observation(np.zeros(1), track, silence, face_id)
    return replace(observed, features=dict(observed.features) | features)


def _observation(
    times_s: np.ndarray,
    track: FaceTrackFeatures,
    audio: AudioFeatures,
    face_id: int = -1,
    tracks: FaceTracks | None = None,
) -> Observation:
    detections = track.detections()
    speaking = np.full(len(times_s), np.nan)
    if tracks is not None:  # moving pictures
        speaking = tracks.speaking(face_id, audio, detections.detected)
    return Observation(
        times_s=times_s,
        face_id=face_id,
        faces=detections,
        audio_present=audio.present,
        speaking=speaking,
        level_db=audio.level_db,
        speech=audio.speech,
        features={**track.features(), **audio.features},
    )
