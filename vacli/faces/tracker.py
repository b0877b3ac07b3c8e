"""Face tracking in a video: detections with track ids, frame by frame, and their aligned crops.

The whole picture is searched when a shot begins, once a second (two of three times at low resolution), and
while a track is lost or no face is visible. In between, each face is detected again around its last box
(`roi_detect`). All landmarks come from that second detector, so a crop does not depend on how its face was
found. Rotated and upside-down faces are detected in the rotated picture (`orientation`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from vacli.faces.align import align_face
from vacli.faces.detect import Detection, Detector
from vacli.faces.face_frame import FaceFrame, FaceSettings, align_faces
from vacli.faces.identity import Track, TrackSet, drop_duplicates, embed_appearance, is_nearby
from vacli.faces.orientation import UprightDetector
from vacli.faces.roi_detect import RegionDetector
from vacli.faces.search import search_faces
from vacli.faces.shot_boundary import ShotBoundaryDetector
from vacli.media.reader import Frame
from vacli.runtime.concurrency import parallel_map, prefetch

DEFAULTS = FaceSettings()
SEARCH_INTERVAL_S = 1.0
# Longer side of the searched picture:
FINE_SEARCH_PX = 1280  # when a shot begins, and in every FINE_SEARCH_STRIDE-th regular search
FAST_SEARCH_PX = 320  # in the other regular searches; finds faces of a twentieth of the picture and more
FINE_SEARCH_STRIDE = 3
COARSE_SEARCH_PX = 640  # while a track is lost
ROTATED_SEARCH_PX = 320  # once a second while no face is visible, in the other three orientations
# A search within a shot runs in the background. Its result is used this many frames later, but no later than
# SEARCH_LAG_S, in which faces move little.
SEARCH_LAG_FRAMES = 5
SEARCH_LAG_S = 0.2
BLANK_S = 0.5
LOOK_AHEAD_FRAMES = 4
WORKERS = 2

Result = TypeVar("Result")


def track_faces(frames: Iterable[Frame], settings: FaceSettings = DEFAULTS) -> Iterator[FaceFrame]:
    """Return the faces of each frame, in order. Frames are decoded ahead, crops made behind, in threads."""
    return map_face_frames(frames, lambda frame: frame, settings)


def map_face_frames(
    frames: Iterable[Frame],
    function: Callable[[FaceFrame], Result],
    settings: FaceSettings = DEFAULTS,
) -> Iterator[Result]:
    """Apply a function to the result of `track_faces` for each frame, in its worker threads."""
    found = FaceTracker(settings).detections(prefetch(frames, LOOK_AHEAD_FRAMES))
    return parallel_map(
        lambda item: function(align_faces(*item, settings)), found, WORKERS, LOOK_AHEAD_FRAMES
    )


@dataclass(frozen=True)
class Positions:
    """The last detections of all tracks, and the orientation of the latest face in quarter turns."""

    faces: Mapping[Track, Detection]
    turns: int


@dataclass(frozen=True)
class PendingDetections:
    """The running detections of a frame: one for each track, and the search that ends in this frame.

    is_changed: whether the picture differs so much from the one before that people may have changed places.
    """

    by_track: Mapping[Track, Future[Detection | None]]
    search: Future[list[Detection]] | None
    is_changed: bool


class FaceTracker:
    """Detects and tracks all faces in successive frames.

    The network is the slowest part. So the next frame is processed while one still is, around the boxes of
    two frames before. This lag does not depend on the number of cores, so neither do the results.
    """

    def __init__(self, settings: FaceSettings) -> None:
        self._detector = Detector(score_threshold=settings.score_threshold)
        self._upright = UprightDetector(RegionDetector(score_threshold=settings.score_threshold))
        self._shots = ShotBoundaryDetector()
        self.tracks = TrackSet()
        self._searched_s = -np.inf
        self._rotated_search_s = -np.inf
        self._blank_search_s = settings.blank_search_s
        self._blank_since_s = np.inf  # the first frame without a face
        self._last_blank_search_s = -np.inf
        self._turns = 0  # quarter turns of the picture in which the latest face is upright
        self._previous_s = -np.inf
        self._search: tuple[Future[list[Detection]], int] | None = None  # and the frames until it is used
        self._searches_in_shot = 0

    def detections(self, frames: Iterable[Frame]) -> Iterator[tuple[Frame, list[tuple[int, Detection]]]]:
        """Yield each frame with the track id and the detection of every face in it, by track id."""
        waiting: deque[tuple[Frame, PendingDetections]] = deque()
        with ThreadPoolExecutor(WORKERS + 1) as pool:  # one more for the background search
            for frame in frames:
                is_cut = self.is_cut(frame)
                count = len(waiting) if is_cut else len(waiting) - WORKERS + 1
                ready = [self.finish(*waiting.popleft()) for _ in range(count)]
                if is_cut:
                    self.begin_shot()
                waiting.append((frame, self.start(frame, pool, self.positions())))
                yield from ready
            for frame, pending in waiting:
                yield self.finish(frame, pending)

    def is_cut(self, frame: Frame) -> bool:
        """Return whether a frame begins a shot; to be asked once for each frame."""
        return self._shots.is_cut(frame.rgb)

    def begin_shot(self) -> None:
        """Drop the positions of the shot before, when all of its frames are finished."""
        self.tracks.clear_positions()
        self._searched_s = self._rotated_search_s = -np.inf
        self._blank_since_s = np.inf
        self._search = None
        self._searches_in_shot = 0

    def positions(self) -> Positions:
        """Return the present positions."""
        faces = {track: track.face for track in self.tracks.tracks if track.face is not None}
        return Positions(faces, self._turns)

    def start(self, frame: Frame, pool: ThreadPoolExecutor, known: Positions) -> PendingDetections:
        """Start the detections around `known` positions, those of WORKERS frames before in the same shot."""
        is_due = frame.time_s - self._searched_s >= SEARCH_INTERVAL_S
        if is_due:
            side_px = FAST_SEARCH_PX if self._searches_in_shot % FINE_SEARCH_STRIDE else FINE_SEARCH_PX
            lag = self._search_lag(frame) if self._searches_in_shot else 0  # a new shot has no tracks yet
            self._search = (pool.submit(search_faces, self._detector, frame.rgb, side_px, known.turns), lag)
            self._searches_in_shot += 1
            self._searched_s = frame.time_s
        self._previous_s = frame.time_s
        search = self._search_to_use()
        by_track = {
            track: pool.submit(self._upright.redetect, frame.rgb, face, careful=is_due)
            for track, face in known.faces.items()
        }
        return PendingDetections(by_track, search, self._shots.is_changed)

    def _search_lag(self, frame: Frame) -> int:
        """Return after how many frames the result of a search is used."""
        frame_s = max(frame.time_s - self._previous_s, 1e-3)
        return min(SEARCH_LAG_FRAMES, int(SEARCH_LAG_S / frame_s + 1e-6))

    def _search_to_use(self) -> Future[list[Detection]] | None:
        """Return the search whose result is used in this frame, if there is one."""
        if self._search is None:
            return None
        search, lag = self._search
        self._search = (search, lag - 1) if lag else None
        return None if lag else search

    def finish(self, frame: Frame, pending: PendingDetections) -> tuple[Frame, list[tuple[int, Detection]]]:
        """Return a frame with the track id and the detection of every face in it, by track id."""
        active = self.tracks.active(frame.time_s)
        seen = self._redetect(frame, active, pending.by_track)
        if len(seen) > 1 and (pending.is_changed or pending.search is not None):
            seen = self.tracks.corrected(seen, self._appearances(frame, seen), frame.time_s)
        is_stale = pending.search is not None and not self._add(frame, seen, pending.search.result())
        is_lost = len(seen) < len(active) or (not seen and self._is_blank_search_due(frame.time_s))
        if is_stale or is_lost:
            self._add(frame, seen, self._searched(frame, COARSE_SEARCH_PX, self._turns))
        if not seen and frame.time_s - self._rotated_search_s >= SEARCH_INTERVAL_S:
            self._rotated_search_s = frame.time_s
            for turns in ((self._turns + more) % 4 for more in (2, 1, 3)):
                self._add(frame, seen, self._searched(frame, ROTATED_SEARCH_PX, turns))
        if seen and all(face.quarter_turns != self._turns for face in seen.values()):
            # The camera is rotated: other faces are found best in the same orientation.
            self._turns = next(iter(seen.values())).quarter_turns
            self._add(frame, seen, self._searched(frame, COARSE_SEARCH_PX, self._turns))
        self._blank_since_s = np.inf if seen else min(self._blank_since_s, frame.time_s)
        return frame, sorted((track.track_id, face) for track, face in seen.items())

    def _is_blank_search_due(self, time_s: float) -> bool:
        """Return whether the picture is searched in a frame without a face."""
        is_new = time_s - self._blank_since_s <= BLANK_S
        if not is_new and time_s - self._last_blank_search_s < self._blank_search_s - 1e-6:
            return False
        self._last_blank_search_s = time_s
        return True

    def _searched(self, frame: Frame, side_px: int, turns: int) -> list[Detection]:
        return search_faces(self._detector, frame.rgb, side_px, turns)

    def _redetect(
        self,
        frame: Frame,
        active: Mapping[Track, Detection],
        by_track: Mapping[Track, Future[Detection | None]],
    ) -> dict[Track, Detection]:
        """Return the detections of the active tracks near their last boxes; no two share one face."""
        found: dict[Track, Detection] = {}
        for track, last in active.items():
            # A track has no result if it is new, or if its face moved too far within two frames.
            face = by_track[track].result() if track in by_track else None
            if face is None or not is_nearby(face, last):
                face = self._upright.redetect(frame.rgb, last)
            if face is not None:
                found[track] = face
        if len(found) > 1:
            order = sorted(found, key=lambda track: _displacement(active[track], found[track]))
            distinct = drop_duplicates(found[track] for track in order)
            found = {t: found[t] for t in order if any(found[t] is face for face in distinct)}
        for track, face in found.items():
            self.tracks.update(track, face, frame.time_s)
        return found

    def _appearances(self, frame: Frame, seen: Mapping[Track, Detection]) -> dict[Track, np.ndarray]:
        return {
            track: embed_appearance(align_face(frame.rgb, face.landmarks)) for track, face in seen.items()
        }

    def _add(self, frame: Frame, seen: dict[Track, Detection], candidates: list[Detection]) -> bool:
        """Add the `candidates` of a search that are not in `seen` yet to it, as known or new tracks.

        Returns False if one of them cannot be detected again in this frame.
        """
        rgb = frame.rgb
        for track, appearance in self._appearances(frame, seen).items():
            track.gallery.add(appearance)
        known = list(seen.values())
        unknown = drop_duplicates(candidates, known)
        exact = [self._upright.redetect(rgb, face, careful=True) for face in unknown]
        new = drop_duplicates((face for face in exact if face), known)
        embeddings = [embed_appearance(align_face(rgb, face.landmarks)) for face in new]
        lost = [track for track in self.tracks.tracks if track not in seen]
        tracks = self.tracks.reidentify(list(zip(new, embeddings, strict=True)), lost, frame.time_s)
        seen.update(zip(tracks, new, strict=True))
        return all(exact)


def _displacement(last: Detection, found: Detection) -> float:
    """Return how far a face moved, as a fraction of its size."""
    return float(np.hypot(*(found.centre - last.centre))) / found.size_px
