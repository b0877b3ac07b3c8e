"""What one recording shows and sounds like, in memory: the way from a file to rows without a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vacli.clock import SOUND_CLOCK_HZ, median_rate_hz, regular_times
from vacli.errors import InputError
from vacli.faces.align import enlarged
from vacli.faces.choose import Presence, chosen
from vacli.faces.detect import Detection
from vacli.faces.follow import Face, FaceFrame, FaceSettings, follow
from vacli.faces.stills import Aligner
from vacli.media.audio import Sound, read_sound
from vacli.media.crops import CropFolder, read_image
from vacli.media.video import open_video
from vacli.progress import Progress

DESCRIBED_HZ = 15.0  # faces change more slowly than frames: no more a second are described
MOST_BETWEEN = 8  # rows
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


class Describer:
    """Describes faces in batches, whoever they are of, so that no crops pile up."""

    def __init__(self, extractors: Mapping[str, Any]) -> None:
        self.extractors = extractors
        self._waiting: list[tuple[np.ndarray, dict[str, list[np.ndarray]]]] = []

    def add(self, crop: np.ndarray, rows: dict[str, list[np.ndarray]]) -> None:
        """Append the features of a crop (224, 224, 3) uint8 to `rows`, at the latest with `flush`."""
        self._waiting.append((crop, rows))
        if len(self._waiting) == BATCH:
            self.flush()

    def flush(self) -> None:
        """Describe what has been collected."""
        if self._waiting:
            crops = np.stack([crop for crop, _ in self._waiting])
            for name, extractor in self.extractors.items():
                for (_, rows), row in zip(self._waiting, extractor.extract(crops), strict=True):
                    rows[name].append(row)
        self._waiting.clear()


class FaceReader:
    """One person's faces among `count` frames; memory goes with the frames that the person is in."""

    def __init__(self, describer: Describer, count: int) -> None:
        self._describer, self._count = describer, count
        self._places: list[int] = []
        self._described: list[int] = []
        self._found: list[bool] = []
        self._seen: list[tuple[float, ...]] = []
        self._features: dict[str, list[np.ndarray]] = {name: [] for name in describer.extractors}

    def add(
        self, index: int, crop: np.ndarray | None, face: Face | Detection | None, found: bool = True
    ) -> None:
        """Take an aligned face (224, 224, 3) uint8 of frame `index`; `face` tells where it was, if known.

        Without a crop the frame is described by those around it.
        """
        self._places.append(index)
        self._found.append(found)
        self._seen.append((np.nan,) * 5 if face is None else (face.score, *face.box))
        if crop is not None:
            self._described.append(index)
            self._describer.add(crop, self._features)

    def rows(self) -> FaceRows:
        """Where the faces were, a row a frame."""
        rows = FaceRows.nobody(self._count)
        if self._places:
            seen = np.array(self._seen, np.float64)
            rows.found[self._places] = self._found
            rows.score[self._places], rows.box[self._places] = seen[:, 0], seen[:, 1:]
        return rows

    def features(self) -> dict[str, np.ndarray]:
        """Feature -> (count, D) float32, NaN rows where there is no face."""
        self._describer.flush()
        made = {}
        for name, extractor in self._describer.extractors.items():
            made[name] = np.full((self._count, extractor.spec.dim), np.nan, np.float32)
            if self._described:
                made[name][self._described] = self._features[name]
                _fill_between(made[name], np.array(self._described), np.array(self._places))
        return made


def _fill_between(rows: np.ndarray, described: np.ndarray, places: np.ndarray) -> None:
    """Give rows at `places` that lack a description that of the described ones around: in between the two, or
    the nearer one where the other is farther than MOST_BETWEEN rows. Rows (N, D) are changed in place."""
    lacking = np.setdiff1d(places, described)
    after = np.searchsorted(described, lacking).clip(1, len(described) - 1) if len(described) > 1 else 0
    left, right = described[np.maximum(after - 1, 0)], described[after]
    share = np.clip((lacking - left) / np.maximum(right - left, 1), 0, 1)
    share = np.where(np.abs(right - lacking) > MOST_BETWEEN, 0.0, share)
    share = np.where(np.abs(lacking - left) > MOST_BETWEEN, 1.0, share)
    near = np.minimum(np.abs(lacking - left), np.abs(right - lacking)) <= MOST_BETWEEN
    mixed = rows[left] * (1 - share)[:, np.newaxis] + rows[right] * share[:, np.newaxis]
    rows[lacking[near]] = mixed[near]


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
    """How recordings are looked at: what is computed, whose face, by which video backend; `sparse`: faces are
    described DESCRIBED_HZ times a second, the frames in between by interpolation."""

    senses: Senses
    face: str
    backend: str
    sparse: bool = False


class Crowd:
    """Everybody in one video, each described as they come; who was wanted is known at the end."""

    def __init__(self, senses: Senses, count: int) -> None:
        self._describer, self._count = Describer(senses.visual), count
        self._readers: dict[int, FaceReader] = {}
        self._areas: dict[int, float] = {}
        self._centres: dict[int, list[float]] = {}

    def add(self, frame: FaceFrame) -> None:
        """Take the faces of one frame."""
        for face in frame.faces:
            if face.track not in self._readers:
                self._readers[face.track] = FaceReader(self._describer, self._count)
            self._readers[face.track].add(frame.index, face.crop, face)
            left, top, right, bottom = (float(edge) for edge in face.box)
            self._areas[face.track] = self._areas.get(face.track, 0.0) + (right - left) * (bottom - top)
            self._centres.setdefault(face.track, []).append((left + right) / 2)

    def wanted(self, choice: str) -> list[tuple[int, FaceReader]]:
        """Those whom `choice` means (`faces.choose`); a reader without rows where nobody was seen."""
        seen = [Presence(track, self._areas[track], float(np.mean(x))) for track, x in self._centres.items()]
        tracks = chosen(seen, choice)
        if not tracks:
            return [(-1, FaceReader(self._describer, self._count))]
        return [(track, self._readers[track]) for track in tracks]


def observe_video(path: Path, look: Look, progress: Progress) -> list[Observation]:
    """The wanted people of a video, with its sound: one row a frame that the container shows."""
    with open_video(path, look.backend) as video:
        crowd = Crowd(look.senses, len(video))
        with progress.task(path.name, len(video), "frames") as advance:
            every = _every(video.times_s) if look.sparse else 1
            for frame in follow(video, FaceSettings(crop_every=every)):
                crowd.add(frame)
                advance(1)
        times_s, broken = video.times_s, video.broken
    if broken:
        progress.warn(f"{path}: {broken}; what was before is used")
    sound = read_sound(path)
    if sound is not None and sound.broken:
        progress.warn(f"{path}: {sound.broken}; the sound before it is used")
    return [
        _together(look.senses, times_s, reader, sound, person) for person, reader in crowd.wanted(look.face)
    ]


def _every(times_s: np.ndarray) -> int:
    """One in how many frames is described at DESCRIBED_HZ."""
    rate_hz = median_rate_hz(times_s)
    return max(1, round(rate_hz / DESCRIBED_HZ)) if np.isfinite(rate_hz) else 1


def observe_sound(path: Path, senses: Senses) -> Observation:
    """A sound file on its own clock of 25 rows a second."""
    sound = read_sound(path)
    if sound is None:
        raise InputError(f"{path} holds no sound")
    times_s = regular_times(max(1, round(sound.duration_s * SOUND_CLOCK_HZ)), SOUND_CLOCK_HZ)
    return _together(senses, times_s, FaceReader(Describer(senses.visual), len(times_s)), sound)


def observe_crops(path: Path, senses: Senses, progress: Progress) -> Observation:
    """A folder of aligned faces, a row a number, on a clock of 25 rows a second: it states none."""
    folder = CropFolder(path)
    reader = FaceReader(Describer(senses.visual), len(folder))
    with progress.task(path.name, len(folder.rows), "faces") as advance:
        for row, picture in folder:
            reader.add(row, enlarged(picture), None)
            advance(1)
    times_s = regular_times(len(folder), SOUND_CLOCK_HZ)
    return _together(senses, times_s, reader, None, person=0)


def observe_still(path: Path, look: Look, aligner: Aligner) -> Observation:
    """A picture for itself: one row, aligned, or the whole picture where no face is found.

    Where faces of a video are described sparsely there is time to look at a still in a mirror as well: the
    description is the mean of both.
    """
    still = aligner.align(read_image(path))
    seen = np.stack([still.crop, still.crop[:, ::-1]] if look.sparse else [still.crop])
    there = still.face is not None
    reader = FaceReader(Describer(look.senses.visual), 1)
    reader.add(0, None, still.face, found=there)
    described = {
        name: extractor.extract(seen).mean(axis=0, keepdims=True)
        for name, extractor in look.senses.visual.items()
    }
    seen_and_heard = _together(look.senses, np.zeros(1), reader, None, person=0 if there else -1)
    return replace(seen_and_heard, features=dict(seen_and_heard.features) | described)


def _together(
    senses: Senses, times_s: np.ndarray, reader: FaceReader, sound: Sound | None, person: int = -1
) -> Observation:
    audio_ok, heard = senses.hear(sound, times_s)
    return Observation(
        times_s=times_s,
        person=person,
        faces=reader.rows(),
        audio_ok=audio_ok,
        features={**reader.features(), **heard},
    )
