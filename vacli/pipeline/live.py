"""From an observation to the table of one face, at once or while its video is still being read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from vacli.faces.face_frame import FaceFrame
from vacli.features.registry import EXTRACTORS
from vacli.files import scratch
from vacli.inference.prediction import Trajectory
from vacli.inference.run import Run, is_bundled_run
from vacli.inference.states import FrameState
from vacli.inference.streaming import StreamingPredictor
from vacli.inference.voice import SPEECH_PRESENT, VoiceEvidence
from vacli.output.frame_table import FrameTable, modality
from vacli.pipeline.active_speaker import SPEAKING
from vacli.pipeline.audio_features import AudioFeatures
from vacli.pipeline.face_embedding import FaceTrackFeatures
from vacli.pipeline.face_tracks import FaceTracks
from vacli.pipeline.frame_quality import frame_quality
from vacli.pipeline.observation import Extractors, Observation
from vacli.pipeline.speech_estimate import fuse_speech
from vacli.progress import Progress
from vacli.recipe.schema import Stream
from vacli.sequences.base import FeatureSequence
from vacli.spec import AUDIO, VISUAL

Write = Callable[[FrameTable], None]
LOCK_AFTER_S = 1.0  # from the first face on: if there is one track by then, its rows are emitted live
VOICELESS = (FrameState.VISUAL, FrameState.NON_SPEECH, FrameState.NONE)
BUNDLED_EMBEDDING_HZ = 15.0  # expressions change slowly: the frames between are interpolated
BLOCK_ROWS = 2048  # whose features are copied together
FIRST_BATCH_SIZE = 4  # frames: the first row waits for the last face of its batch


@dataclass(frozen=True)
class LoadedModel:
    """A run and the extractors of its features.

    audio_model: the run for recordings without a face, None to use `model` for them too. It gets the same
    audio features. speech_model: the audio feature whose estimate is combined with that of the run, or None.
    """

    model: Run
    extractors: Extractors
    audio_model: Run | None = None
    speech_model: str | None = None

    @property
    def embedding_rate_hz(self) -> float | None:
        """How often a second faces are embedded at most; None for every frame, as in a store."""
        return BUNDLED_EMBEDDING_HZ if is_bundled_run(self.model.path) else None

    @property
    def used(self) -> frozenset[str]:
        """The streams that have extractors."""
        extractors = {VISUAL: self.extractors.visual, AUDIO: self.extractors.audio}
        return frozenset(name for name, found in extractors.items() if found)

    def fused(
        self, predicted: Trajectory, features: Mapping[str, np.ndarray], voice_weight: np.ndarray
    ) -> Trajectory:
        """A trajectory of T rows combined with the estimate of the speech model, if there is one.

        features: has the rows (T, D) of the speech model. voice_weight: (T,) from 0 to 1.
        """
        columns = EXTRACTORS[self.speech_model].emotion if self.speech_model else None
        if columns is None or self.speech_model is None:
            return predicted
        return fuse_speech(predicted, features[self.speech_model], columns, voice_weight)

    def has_audio_only(self, extracted: Collection[str]) -> bool:
        """Whether there is an audio model, and all of its features are `extracted`."""
        if self.audio_model is None:
            return False
        streams = self.audio_model.recipe.model.streams
        return {name for stream in streams for name in stream.features} <= set(extracted)

    def select_model(self, detected: np.ndarray) -> LoadedModel:
        """The model for a recording whose frames, (N,) bool, show a face or not: one may show none."""
        if detected.any():
            return self
        run = self.audio_model or self.model
        return replace(self, model=replace(run, postprocess=replace(run.postprocess, audio_only=True)))


class ObservationSource(Protocol):
    """The rows of one face track: an `Observation`, or one that is not complete yet."""

    def rows(self, start: int, end: int) -> Observation:
        """The rows from `start` up to `end`, without features."""
        ...

    def features_of(self, start: int, end: int) -> Mapping[str, np.ndarray]:
        """Name -> (end - start, D) float32."""
        ...


class FrameTableStream:
    """The table of one face track, in parts that follow each other."""

    def __init__(self, name: str, loaded: LoadedModel, times_s: np.ndarray) -> None:
        self._name, self._loaded = name, loaded
        self._recipe = loaded.model.recipe.model.streams
        self._streams = {s.name: scratch.missing_rows(len(times_s), s.dim) for s in self._recipe}
        rows = _ReleasedRows(video=name, times_s=times_s, streams=self._streams)
        self._voice = VoiceEvidence.unknown(len(times_s))
        self._difficulty = np.full(len(times_s), np.nan)  # where there is no face
        self._predictor = StreamingPredictor(loaded.model, rows, times_s, self._voice, self._difficulty)
        self._speech_rows: dict[str, np.ndarray] = {}
        if loaded.speech_model is not None:
            dim = loaded.extractors.audio[loaded.speech_model].spec.dim
            self._speech_rows[loaded.speech_model] = scratch.missing_rows(len(times_s), dim)
        self._n_filled = 0

    def has_output(self, known: int) -> bool:
        """Whether `known` rows suffice for new output."""
        return known >= self._predictor.next_ready

    def advance(self, source: ObservationSource, known: int) -> FrameTable:
        """The rows that are final once the first `known` rows are known, and were not emitted before."""
        for first in range(self._n_filled, known, BLOCK_ROWS):
            self._fill(source, first, min(first + BLOCK_ROWS, known))
        observed = source.rows(self._n_filled, known)
        voice = observed.voice
        self._voice.speech[self._n_filled : known] = voice.speech
        self._voice.speaking[self._n_filled : known] = voice.speaking
        self._difficulty[self._n_filled : known] += observed.faces.difficulty
        self._n_filled = known
        predicted = self._predictor.advance(known)
        end = self._predictor.n_emitted
        first = end - len(predicted.values)
        speech_rows = {name: rows[first:end] for name, rows in self._speech_rows.items()}
        predicted = self._loaded.fused(predicted, speech_rows, self._voice.weight[first:end])
        return frame_table(self._name, source.rows(first, end), predicted, self._loaded.used, first)

    def _fill(self, source: ObservationSource, start: int, end: int) -> None:
        """Copy the features of some rows into the streams."""
        features = source.features_of(start, end)
        for stream in self._recipe:
            if features.keys() >= set(stream.features):
                rows = joined_features(stream, features)
                self._streams[stream.name][start:end] = rows
                scratch.release(self._streams[stream.name])
                if stream.name == VISUAL:
                    self._difficulty[start:end] = np.where(np.isfinite(rows).all(axis=1), 0.0, np.nan)
        for name, rows in self._speech_rows.items():
            rows[start:end] = features[name]
            scratch.release(rows)
        for values in features.values():
            scratch.release(values)

    def finish(self, observation: Observation) -> FrameTable:
        """All rows that were not emitted before."""
        return self.advance(observation, len(observation.times_s))


class _ReleasedRows(FeatureSequence):
    """Rows whose memory is given back after each reading."""

    def fill(self, start: int, out: Mapping[str, np.ndarray]) -> None:
        """As `FeatureSequence.fill`."""
        super().fill(start, out)
        for name in out:
            scratch.release(self.streams[name])


def joined_features(stream: Stream, features: Mapping[str, np.ndarray]) -> np.ndarray:
    """(N, D): the features of a stream beside each other."""
    return np.concatenate([features[name] for name in stream.features], axis=1)


def frame_table(
    name: str, observed: Observation, predicted: Trajectory, used: frozenset[str], first: int = 0
) -> FrameTable:
    """The table of the frames from `first` on.

    `modality` leaves out streams that are not `used`, and sound that is not the voice of the person.
    """
    detected, box = observed.faces.detected, observed.faces.box
    is_voice = observed.audio_present & (AUDIO in used) & ~np.isin(predicted.states, VOICELESS)
    uncertainty = predicted.uncertainty
    if uncertainty is None:
        uncertainty = np.full_like(predicted.values, np.nan)
    based_on = modality(detected & (VISUAL in used), is_voice)
    quality = frame_quality(observed, based_on, uncertainty)
    columns = {
        "frame": first + np.arange(len(observed.times_s)),
        "time_s": observed.times_s,
        "valence": predicted.values[:, 0],
        "arousal": predicted.values[:, 1],
        "face_detected": detected,
        "audio_present": observed.audio_present,
        "speech_present": _speech_present(observed),
        "speaking": _speaking_flags(observed.speaking),
        "modality": based_on,
        "valence_uncertainty": uncertainty[:, 0],
        "arousal_uncertainty": uncertainty[:, 1],
        "quality": quality.values,
        "quality_limit": quality.limits,
        "face_score": observed.faces.score,
        "face_x": box[:, 0],
        "face_y": box[:, 1],
        "face_w": box[:, 2] - box[:, 0],
        "face_h": box[:, 3] - box[:, 1],
        "face_id": np.full(len(detected), observed.face_id),
    }
    return FrameTable(name, columns)


def _speech_present(observed: Observation) -> np.ndarray:
    """(N,) 1 for speech, 0 for none, -1 if it is not known."""
    is_speech = observed.audio_present & (observed.speech >= SPEECH_PRESENT)
    return np.where(np.isnan(observed.speech) & observed.audio_present, -1, is_speech.astype(np.int64))


def _speaking_flags(speaking: np.ndarray) -> np.ndarray:
    """(N,) int64: 1 where a face speaks, 0 where it does not, -1 where it is unknown."""
    return np.where(np.isnan(speaking), -1, speaking >= SPEAKING).astype(np.int64)


def emit_table(table: FrameTable, write: Write, progress: Progress) -> None:
    """Write a table, and warn if it is that of a whole recording without any face or speech."""
    whole = table.columns["frame"][:1].tolist() == [0]
    if whole and not table.valid.any():
        progress.warn(f"{table.name}: no usable face and no speech was found: do not use its values")
    write(table)


@dataclass(frozen=True)
class _PartialObservation:
    """One face track of a video that is still being read."""

    face_id: int
    track: FaceTrackFeatures
    tracks: FaceTracks
    audio: AudioFeatures

    def n_final(self, frames: int) -> int:
        """The number of rows that no longer change once `frames` frames have been read."""
        visual = min(self.track.n_final(frames), self.tracks.speaker.n_final(frames))
        return min(visual, self.audio.n_known)

    def rows(self, start: int, end: int) -> Observation:
        faces = self.track.detections(start, end)
        speaking = self.tracks.speaking(self.face_id, self.audio, faces.detected, start, end)
        return Observation(
            times_s=self.audio.times_s[start:end],
            face_id=self.face_id,
            faces=faces,
            audio_present=self.audio.present[start:end],
            speaking=speaking,
            level_db=self.audio.level_db[start:end],
            speech=self.audio.speech[start:end],
            features={},
        )

    def features_of(self, start: int, end: int) -> Mapping[str, np.ndarray]:
        audio = {name: rows[start:end] for name, rows in self.audio.features.items()}
        return {**self.track.features(start, end), **audio}


class LivePredictor:
    """Emits rows while a video is read, if exactly one face is visible in the first second with a face.

    With several faces the largest one is known only at the end, so that nothing is emitted before it.
    """

    def __init__(self, name: str, loaded: LoadedModel, write: Write) -> None:
        self._name, self._loaded, self._write = name, loaded, write
        self._first_face_s: float | None = None
        self._decided = False
        self._locked: tuple[int, FaceTrackFeatures] | None = None
        self.stream: FrameTableStream | None = None

    def on_frame(self, tracks: FaceTracks, frame: FaceFrame, audio: AudioFeatures | None) -> None:
        """See `observation.FrameCallback`."""
        if not self._decided:
            self._decide(tracks, frame)
        if self._locked and audio:
            self._emit(_PartialObservation(*self._locked, tracks, audio), frame.index + 1)

    def _decide(self, tracks: FaceTracks, frame: FaceFrame) -> None:
        if self._first_face_s is None and frame.faces:
            self._first_face_s = frame.time_s
        if self._first_face_s is not None and frame.time_s - self._first_face_s >= LOCK_AFTER_S:
            self._decided, self._locked = True, tracks.lock_single_track()
        elif frame.index % FIRST_BATCH_SIZE == 0:
            tracks.embed_pending()

    def _emit(self, source: _PartialObservation, frames: int) -> None:
        if self.stream is None:
            self.stream = FrameTableStream(self._name, self._loaded, source.audio.times_s)
        known = source.n_final(frames)
        if self.stream.has_output(known):
            self._write(self.stream.advance(source, known))
