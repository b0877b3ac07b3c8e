"""From the observations of single frames of a live source to rows of the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from vacli.clock import SOUND_CLOCK_HZ, regular_times
from vacli.errors import UsageError
from vacli.inference.face_error import RecentFaceErrors
from vacli.inference.prediction import VideoInput, audio_availability, trajectory
from vacli.inference.run import Run
from vacli.inference.step_predictor import StepPredictor
from vacli.inference.voice import VoiceEvidence
from vacli.output.columns import COLUMNS
from vacli.output.frame_table import FLAGS, INTEGERS, TEXTS, FrameTable
from vacli.pipeline.live import LoadedModel, frame_table, joined_features
from vacli.pipeline.live_audio import AudioRow, LiveAudio
from vacli.pipeline.live_faces import sequence_sources
from vacli.pipeline.observation import Observation
from vacli.sequences.base import FeatureSequence
from vacli.spec import VISUAL

FLAG = "flag"  # column of the engine's tables beside those of `va predict`


class LiveRows:
    """Predicts the rows of the followed faces of one frame after another.

    Each face has a sequence of the model. There is one more without a face, which new faces continue, as in
    a file, where a face has no features before it appears. Raises as `StepPredictor`.
    """

    def __init__(self, name: str, loaded: LoadedModel) -> None:
        self._name, self._loaded = name, loaded
        self._predictor = StepPredictor(loaded.model)
        self._followed: tuple[int, ...] = ()
        self._errors: dict[int, RecentFaceErrors] = {}  # by the face

    def add(self, no_face: Observation, faces: Sequence[Observation], index: int) -> list[FrameTable]:
        """The rows of a frame of the source, one a face, or the one without a face if there are none.

        Observations have one row.
        """
        followed = tuple(observed.face_id for observed in faces)
        if followed != self._followed:
            self._predictor.select(sequence_sources(self._followed, followed))
            self._followed = followed
            if (measured := self._loaded.model.face_error) is not None:
                self._errors = {
                    face: self._errors.get(face) or RecentFaceErrors(measured) for face in followed
                }
        observed = [no_face, *faces]
        run = self._loaded.model
        streams = _streams(run, [one.features for one in observed])
        voice = VoiceEvidence(
            np.concatenate([one.speech for one in observed]),
            np.concatenate([one.speaking for one in observed]),
        )
        difficulty = np.concatenate([one.faces.difficulty for one in observed])
        if VISUAL in streams:
            difficulty = np.where(np.isfinite(streams[VISUAL]).all(axis=1), difficulty, np.nan)
        outputs = self._predictor.step(streams, audio_availability(run, voice, difficulty))
        first = 1 if faces else 0
        return [self._table(observed[k], streams, outputs[k], k, index) for k in range(first, len(observed))]

    def _table(
        self, one: Observation, streams: Mapping[str, np.ndarray], outputs: np.ndarray, k: int, index: int
    ) -> FrameTable:
        own = {name: x[k : k + 1] for name, x in streams.items()}
        rows = FeatureSequence(video=self._name, times_s=one.times_s, streams=own)
        errors = self._errors.get(one.face_id)
        face_error = None if errors is None else errors.add(own[VISUAL], float(one.times_s[0]))
        video = VideoInput(rows, one.times_s, one.voice, one.faces.difficulty, face_error)
        predicted = trajectory(self._loaded.model, video, outputs[:, np.newaxis])
        return frame_table(self._name, one, predicted, self._loaded.used, index)


class LiveAudioOnlyRows:
    """Predicts the rows of a source that shows no face from its sound, on a clock of 25 rows a second.

    A row of the table is the latest one of this clock. Moving averages and the speech detector use the past
    half of their windows.
    """

    def __init__(self, name: str, loaded: LoadedModel) -> None:
        self._name, self._loaded = name, loaded.select_model(np.zeros(1, bool))
        run = self._loaded.model
        self._predictor = StepPredictor(run)
        self._kept = 1 + run.postprocess.context_frames(regular_times(8, SOUND_CLOCK_HZ)) // 2
        self._streams = {s.name: np.empty((0, s.dim), np.float32) for s in run.recipe.model.streams}
        self._speech = np.empty(0)
        self._outputs: np.ndarray | None = None
        self._next: int | None = None  # row of the clock

    def advance(self, audio: LiveAudio, time_s: float) -> None:
        """Predict the rows up to a time."""
        now = int(time_s * SOUND_CLOCK_HZ + 1e-6)
        first = now if self._next is None else self._next
        for number in range(max(first, now - SOUND_CLOCK_HZ), now + 1):
            self._add(audio.row(number / SOUND_CLOCK_HZ))
        self._next = max(now + 1, first)

    def _add(self, row: AudioRow) -> None:
        run = self._loaded.model
        streams = _streams(run, [{name: x[np.newaxis] for name, x in row.features.items()}])
        voice = VoiceEvidence(np.array([row.speech]), np.full(1, np.nan))
        self._outputs = self._predictor.step(streams, audio_availability(run, voice, None))[0]
        self._speech = np.append(self._speech, row.speech)[-self._kept :]
        self._streams = {
            name: np.concatenate([x, streams[name]])[-self._kept :] for name, x in self._streams.items()
        }

    def table(self, observed: Observation, index: int) -> FrameTable:
        """The row of a frame, whose observation has one row. `advance` comes before."""
        if self._outputs is None:
            raise UsageError("no row of the sound was predicted")
        count = len(self._speech)
        rows = FeatureSequence(
            video=self._name, times_s=np.arange(count) / SOUND_CLOCK_HZ, streams=self._streams
        )
        video = VideoInput(rows, rows.times_s, VoiceEvidence(self._speech, np.full(count, np.nan)))
        predicted = trajectory(self._loaded.model, video, self._outputs[:, np.newaxis], count - 1)
        return frame_table(self._name, observed, predicted, self._loaded.used, index)


def _streams(run: Run, features: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Name of each stream -> (S, D) float32 from the features (1, D) of S sequences, NaN where missing."""
    streams = {}
    for stream in run.recipe.model.streams:
        missing = np.full((1, stream.dim), np.nan, np.float32)
        rows = [joined_features(stream, f) if f.keys() >= set(stream.features) else missing for f in features]
        streams[stream.name] = np.concatenate(rows).astype(np.float32)
    return streams


def empty_table(name: str) -> FrameTable:
    """No rows, with all columns."""

    def kind(column: str) -> type:
        if column in INTEGERS:
            return int
        return bool if column in FLAGS else str if column in TEXTS else float

    columns: dict[str, np.ndarray] = {
        column: np.empty(0, kind(column)) for column in COLUMNS if column != "input"
    }
    return FrameTable(name, {**columns, FLAG: np.empty(0, str)})
