"""From what was seen and heard to the table of a person, whole or while the video is still being watched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from vacli.faces.tracker import FaceFrame
from vacli.inference.calibration import OTHER_SOUND
from vacli.inference.prediction import Trajectory, predict_sequence
from vacli.inference.run import Run
from vacli.inference.streaming import Unfolding
from vacli.output.frame_table import FrameTable, modality
from vacli.pipeline.face_embedding import FaceReader
from vacli.pipeline.observation import Crowd, Heard, Observation, Senses
from vacli.progress import Progress
from vacli.recipe.schema import Stream
from vacli.sequences.base import Sequence
from vacli.spec import AUDIO, VISUAL

Write = Callable[[FrameTable], None]
OPENING_S = 1.0  # with a face: whoever is alone in it is the one to tell of
FIRST_BATCH = 4  # frames of it whose faces are described together: the first row waits for the last ones


@dataclass(frozen=True)
class Loaded:
    """A run and the extractors of its features.

    voice: the run that tells of recordings without a face, if there is one of its own; it is given the same
    features of the sound.
    """

    model: Run
    senses: Senses
    voice: Run | None = None

    @property
    def used(self) -> frozenset[str]:
        """The streams that the run is given."""
        there = {VISUAL: self.senses.visual, AUDIO: self.senses.audio}
        return frozenset(name for name, extractors in there.items() if extractors)

    def fit_for(self, face_ok: np.ndarray) -> Loaded:
        """For a recording whose frames, (N,) bool, show a face or not: one may show none at all."""
        if face_ok.any():
            return self
        return replace(self, model=replace(self.voice or self.model, faceless=True))


class Seen(Protocol):
    """What is known of one person in one recording: an `Observation`, or a part of one to come."""

    def part(self, start: int, end: int) -> Observation:
        """The rows from `start` up to `end`, without features."""
        ...

    def described(self, start: int, end: int) -> Mapping[str, np.ndarray]:
        """Their features, name -> (N, D) float32."""
        ...


class Telling:
    """One person's table, in parts that follow each other."""

    def __init__(self, name: str, loaded: Loaded, times_s: np.ndarray) -> None:
        self._name, self._used = name, loaded.used
        self._recipe = loaded.model.recipe.model.streams
        self._streams = {s.name: np.full((len(times_s), s.dim), np.nan, np.float32) for s in self._recipe}
        rows = Sequence(video=name, times_s=times_s, streams=self._streams)
        self._unfolding = Unfolding(loaded.model, rows, times_s)
        self._taken = 0

    def is_due(self, known: int) -> bool:
        """Whether `known` rows are enough to tell something new."""
        return known >= self._unfolding.due

    def part(self, seen: Seen, known: int) -> FrameTable:
        """The table of what the first `known` rows settle, beyond what was told."""
        described = seen.described(self._taken, known)
        for stream in self._recipe:
            if described.keys() >= set(stream.features):
                self._streams[stream.name][self._taken : known] = _joined(stream, described)
        self._taken = known
        predicted = self._unfolding.upto(known)
        told = self._unfolding.told
        first = told - len(predicted.values)
        return table(self._name, seen.part(first, told), predicted, self._used, first)

    def rest(self, seen: Observation) -> FrameTable:
        """The table of all that was not told yet."""
        return self.part(seen, len(seen.times_s))


def heard_alone(name: str, loaded: Loaded, sound: Observation) -> Trajectory:
    """What a model of the voice says of a sound, all at once."""
    streams = {s.name: _joined(s, sound.features) for s in loaded.model.recipe.model.streams}
    rows = Sequence(video=name, times_s=sound.times_s, streams=streams)
    return predict_sequence(loaded.model, rows, sound.times_s)


def on_clock(told: Trajectory, times_s: np.ndarray) -> Trajectory:
    """A trajectory at other times (N,): values and sd in between, the nearest state; its ends go on."""
    nearest = np.searchsorted((told.times_s[1:] + told.times_s[:-1]) / 2, times_s)

    def between(x: np.ndarray | None) -> np.ndarray | None:
        if x is None:
            return None
        return np.stack([np.interp(times_s, told.times_s, c) for c in x.T], axis=1).astype(np.float32)

    return Trajectory(
        video=told.video,
        times_s=times_s,
        values=between(told.values),
        sd=between(told.sd),
        spread=between(told.spread),
        states=told.states[nearest],
    )


def _joined(stream: Stream, features: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([features[name] for name in stream.features], axis=1)


def table(
    name: str, seen: Observation, predicted: Trajectory, used: frozenset[str], first: int = 0
) -> FrameTable:
    """The table of the frames from `first` on; `modality` counts neither streams that are not `used` nor
    sound that is unlike speech."""
    found, box = seen.faces.found, seen.faces.box
    heard = seen.audio_ok & (AUDIO in used) & (predicted.states != OTHER_SOUND)
    spread = np.full_like(predicted.values, np.nan) if predicted.sd is None else predicted.sd
    columns = {
        "frame": first + np.arange(len(seen.times_s)),
        "time_s": seen.times_s,
        "valence": predicted.values[:, 0],
        "arousal": predicted.values[:, 1],
        "face_ok": found,
        "audio_ok": seen.audio_ok,
        "modality": modality(found & (VISUAL in used), heard),
        "valence_sd": spread[:, 0],
        "arousal_sd": spread[:, 1],
        "face_score": seen.faces.score,
        "face_x": box[:, 0],
        "face_y": box[:, 1],
        "face_w": box[:, 2] - box[:, 0],
        "face_h": box[:, 3] - box[:, 1],
        "person": np.full(len(found), seen.person),
    }
    return FrameTable(name, columns)


def hand_over(made: FrameTable, write: Write, progress: Progress) -> None:
    """Write a table, and warn where it is that of a whole recording and no row rests on anything."""
    whole = made.columns["frame"][:1].tolist() == [0]
    if whole and not made.known.any():
        nothing = "neither a face that the model reads nor a sound like speech"
        progress.warn(f"{made.name}: {nothing}: do not use its values")
    write(made)


@dataclass(frozen=True)
class _Glimpse:
    """A person in a video that is being watched."""

    person: int
    reader: FaceReader
    heard: Heard

    def part(self, start: int, end: int) -> Observation:
        return Observation(
            times_s=self.heard.times_s[start:end],
            person=self.person,
            faces=self.reader.rows(start, end),
            audio_ok=self.heard.ok[start:end],
            features={},
        )

    def described(self, start: int, end: int) -> Mapping[str, np.ndarray]:
        sound = {name: rows[start:end] for name, rows in self.heard.features.items()}
        return {**self.reader.features(start, end), **sound}


class Live:
    """Tells the rows of a video's first person as soon as they are known, if nobody else is in its opening.

    With several people there it has to be seen first who fills most of the picture: nothing is told then.
    """

    def __init__(self, name: str, loaded: Loaded, write: Write) -> None:
        self._name, self._loaded, self._write = name, loaded, write
        self._since_s: float | None = None
        self._decided = False
        self._person: tuple[int, FaceReader] | None = None
        self.telling: Telling | None = None

    def see(self, crowd: Crowd, frame: FaceFrame, heard: Heard | None) -> None:
        """As `observe.Watcher` has it."""
        if not self._decided:
            self._decide(crowd, frame)
        if self._person and heard:
            self._tell(_Glimpse(*self._person, heard), frame.index + 1)

    def _decide(self, crowd: Crowd, frame: FaceFrame) -> None:
        if self._since_s is None and frame.faces:
            self._since_s = frame.time_s
        if self._since_s is not None and frame.time_s - self._since_s >= OPENING_S:
            self._decided, self._person = True, crowd.stay_with_the_only_one()
        elif frame.index % FIRST_BATCH == 0:
            crowd.describe_so_far()

    def _tell(self, seen: _Glimpse, frames: int) -> None:
        if self.telling is None:
            self.telling = Telling(self._name, self._loaded, seen.heard.times_s)
        known = min(seen.reader.settled(frames), seen.heard.known)
        if self.telling.is_due(known):
            self._write(self.telling.part(seen, known))
