"""Face tracking in frames that are still arriving: the faces of each frame at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from vacli.faces.face_frame import FaceFrame, FaceSettings, align_faces
from vacli.faces.identity import TrackSet
from vacli.faces.tracker import SEARCH_INTERVAL_S, WORKERS, FaceTracker, Positions
from vacli.media.reader import Frame

FORGET_AFTER_S = 300.0  # a track that was not seen for so long is forgotten
MAX_TRACKS = 64
BLANK_SEARCH_S = 0.1  # a search of the whole picture takes half of the time between two frames


class LiveFaceTracker:
    """As `tracker.track_faces`, with the same faces, but without frames ahead; memory is constant.

    Only a face that appears after half a second without any may be detected BLANK_SEARCH_S later. next_id:
    the number of the first track.
    """

    def __init__(self, settings: FaceSettings, next_id: int = 0) -> None:
        self._settings = settings
        self._tracker = FaceTracker(replace(settings, blank_search_s=BLANK_SEARCH_S))
        self._tracker.tracks = TrackSet(next_id)
        self._pool = ThreadPoolExecutor(WORKERS + 1)
        self._known: list[Positions] = []  # of the frames before, the oldest is used
        self._cleaned_s = -float("inf")

    @property
    def next_id(self) -> int:
        """The number of the next new track."""
        return self._tracker.tracks.next_id

    def add(self, frame: Frame, settings: FaceSettings | None = None) -> FaceFrame:
        """Return the faces of a frame. settings: of this frame's crops, if they differ."""
        if self._tracker.is_cut(frame):
            self._tracker.begin_shot()
            self._known = [self._tracker.positions()]
        pending = self._tracker.start(frame, self._pool, self._known[0])
        _, found = self._tracker.finish(frame, pending)
        self._known = [*self._known[-(WORKERS - 1) :], self._tracker.positions()]
        if frame.time_s - self._cleaned_s >= SEARCH_INTERVAL_S:
            self._cleaned_s = frame.time_s
            self._tracker.tracks.forget(frame.time_s - FORGET_AFTER_S, MAX_TRACKS)
        return align_faces(frame, found, settings or self._settings)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(cancel_futures=True)
