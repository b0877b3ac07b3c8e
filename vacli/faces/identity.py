"""Track identities that survive short occlusions and shot boundaries.

Within a shot, a face is assigned to the track whose box it overlaps in the frame before. After an occlusion
of up to MEMORY_S it must overlap the track's last box and look similar. In all other cases, and always after
a shot boundary, similarity of appearance decides. The appearance embedding is not invariant to lighting: a
face that returns in other light starts a new track and does not take over the track of another person.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from vacli.faces.detect import Detection, iou

MEMORY_S = 1.0
MIN_IOU = 0.2  # with the track's last box
DUPLICATE_IOU = 0.4
THUMBNAIL_PX = 16
GALLERY_SIZE = 8  # embeddings
# Measured: the same person seconds apart has a similarity of 0.78 to 0.99, two people have at most 0.66.
MIN_SIMILARITY = 0.75
MIN_SIMILARITY_NEARBY = 0.5  # if the boxes overlap too
DUPLICATE_SIMILARITY = 0.95


def embed_appearance(crop: np.ndarray) -> np.ndarray:
    """Embed an aligned face, (H, W, 3) uint8, as a unit vector: a thumbnail minus its mean colour.

    Returns: (3 * THUMBNAIL_PX**2,) float32.
    """
    small = Image.fromarray(crop).resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX)
    pixels = np.asarray(small, np.float32).reshape(-1, 3)
    centred = (pixels - pixels.mean(0)).ravel()
    return centred / max(float(np.linalg.norm(centred)), 1e-6)


class AppearanceGallery:
    """The latest distinct appearance embeddings of one track."""

    def __init__(self) -> None:
        self._embeddings: deque[np.ndarray] = deque(maxlen=GALLERY_SIZE)

    def similarity(self, embedding: np.ndarray) -> float:
        """Return the cosine similarity in [-1, 1] to the nearest embedding, -1 for an empty gallery."""
        return max((float(kept @ embedding) for kept in self._embeddings), default=-1.0)

    def add(self, embedding: np.ndarray) -> None:
        """Add an embedding, unless the gallery holds a nearly equal one."""
        if self.similarity(embedding) < DUPLICATE_SIMILARITY:
            self._embeddings.append(embedding)


@dataclass(eq=False)
class Track:
    """One tracked person. face: the last detection in this shot, None if it is older than MEMORY_S.

    seen_s: the time of the last detection.
    """

    track_id: int
    face: Detection | None
    seen_s: float
    gallery: AppearanceGallery = field(default_factory=AppearanceGallery)

    def match_score(self, found: Detection, embedding: np.ndarray) -> float:
        """Return the similarity of a detection to this track, 0 where it is too low for a match."""
        similarity = self.gallery.similarity(embedding)
        nearby = self.face is not None and is_nearby(self.face, found)
        return similarity if similarity > (MIN_SIMILARITY_NEARBY if nearby else MIN_SIMILARITY) else 0.0


class TrackSet:
    """All tracks of one video. next_id: the number of the next new track."""

    def __init__(self, next_id: int = 0) -> None:
        self.tracks: list[Track] = []
        self.next_id = next_id

    def forget(self, before_s: float, most: int) -> None:
        """Drop the tracks that were last seen before a time, and the oldest above a number of them."""
        recent = sorted(self.tracks, key=lambda track: -track.seen_s)[:most]
        self.tracks = [track for track in self.tracks if track.seen_s >= before_s and track in recent]

    def active(self, time_s: float) -> dict[Track, Detection]:
        """Return the last detection of each track that has one in this shot within the last MEMORY_S."""
        for track in self.tracks:
            if track.face is not None and time_s - track.seen_s > MEMORY_S:
                track.face = None
        return {track: track.face for track in self.tracks if track.face is not None}

    def clear_positions(self) -> None:
        """Drop the last boxes, which mean nothing after a shot boundary."""
        for track in self.tracks:
            track.face = None

    def update(self, track: Track, face: Detection, time_s: float) -> None:
        """Set a track's current detection."""
        track.face, track.seen_s = face, time_s

    def corrected(
        self, seen: Mapping[Track, Detection], embeddings: Mapping[Track, np.ndarray], time_s: float
    ) -> dict[Track, Detection]:
        """Return the detections with the tracks that they look like, where two people changed places.

        A track is exchanged only if its face no longer looks like itself, and like another such one.
        """
        doubted = [t for t in seen if t.gallery.similarity(embeddings[t]) < MIN_SIMILARITY]
        pairs = [
            (track.gallery.similarity(embeddings[place]), track, place)
            for track in doubted
            for place in doubted
        ]
        found: dict[Track, Track] = {}
        for score, track, place in sorted(pairs, key=lambda pair: -pair[0]):
            if score > MIN_SIMILARITY and track not in found and place not in found.values():
                found[track] = place
        if set(found) != set(found.values()):  # somebody came from elsewhere, or left
            return dict(seen)
        exchanged = {track: seen[place] for track, place in found.items()}
        for track, face in exchanged.items():
            self.update(track, face, time_s)
        return {**seen, **exchanged}

    def reidentify(
        self,
        found: Sequence[tuple[Detection, np.ndarray]],
        lost: Iterable[Track],
        time_s: float,
    ) -> list[Track]:
        """Assign detections with embeddings to `lost` tracks, most similar pair first, else to new tracks."""
        pairs = [
            (track.match_score(face, embedding), number, track)
            for track in lost
            for number, (face, embedding) in enumerate(found)
        ]
        assigned: dict[int, Track] = {}
        for score, number, track in sorted(pairs, key=lambda pair: -pair[0]):
            if score > 0 and number not in assigned and track not in assigned.values():
                assigned[number] = track
        for number, (face, embedding) in enumerate(found):
            if number not in assigned:
                assigned[number] = Track(self.next_id, face, time_s)
                self.tracks.append(assigned[number])
                self.next_id += 1
            assigned[number].gallery.add(embedding)
            self.update(assigned[number], face, time_s)
        return [assigned[number] for number in range(len(found))]


def is_nearby(last: Detection, found: Detection) -> bool:
    """Return whether two detections overlap enough to be of one face in successive frames."""
    return bool(iou(last.box, found.box[np.newaxis])[0] > MIN_IOU)


def drop_duplicates(found: Iterable[Detection], known: Sequence[Detection] = ()) -> list[Detection]:
    """Return the detections that overlap neither a `known` one nor an earlier one by DUPLICATE_IOU."""
    kept: list[Detection] = []
    for face in found:
        others = [*known, *kept]
        if not others or iou(face.box, np.stack([o.box for o in others])).max() <= DUPLICATE_IOU:
            kept.append(face)
    return kept
