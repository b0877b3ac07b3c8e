"""What one recording shows and sounds like, in memory: the way from a file to rows without a store."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vacli.clock import SOUND_CLOCK_HZ, median_rate_hz, regular_times
from vacli.errors import InputError
from vacli.faces.align import enlarged
from vacli.faces.selection import Presence, chosen
from vacli.faces.stills import Aligner, views
from vacli.faces.tracker import FaceFrame, FaceSettings, follow
from vacli.media.audio import Sound, read_sound
from vacli.media.crops import CropFolder
from vacli.media.picture import read_picture
from vacli.media.probe import probe
from vacli.media.video import open_video
from vacli.pipeline.audio_reading import warn_of_sound
from vacli.pipeline.face_embedding import Describer, FaceReader, FaceRows
from vacli.pipeline.reader_warnings import warn_of
from vacli.progress import Progress

FIRST_PART_S, PART_S = 2.0, 25.0  # of sound that is described at once
AROUND_S = 2.0  # of sound around a part, beyond which no row looks
DESCRIBED_HZ = 15.0  # faces change more slowly than frames: no more a second are described


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

    def part(self, start: int, end: int) -> Observation:
        """The rows from `start` up to `end`, without features."""
        here = slice(start, end)
        faces = FaceRows(self.faces.found[here], self.faces.score[here], self.faces.box[here])
        return replace(
            self, times_s=self.times_s[here], faces=faces, audio_ok=self.audio_ok[here], features={}
        )

    def described(self, start: int, end: int) -> dict[str, np.ndarray]:
        """Their features."""
        return {name: rows[start:end] for name, rows in self.features.items()}


@dataclass(frozen=True)
class Senses:
    """The extractors that a model needs, by feature name, built once for all recordings."""

    visual: Mapping[str, Any]
    audio: Mapping[str, Any]


class Heard:
    """What a recording sounds like at N times, described part after part.

    ok (N,) bool: where there is sound; features: name -> (N, D) float32. `known` rows are described.
    """

    def __init__(self, senses: Senses, sound: Sound | None, times_s: np.ndarray) -> None:
        self._senses, self.sound, self.times_s = senses, sound, times_s
        self._own_s = times_s if sound is None else sound.own_times(times_s)
        self.ok = np.zeros(len(times_s), bool) if sound is None else sound.ok_at(self._own_s)
        self.features = {
            n: np.full((len(times_s), e.spec.dim), np.nan, np.float32) for n, e in senses.audio.items()
        }
        self.known = len(times_s) if sound is None else 0

    def listen(self) -> Heard:
        """Describe all of it at once."""
        if self.known < len(self.times_s):
            for name, extractor in self._senses.audio.items():
                self.features[name][:] = extractor.extract(self.sound, self._own_s)
            self.known = len(self.times_s)
        return self

    def listen_in_parts(self) -> Heard:
        """Describe all of it, `known` growing; at once where there is a hole, on whose edges rows depend."""
        if self.sound is None or len(self.sound.present) != 1:
            return self.listen()
        own_s = self._own_s
        while self.known < len(own_s):
            from_s = own_s[self.known]
            part_s = np.clip(from_s - own_s[0], FIRST_PART_S, PART_S)  # as much as is known already
            here = slice(self.known, int(np.searchsorted(own_s, from_s + part_s)))
            part, zero_s = self.sound.around(own_s[here], AROUND_S)
            for name, extractor in self._senses.audio.items():
                self.features[name][here] = extractor.extract(part, own_s[here] - zero_s)
            self.known = here.stop
        return self


@dataclass(frozen=True)
class Look:
    """How recordings are looked at: what is computed, whose face, by which video backend; `sparse`: faces are
    described DESCRIBED_HZ times a second, the frames in between by interpolation; `track`: the number of the
    audio stream, None for the one that `media.audio_tracks` chooses."""

    senses: Senses
    face: str
    backend: str
    sparse: bool = False
    track: int | None = None


class Crowd:
    """Everybody in one video, each described as they come; who was wanted is known at the end."""

    def __init__(self, senses: Senses, count: int) -> None:
        self._describer, self._count = Describer(senses.visual), count
        self._readers: dict[int, FaceReader] = {}
        self._areas: dict[int, float] = {}
        self._centres: dict[int, list[float]] = {}
        self.staying_with: int | None = None

    def add(self, frame: FaceFrame) -> None:
        """Take the faces of one frame."""
        if not frame.faces:
            self._describer.send()  # nobody fills the batch that is waiting
        for face in frame.faces:
            if face.track not in self._readers:
                self._readers[face.track] = FaceReader(self._describer, self._count)
            self._readers[face.track].add(frame.index, face.crop, face)
            left, top, right, bottom = (float(edge) for edge in face.box)
            self._areas[face.track] = self._areas.get(face.track, 0.0) + (right - left) * (bottom - top)
            self._centres.setdefault(face.track, []).append((left + right) / 2)

    def describe_so_far(self) -> None:
        """Have what was seen described, without waiting for a full batch."""
        self._describer.send()

    def stay_with_the_only_one(self) -> tuple[int, FaceReader] | None:
        """The one person who was seen so far, if it is one: whom `wanted` means from now on."""
        self.describe_so_far()
        if len(self._readers) == 1:
            (self.staying_with,) = self._readers
            return self.staying_with, self._readers[self.staying_with]
        return None

    def means(self, choice: str) -> list[int]:
        """The tracks that `choice` means (`faces.choose`)."""
        seen = [Presence(track, self._areas[track], float(np.mean(x))) for track, x in self._centres.items()]
        return chosen(seen, choice)

    def wanted(self, choice: str) -> list[tuple[int, FaceReader]]:
        """Those whom `choice` means; a reader without rows where nobody was seen."""
        tracks = self.means(choice) if self.staying_with is None else [self.staying_with]
        if not tracks:
            return [(-1, FaceReader(self._describer, self._count))]
        return [(track, self._readers[track]) for track in tracks]


class Watcher(Protocol):
    """Somebody who wants to know of a video's people and sound while it is being watched."""

    def see(self, crowd: Crowd, frame: FaceFrame, heard: Heard | None) -> None:
        """After every frame; `heard` once there is something to be known of the sound."""
        ...


def observe_video(
    path: Path, look: Look, progress: Progress, watcher: Watcher | None = None
) -> list[Observation]:
    """The wanted people of a video, with its sound: one row a frame that the container shows."""
    with open_video(path, look.backend) as video, ThreadPoolExecutor(1) as pool:
        listening = _Listening(pool, path, look, video.times_s)
        crowd = Crowd(look.senses, len(video))
        with progress.task(path.name, len(video), "frames") as advance:
            every = _every(video.times_s) if look.sparse else 1
            for frame in follow(video, FaceSettings(crop_every=every)):
                crowd.add(frame)
                heard = listening.heard
                if watcher:
                    watcher.see(crowd, frame, heard)
                advance(1)
        times_s, broken = video.times_s, video.broken
        warn_of(path, video.notes, progress)
        heard = listening.done()
    if broken:
        progress.warn(f"{path}: {broken}; what is whole is used")
    warn_of_sound(path, heard.sound, progress)
    people = crowd.wanted(look.face)
    if crowd.staying_with is not None and crowd.means(look.face) != [crowd.staying_with]:
        (larger,) = crowd.means(look.face)
        progress.warn(
            f"{path}: the rows are of person {people[0][0]}, who opens it; person {larger} fills more of the "
            f"whole: --face {larger} for them"
        )
    return [_together(times_s, reader, heard, person) for person, reader in people]


class _Listening:
    """A recording's sound, described in a thread of `pool`."""

    def __init__(self, pool: ThreadPoolExecutor, path: Path, look: Look, times_s: np.ndarray) -> None:
        self._heard: Heard | None = None
        self._running = pool.submit(self._listen, path, look, times_s)

    def _listen(self, path: Path, look: Look, times_s: np.ndarray) -> Heard:
        sound = read_sound(path, look.track)
        self._heard = Heard(look.senses, sound, times_s)
        return self._heard.listen_in_parts()

    @property
    def heard(self) -> Heard | None:
        """What is known of it, once it is read; raises what it failed with."""
        return self._running.result() if self._running.done() else self._heard

    def done(self) -> Heard:
        """All of it."""
        return self._running.result()


def _every(times_s: np.ndarray) -> int:
    """One in how many frames is described at DESCRIBED_HZ."""
    rate_hz = median_rate_hz(times_s)
    return max(1, round(rate_hz / DESCRIBED_HZ)) if np.isfinite(rate_hz) else 1


def observe_sound(path: Path, look: Look, progress: Progress) -> Observation:
    """A recording's sound alone, on its own clock of 25 rows a second."""
    sound = read_sound(path, look.track)
    if sound is None:
        raise InputError(f"{path} holds no sound")
    warn_of(path, probe(path).notes, progress)
    warn_of_sound(path, sound, progress)
    times_s = sound.row_times()
    reader = FaceReader(Describer(look.senses.visual), len(times_s))
    return _together(times_s, reader, Heard(look.senses, sound, times_s).listen())


def observe_crops(path: Path, senses: Senses, progress: Progress) -> Observation:
    """A folder of aligned faces, a row a number, on a clock of 25 rows a second: it states none."""
    folder = CropFolder(path)
    reader = FaceReader(Describer(senses.visual), len(folder))
    with progress.task(path.name, len(folder.rows), "faces") as advance:
        for row, picture in folder:
            reader.add(row, enlarged(picture), None)
            advance(1)
    times_s = regular_times(len(folder), SOUND_CLOCK_HZ)
    return _together(times_s, reader, Heard(senses, None, times_s), person=0)


def observe_still(path: Path, look: Look, progress: Progress) -> Observation:
    """A picture for itself: one row, aligned, or the whole picture where no face is found.

    Where faces of a video are described sparsely there is time to look at a still more than once: the
    description is the mean over its `views`.
    """
    picture = read_picture(path)
    if picture.note:
        progress.warn(f"{path}: {picture.note}")
    still = Aligner().align(picture.rgb)
    face = still.face and still.face.placed(picture.reduced_by, (0.0, 0.0))
    seen = views(still.crop) if look.sparse else still.crop[np.newaxis]
    there = face is not None
    senses = look.senses
    reader = FaceReader(Describer(senses.visual), 1)
    reader.add(0, None, face, found=there)
    described = {
        name: extractor.extract(seen).mean(axis=0, keepdims=True) for name, extractor in senses.visual.items()
    }
    silence = Heard(senses, None, np.zeros(1))
    observed = _together(np.zeros(1), reader, silence, person=0 if there else -1)
    return replace(observed, features=dict(observed.features) | described)


def _together(times_s: np.ndarray, reader: FaceReader, heard: Heard, person: int = -1) -> Observation:
    return Observation(
        times_s=times_s,
        person=person,
        faces=reader.rows(),
        audio_ok=heard.ok,
        features={**reader.features(), **heard.features},
    )
