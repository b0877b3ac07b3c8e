"""The faces of a video, frame by frame: who is where, aligned.

A picture is searched as a whole when a shot begins, once a second (mostly at a glance), and while somebody
is missing or nobody is there; in between each person is looked for around the place before (`region`). All
landmarks come from there, so that a crop does not depend on how its face was found. Faces that lie or are
upside down are looked for in the turned picture (`orientation`).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from PIL import Image

from vacli.faces.align import warp
from vacli.faces.appearance import look
from vacli.faces.detect import Detection, Detector
from vacli.faces.identity import People, Person, without_repeats
from vacli.faces.orientation import UprightDetector, turned
from vacli.faces.quality import sharpness
from vacli.faces.roi_detect import RegionDetector
from vacli.faces.shot_boundary import CutFinder
from vacli.media.frame import Frame
from vacli.runtime.concurrency import ahead, mapped

SEARCH_EVERY_S = 1.0
FINE_SEARCH_PX = 1280  # longer side of the picture that is searched when a shot begins
GLANCE_PX = 320  # ... once a second: shows faces of a twentieth of the picture and more
FINE_EVERY = 3  # ... and every third time as when it began
COARSE_SEARCH_PX = 640  # ... while somebody is missing
# What a search finds within a shot joins so many frames later, so that nothing waits for it; no later than
# this, in which people do not get far.
TURNED_SEARCH_PX = 320  # ... and once a second while nobody is there, in the other three orientations
SEARCH_LAG_FRAMES = 5
SEARCH_LAG_S = 0.2
LOOK_AHEAD_FRAMES = 4
WORKERS = 2

Made = TypeVar("Made")


@dataclass(frozen=True, eq=False)
class Face:
    """One face in one frame. box (4,) and landmarks (5, 2) float32 in the frame's pixels; crop
    (224, 224, 3) uint8, or None where it was not asked for; blur: `quality.sharpness` of the crop;
    size_px: the longer side of the box."""

    track: int
    box: np.ndarray
    landmarks: np.ndarray
    score: float
    crop: np.ndarray | None
    blur: float
    size_px: float


@dataclass(frozen=True, eq=False)
class FaceFrame:
    """The faces of one frame, by track; none where nobody is seen."""

    index: int
    time_s: float
    faces: tuple[Face, ...]


@dataclass(frozen=True)
class FaceSettings:
    """How faces are looked for, and in which frames they are aligned: every `crop_every`th."""

    score_threshold: float = 0.9
    crop_every: int = 1


def follow(
    frames: Iterable[Frame],
    settings: FaceSettings = FaceSettings(),
    then: Callable[[FaceFrame], Made] = lambda frame: frame,
) -> Iterator[Made]:
    """The faces of each frame, in order, or what `then` makes of them.

    Frames are decoded ahead, crops made behind, in threads; `then` runs there too.
    """
    found = Follower(settings).faces(ahead(frames, LOOK_AHEAD_FRAMES))
    return mapped(lambda one: then(_aligned(*one, settings.crop_every)), found, WORKERS, LOOK_AHEAD_FRAMES)


@dataclass(frozen=True)
class Sought:
    """What is being looked for in a frame: known people, and whoever a search finds that ends there."""

    people: Mapping[Person, Future[Detection | None]]
    anybody: Future[list[Detection]] | None


class Follower:
    """Finds everybody in one frame after another.

    The network is the slowest part, so the next frame is looked at while one still is: around where people
    were two frames before, whatever the number of cores, so that results do not depend on it.
    """

    def __init__(self, settings: FaceSettings) -> None:
        self._detector = Detector(score_threshold=settings.score_threshold)
        self._upright = UprightDetector(RegionDetector(score_threshold=settings.score_threshold))
        self._cuts = CutFinder()
        self._people = People()
        self._searched_s = -np.inf
        self._turned_s = -np.inf
        self._turns = 0  # in quarters, of the picture, as the person seen last needs it
        self._before_s = -np.inf
        self._search: tuple[Future[list[Detection]], int] | None = None  # and how many frames it may take
        self._started_searches = 0  # in this shot

    def faces(self, frames: Iterable[Frame]) -> Iterator[tuple[Frame, list[tuple[int, Detection]]]]:
        """Each frame with track and face of everybody in it, by track."""
        waiting: deque[tuple[Frame, Sought]] = deque()
        with ThreadPoolExecutor(WORKERS + 1) as pool:  # a search may go on beside
            for frame in frames:
                cut = self._cuts.is_cut(frame.rgb)
                done = len(waiting) if cut else len(waiting) - WORKERS + 1
                ready = [self._finished(*waiting.popleft()) for _ in range(done)]
                if cut:
                    self._people.forget_places()
                    self._searched_s = self._turned_s = -np.inf
                    self._search = None
                    self._started_searches = 0
                waiting.append((frame, self._started(frame, pool)))
                yield from ready
            for frame, sought in waiting:
                yield self._finished(frame, sought)

    def _started(self, frame: Frame, pool: ThreadPoolExecutor) -> Sought:
        begins = frame.time_s - self._searched_s >= SEARCH_EVERY_S
        if begins:
            side_px = GLANCE_PX if self._started_searches % FINE_EVERY else FINE_SEARCH_PX
            lag = self._lag(frame) if self._started_searches else 0  # nobody is known when a shot begins
            self._search = (pool.submit(searched, self._detector, frame.rgb, side_px, self._turns), lag)
            self._started_searches += 1
            self._searched_s = frame.time_s
        self._before_s = frame.time_s
        anybody = self._due_search()
        people = {
            person: pool.submit(self._upright.near, frame.rgb, person.face, careful=begins)
            for person in self._people.known
            if person.face is not None
        }
        return Sought(people, anybody)

    def _lag(self, frame: Frame) -> int:
        """How many frames what is found may be late."""
        frame_s = max(frame.time_s - self._before_s, 1e-3)
        return min(SEARCH_LAG_FRAMES, int(SEARCH_LAG_S / frame_s + 1e-6))

    def _due_search(self) -> Future[list[Detection]] | None:
        """The search that ends in this frame, if one does."""
        if self._search is None:
            return None
        search, lag = self._search
        self._search = (search, lag - 1) if lag else None
        return None if lag else search

    def _finished(self, frame: Frame, sought: Sought) -> tuple[Frame, list[tuple[int, Detection]]]:
        around = self._people.around(frame.time_s)
        seen = self._followed(frame, around, sought.people)
        lost = bool(sought.anybody) and not self._join(frame, seen, sought.anybody.result())
        if lost or len(seen) < max(len(around), 1):
            self._join(frame, seen, searched(self._detector, frame.rgb, COARSE_SEARCH_PX, self._turns))
        if not seen and frame.time_s - self._turned_s >= SEARCH_EVERY_S:
            self._turned_s = frame.time_s
            for turns in ((self._turns + more) % 4 for more in (2, 1, 3)):
                self._join(frame, seen, searched(self._detector, frame.rgb, TURNED_SEARCH_PX, turns))
        if seen and all(person.face.quarter_turns != self._turns for person in seen):
            # The camera was turned, or is from the start: others are best found so too.
            self._turns = seen[0].face.quarter_turns
            self._join(frame, seen, searched(self._detector, frame.rgb, COARSE_SEARCH_PX, self._turns))
        return frame, sorted((person.track, person.face) for person in seen)

    def _followed(
        self, frame: Frame, around: list[Person], sought: Mapping[Person, Future[Detection | None]]
    ) -> list[Person]:
        """Those of `around` who are near where they were; two never share one face."""
        found = {person: sought[person].result() if person in sought else None for person in around}
        for person in around:
            if found[person] is None:  # too far from where the person was two frames ago, or new since
                found[person] = self._upright.near(frame.rgb, person.face)
        seen = [person for person in around if found[person]]
        if len(seen) > 1:
            order = sorted(seen, key=lambda p: -_kept_place(p, found[p]))
            own = without_repeats(found[person] for person in order)
            seen = [person for person in order if any(found[person] is face for face in own)]
        for person in seen:
            self._people.see(person, found[person], frame.time_s)
        return seen

    def _join(self, frame: Frame, seen: list[Person], anybody: list[Detection]) -> bool:
        """Whoever was found in the whole picture besides those `seen` joins them; False if somebody was found
        who is not there any more."""
        rgb = frame.rgb
        for person in seen:
            person.looks.keep(look(warp(rgb, person.face.landmarks)))
        known = [person.face for person in seen]
        strangers = without_repeats(anybody, known)
        exact = [self._upright.near(rgb, face, careful=True) for face in strangers]
        fresh = without_repeats((face for face in exact if face), known)
        looks = [look(warp(rgb, face.landmarks)) for face in fresh]
        absent = [person for person in self._people.known if person not in seen]
        seen += self._people.recognise(list(zip(fresh, looks, strict=True)), absent, frame.time_s)
        return all(exact)


def searched(detector: Detector, rgb: np.ndarray, side_px: int, quarter_turns: int = 0) -> list[Detection]:
    """Faces of a whole picture, (H, W, 3) uint8, that is first reduced to `side_px` at the longer side and
    turned counter-clockwise."""
    if quarter_turns:
        found = searched(detector, turned(rgb, quarter_turns), side_px)
        return [face.turned_back(quarter_turns, rgb.shape[1::-1]) for face in found]
    scale = side_px / max(rgb.shape[:2])
    if scale >= 1:
        return detector.detect(rgb)
    size = (round(rgb.shape[1] * scale), round(rgb.shape[0] * scale))
    small = np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BILINEAR))
    return [face.placed(1 / scale, (0.0, 0.0)) for face in detector.detect(small)]


def _kept_place(person: Person, found: Detection) -> float:
    """How little a person moved, as a share of the face's size, negative."""
    return -float(np.hypot(*(found.centre - person.face.centre))) / found.size_px


def _aligned(frame: Frame, faces: list[tuple[int, Detection]], crop_every: int) -> FaceFrame:
    rgb = None if frame.index % crop_every else frame.rgb
    return FaceFrame(frame.index, frame.time_s, tuple(_face(rgb, *face) for face in faces))


def _face(rgb: np.ndarray | None, track: int, found: Detection) -> Face:
    crop = None if rgb is None else warp(rgb, found.landmarks)
    blur = math.nan if crop is None else sharpness(crop)
    return Face(track, found.box, found.landmarks, found.score, crop, blur, found.size_px)
