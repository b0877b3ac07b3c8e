"""The face tracks of one video with their features, until it is known which tracks are selected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vacli.faces.face_frame import FaceFrame
from vacli.faces.selection import SPEAKER, TrackSummary, select_tracks
from vacli.pipeline.active_speaker import ActiveSpeaker
from vacli.pipeline.audio_features import AudioFeatures
from vacli.pipeline.face_embedding import FaceEmbedder, FaceTrackFeatures


class FaceTracks:
    """All face tracks of a video, embedded while the video is read. times_s: (N,) of its frames."""

    def __init__(self, extractors: Mapping[str, Any], times_s: np.ndarray) -> None:
        self._embedder, self._times_s = FaceEmbedder(extractors), times_s
        self.speaker = ActiveSpeaker(times_s)
        self._tracks: dict[int, FaceTrackFeatures] = {}
        self._areas: dict[int, float] = {}
        self._centres: dict[int, list[float]] = {}
        self.locked: int | None = None

    def add(self, frame: FaceFrame) -> None:
        """Add the faces of one frame."""
        self.speaker.add(frame)
        if not frame.faces:
            self._embedder.submit()  # nothing will fill the batch soon
        for face in frame.faces:
            if face.track_id not in self._tracks:
                self._tracks[face.track_id] = FaceTrackFeatures(self._embedder, len(self._times_s))
            self._tracks[face.track_id].add(frame.index, face.crop, face, sharpness=face.sharpness)
            left, top, right, bottom = (float(edge) for edge in face.box)
            self._areas[face.track_id] = self._areas.get(face.track_id, 0.0) + (right - left) * (bottom - top)
            self._centres.setdefault(face.track_id, []).append((left + right) / 2)

    def embed_pending(self) -> None:
        """Embed the faces that were added, without waiting for a full batch."""
        self._embedder.submit()

    def lock_single_track(self) -> tuple[int, FaceTrackFeatures] | None:
        """If there is exactly one track so far, `select` returns it from now on, whatever follows."""
        self.embed_pending()
        if len(self._tracks) == 1:
            (self.locked,) = self._tracks
            return self.locked, self._tracks[self.locked]
        return None

    def speaking(
        self, track: int, audio: AudioFeatures, detected: np.ndarray, start: int = 0, end: int | None = None
    ) -> np.ndarray:
        """(N,) from 0 to 1: `Observation.speaking` of a track in the frames from `start` up to `end`.

        detected: (N,) bool, the frames that show the face.
        """
        times_s, present = self._times_s[start:end], audio.present[start:end]
        values, level = np.full(len(times_s), np.nan), audio.speech_level
        if level is None:
            return values
        seen, hidden = present & detected, present & ~detected
        values[seen] = self.speaker.speaking(track, times_s[seen], level)
        values[hidden] = np.where(self.speaker.others_speak(track, times_s[hidden], level), 0.0, np.nan)
        return values

    def speaking_s(self, audio: AudioFeatures) -> dict[int, float]:
        """Track -> for how many seconds it speaks; empty without sound."""
        level = audio.speech_level
        return {} if level is None else self.speaker.durations_s(level)

    def selection(self, choice: str, audio: AudioFeatures) -> list[int]:
        """The tracks that `choice` selects (`faces.selection`), without regard to a locked one."""
        speaking_s = self.speaking_s(audio) if choice == SPEAKER else {}
        summaries = [
            TrackSummary(track, self._areas[track], float(np.mean(x)), speaking_s.get(track, 0.0))
            for track, x in self._centres.items()
        ]
        return select_tracks(summaries, choice)

    def select(self, choice: str, audio: AudioFeatures) -> list[tuple[int, FaceTrackFeatures]]:
        """The locked track, or those that `choice` selects; track -1 without rows if no face was found."""
        tracks = self.selection(choice, audio) if self.locked is None else [self.locked]
        if not tracks:
            return [(-1, FaceTrackFeatures(self._embedder, len(self._times_s)))]
        return [(track, self._tracks[track]) for track in tracks]
