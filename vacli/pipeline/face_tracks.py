"""The face tracks of one video with their features, until it is known which tracks are selected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vacli.faces.selection import TrackSummary, select_tracks
from vacli.faces.tracker import FaceFrame
from vacli.pipeline.face_embedding import FaceEmbedder, FaceTrackFeatures


class FaceTracks:
    """All face tracks of a video of `count` frames, embedded while the video is read."""

    def __init__(self, extractors: Mapping[str, Any], count: int) -> None:
        self._embedder, self._count = FaceEmbedder(extractors), count
        self._tracks: dict[int, FaceTrackFeatures] = {}
        self._areas: dict[int, float] = {}
        self._centres: dict[int, list[float]] = {}
        self.locked: int | None = None

    def add(self, frame: FaceFrame) -> None:
        """Add the faces of one frame."""
        if not frame.faces:
            self._embedder.submit()  # nothing will fill the batch soon
        for face in frame.faces:
            if face.track_id not in self._tracks:
                self._tracks[face.track_id] = FaceTrackFeatures(self._embedder, self._count)
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

    def selection(self, choice: str) -> list[int]:
        """The tracks that `choice` selects (`faces.selection`), without regard to a locked one."""
        summaries = [
            TrackSummary(track, self._areas[track], float(np.mean(x))) for track, x in self._centres.items()
        ]
        return select_tracks(summaries, choice)

    def select(self, choice: str) -> list[tuple[int, FaceTrackFeatures]]:
        """The locked track, or those that `choice` selects; track -1 without rows if no face was found."""
        tracks = self.selection(choice) if self.locked is None else [self.locked]
        if not tracks:
            return [(-1, FaceTrackFeatures(self._embedder, self._count))]
        return [(track, self._tracks[track]) for track in tracks]
