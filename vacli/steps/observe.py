"""What one recording shows and sounds like, in memory: the way from a file to rows without a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vacli.clock import SOUND_CLOCK_HZ, regular_times
from vacli.errors import InputError
from vacli.faces.align import enlarged
from vacli.faces.choose import Presence, chosen
from vacli.faces.follow import Face, FaceFrame, follow
from vacli.faces.stills import Aligner
from vacli.media.audio import Sound, read_sound
from vacli.media.crops import CropFolder, read_image
from vacli.media.video import open_video
from vacli.progress import Progress

BATCH = 64  # crops that go through the visual network at once


@dataclass(frozen=True, eq=False)
class FaceRows:
    """Whose face was seen where. found (N,) bool; score (N,), box (N, 4) x0 y0 x1 y1 px, NaN where none."""

    found: np.ndarray
    score: np.ndarray
    box: np.ndarray

    @classmethod
    def nobody(cls, count: int) -> FaceRows:
        """No face in `count` frames."""
        return cls(np.zeros(count, bool), np.full(count, np.nan), np.full((count, 4), np.nan))


@dataclass(frozen=True, eq=False, kw_only=True)
class Observation:
    """One person in one recording.

    times_s (N,) float64. person: identity in the recording, -1 without faces. features: name -> (N, D)
    float32, NaN rows where missing. audio_ok (N,) bool.
    """

    times_s: np.ndarray
    person: int
    faces: FaceRows
    audio_ok: np.ndarray
    features: Mapping[str, np.ndarray]


@dataclass
class FaceReader:
    """Collects one person's faces and describes them in batches, so that no crops pile up."""

    extractors: Mapping[str, Any]
    count: int
    rows: FaceRows = field(init=False)
    features: dict[str, np.ndarray] = field(init=False)
    _crops: list[np.ndarray] = field(default_factory=list)
    _places: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rows = FaceRows.nobody(self.count)
        self.features = {
            name: np.full((self.count, extractor.spec.dim), np.nan, np.float32)
            for name, extractor in self.extractors.items()
        }

    def add(self, index: int, face: Face) -> None:
        """Take the person's face in frame `index`."""
        self.rows.found[index] = True
        self.rows.score[index] = face.score
        self.rows.box[index] = face.box
        self.add_crop(index, face.crop)

    def add_crop(self, index: int, crop: np.ndarray) -> None:
        """Take an aligned face (224, 224, 3) uint8 as it is."""
        self.rows.found[index] = True
        self._crops.append(crop)
        self._places.append(index)
        if len(self._crops) == BATCH:
            self.flush()

    def flush(self) -> None:
        """Describe what has been collected."""
        if self._crops:
            crops = np.stack(self._crops)
            for name, extractor in self.extractors.items():
                self.features[name][self._places] = extractor.extract(crops)
        self._crops.clear()
        self._places.clear()


@dataclass(frozen=True)
class Senses:
    """The extractors that a model needs, by feature name, built once for all recordings."""

    visual: Mapping[str, Any]
    audio: Mapping[str, Any]

    def hear(self, sound: Sound | None, times_s: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Where there is sound, (N,) bool, and the features at `times_s`."""
        if sound is None:
            nothing = {
                n: np.full((len(times_s), e.spec.dim), np.nan, np.float32) for n, e in self.audio.items()
            }
            return np.zeros(len(times_s), bool), nothing
        return sound.ok_at(times_s), {n: e.extract(sound, times_s) for n, e in self.audio.items()}


@dataclass(frozen=True)
class Look:
    """How recordings are looked at: what is computed, whose face, by which video backend."""

    senses: Senses
    face: str
    backend: str


class Crowd:
    """Everybody in one video, each described as they come; who was wanted is known at the end."""

    def __init__(self, senses: Senses, count: int) -> None:
        self._senses, self._count = senses, count
        self._readers: dict[int, FaceReader] = {}
        self._areas: dict[int, float] = {}
        self._centres: dict[int, list[float]] = {}

    def add(self, frame: FaceFrame) -> None:
        """Take the faces of one frame."""
        for face in frame.faces:
            if face.track not in self._readers:
                self._readers[face.track] = FaceReader(self._senses.visual, self._count)
            self._readers[face.track].add(frame.index, face)
            left, top, right, bottom = (float(edge) for edge in face.box)
            self._areas[face.track] = self._areas.get(face.track, 0.0) + (right - left) * (bottom - top)
            self._centres.setdefault(face.track, []).append((left + right) / 2)

    def wanted(self, choice: str) -> list[tuple[int, FaceReader]]:
        """Those whom `choice` means (`faces.choose`); a reader without rows where nobody was seen."""
        seen = [Presence(track, self._areas[track], float(np.mean(x))) for track, x in self._centres.items()]
        tracks = chosen(seen, choice)
        if not tracks:
            return [(-1, FaceReader(self._senses.visual, self._count))]
        return [(track, self._readers[track]) for track in tracks]


def observe_video(path: Path, look: Look, progress: Progress) -> list[Observation]:
    """The wanted people of a video, with its sound: one row a frame that the container shows."""
    with open_video(path, look.backend) as video:
        crowd = Crowd(look.senses, len(video))
        with progress.task(path.name, len(video), "frames") as advance:
            for frame in follow(video):
                crowd.add(frame)
                advance(1)
        times_s, broken = video.times_s, video.broken
    if broken:
        progress.warn(f"{path}: {broken}; what was before is used")
    sound = read_sound(path)
    return [
        _together(look.senses, times_s, reader, sound, person) for person, reader in crowd.wanted(look.face)
    ]


def observe_sound(path: Path, senses: Senses) -> Observation:
    """A sound file on its own clock of 25 rows a second."""
    sound = read_sound(path)
    if sound is None:
        raise InputError(f"{path} holds no sound")
    times_s = regular_times(max(1, round(sound.duration_s * SOUND_CLOCK_HZ)), SOUND_CLOCK_HZ)
    return _together(senses, times_s, FaceReader(senses.visual, len(times_s)), sound)


def observe_crops(path: Path, senses: Senses, progress: Progress) -> Observation:
    """A folder of aligned faces, a row a number, on a clock of 25 rows a second: it states none."""
    folder = CropFolder(path)
    reader = FaceReader(senses.visual, len(folder))
    with progress.task(path.name, len(folder.rows), "faces") as advance:
        for row, picture in folder:
            reader.add_crop(row, enlarged(picture))
            advance(1)
    times_s = regular_times(len(folder), SOUND_CLOCK_HZ)
    return _together(senses, times_s, reader, None, person=0)


def observe_still(path: Path, senses: Senses, aligner: Aligner) -> Observation:
    """A picture for itself: one row, aligned, or the whole picture where no face is found."""
    still = aligner.align(read_image(path))
    reader = FaceReader(senses.visual, 1)
    reader.add_crop(0, still.crop)
    reader.rows.found[0] = still.face is not None
    if still.face is not None:
        reader.rows.score[0], reader.rows.box[0] = still.face.score, still.face.box
    return _together(senses, np.zeros(1), reader, None, person=0 if still.face is not None else -1)


def _together(
    senses: Senses, times_s: np.ndarray, reader: FaceReader, sound: Sound | None, person: int = -1
) -> Observation:
    reader.flush()
    audio_ok, heard = senses.hear(sound, times_s)
    return Observation(
        times_s=times_s,
        person=person,
        faces=reader.rows,
        audio_ok=audio_ok,
        features={**reader.features, **heard},
    )
