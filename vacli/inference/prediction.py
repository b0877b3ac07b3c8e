"""From a trained run and the rows of a video to its trajectory of valence and arousal."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vacli.errors import InputError, RunError
from vacli.features.compact.layout import decode_emotions
from vacli.inference.ensemble import EnsembleOutput, concatenate
from vacli.inference.face_error import WINDOW_S
from vacli.inference.run import Run
from vacli.inference.sliding_window import EVERYTHING, Availability
from vacli.inference.speech_detection import SpeechDetector
from vacli.inference.states import FrameState, mark_audio_only, states_of
from vacli.inference.voice import VoiceEvidence, voice_worth
from vacli.sequences.base import FeatureRows
from vacli.spec import AUDIO, VISUAL

BLOCK_ROWS = 4096  # whose features are read at once


@dataclass(frozen=True, eq=False, kw_only=True)
class Trajectory:
    """Predicted (valence, arousal) of one video.

    times_s: (T,) float64 seconds. values: (T, 2) float32 in [-1, 1]. uncertainty: (T, 2) float32 standard
    deviation of the expected error for a calibrated run, else `ensemble_std`. ensemble_std: (T, 2) standard
    deviation over the run's models (1/(n-1)), None for a single model. states: (T,) of `FrameState`.
    """

    video: str
    times_s: np.ndarray
    values: np.ndarray
    uncertainty: np.ndarray | None
    ensemble_std: np.ndarray | None
    states: np.ndarray


@dataclass(frozen=True, eq=False)
class VideoInput:
    """The T rows of one video, their times (T,) in seconds, and what is known about its sound and faces.

    voice: None, all sound is the voice of the person. difficulty: (T,) `faces.quality.face_difficulty`, NaN
    where there is no face; None where it is unknown, which counts as 0. face_error: (T, 2) by the run's
    `face_error`; None, it is computed from the rows.
    """

    rows: FeatureRows
    times_s: np.ndarray
    voice: VoiceEvidence | None = None
    difficulty: np.ndarray | None = None
    face_error: np.ndarray | None = None

    @classmethod
    def complete(
        cls,
        rows: FeatureRows,
        times_s: np.ndarray,
        voice: VoiceEvidence | None = None,
        difficulty: np.ndarray | None = None,
    ) -> VideoInput:
        """A video whose rows are all known. difficulty: (T,) with any value where there is no face."""
        if VISUAL not in rows.dims:
            return cls(rows, times_s, voice, np.full(len(rows), np.nan))
        known = np.zeros(len(rows)) if difficulty is None else difficulty
        there = _present(rows, VISUAL, slice(0, len(rows)))
        return cls(rows, times_s, voice, np.where(there, known, np.nan))


def predict_sequence(
    run: Run,
    rows: FeatureRows,
    times_s: np.ndarray,
    voice: VoiceEvidence | None = None,
    difficulty: np.ndarray | None = None,
) -> Trajectory:
    """The estimates of the run's models for one video; raises InputError where a stream has another width."""
    video = VideoInput.complete(rows, times_s, voice, difficulty)
    outputs = model_outputs(run, rows, audio_availability(run, voice, video.difficulty))
    return trajectory(run, video, outputs)


def audio_availability(run: Run, voice: VoiceEvidence | None, difficulty: np.ndarray | None) -> Availability:
    """How much of the sound each row gives to the models: all of it if the run has no speech detector.

    difficulty: as in `VideoInput`; a voice beside a face counts by `voice_worth`. A recording that never
    shows a face is predicted from all of its sound; what is no voice has no weight in the estimate.
    """
    if voice is None or run.postprocess.speech is None or run.postprocess.audio_only:
        return EVERYTHING
    return {AUDIO: voice.weight if difficulty is None else voice.weight * voice_worth(difficulty)}


def model_outputs(run: Run, rows: FeatureRows, availability: Availability = EVERYTHING) -> np.ndarray:
    """(M, T, 2): the output of each of the run's models.

    Raises InputError like `check_widths`, RunError where the models read features of different encoders.
    """
    check_widths(run, rows)
    if any(member.model != run.recipe.model for member in run.members):
        raise RunError(
            f"each fold of {run.path} has an encoder of its own, so the folds have no common input",
            hint=f"name one fold: {run.members[0].path}",
        )
    return np.stack([member.predictor(rows, availability) for member in run.members])


def check_widths(run: Run, rows: FeatureRows) -> None:
    """Raise InputError where a stream of a video has another width than the run's."""
    for stream in run.recipe.model.streams:
        columns = rows.dims.get(stream.name, "no")
        if columns != stream.dim:
            raise InputError(
                f"{rows.video}: stream {stream.name!r} has {columns} columns, {run.path} needs {stream.dim}",
                hint="extract the features that the run was trained on",
            )


def trajectory(run: Run, video: VideoInput, outputs: np.ndarray, first: int = 0) -> Trajectory:
    """The post-processed outputs (M, N, 2) of a run's models for the N rows of a video from `first` on."""
    times_s = video.times_s[first : first + outputs.shape[1]]
    return _postprocessed(run, ensemble_output(run, video, outputs, first), video.rows.video, times_s)


def ensemble_output(run: Run, video: VideoInput, outputs: np.ndarray, first: int = 0) -> EnsembleOutput:
    """The outputs (M, N, 2) of a run's models before post-processing, for N rows of a video from `first`."""
    starts = range(0, max(outputs.shape[1], 1), BLOCK_ROWS)
    blocks = [_output_block(run, video, outputs[:, s : s + BLOCK_ROWS], first + s) for s in starts]
    joined = concatenate(blocks)
    return joined if len(outputs) > 1 else replace(joined, ensemble_std=None)


def _output_block(run: Run, video: VideoInput, outputs: np.ndarray, first: int) -> EnsembleOutput:
    """`ensemble_output` of a few rows, whose features are in memory meanwhile."""
    rows, here = video.rows, slice(first, first + outputs.shape[1])
    states = states_of({name: _present(rows, name, here) for name in rows.dims})
    return EnsembleOutput(
        values=outputs.mean(axis=0),
        ensemble_std=outputs.std(axis=0, ddof=1) if len(outputs) > 1 else None,
        states=mark_audio_only(states) if run.postprocess.audio_only else states,
        voice_weight=_voice_weight(run, video, here),
        difficulty=_face_difficulty(run, video, here),
    )


def predict_images(
    run: Run, rows: np.ndarray, video: str, times_s: np.ndarray, difficulty: np.ndarray
) -> Trajectory:
    """Predictions of the face network itself for single pictures, which form no sequence.

    rows: (N, 128) of the feature `compact`. difficulty: (N,) of the faces. The ensemble_std is the standard
    deviation over the emotion categories of a face.
    """
    return _postprocessed(run, image_output(run, rows, difficulty), video, times_s)


def _postprocessed(run: Run, ensemble: EnsembleOutput, video: str, times_s: np.ndarray) -> Trajectory:
    done = run.postprocess(ensemble)
    return Trajectory(
        video=video,
        times_s=times_s,
        values=done.values,
        uncertainty=done.uncertainty,
        ensemble_std=ensemble.ensemble_std,
        states=done.states,
    )


def image_output(run: Run, rows: np.ndarray, difficulty: np.ndarray) -> EnsembleOutput:
    """The outputs for pictures before post-processing, as in `predict_images`."""
    values, std = decode_emotions(rows)
    states = np.full(len(rows), str(FrameState.IMAGE))
    return EnsembleOutput(
        values=values,
        ensemble_std=std,
        states=states,
        voice_weight=np.ones(len(rows)),
        difficulty=run.face_error.expected(rows) if run.face_error else _for_both_dimensions(difficulty),
    )


def rows_of(rows: FeatureRows, stream: str, here: slice) -> np.ndarray:
    """(n, D) float32 of one stream of a part of a video, NaN where missing."""
    x = np.empty((here.stop - here.start, rows.dims[stream]), np.float32)
    rows.fill(here.start, {stream: x})
    return x


def _present(rows: FeatureRows, stream: str, here: slice) -> np.ndarray:
    """(n,) bool: whether each frame of a part of a video has the stream."""
    return np.isfinite(rows_of(rows, stream, here)).all(axis=1)


def _face_difficulty(run: Run, video: VideoInput, here: slice) -> np.ndarray:
    """(n, 2) as in `EnsembleOutput`, of a part of a video."""
    if here.start == here.stop:
        return np.zeros((0, 2))
    if video.face_error is not None:
        return np.nan_to_num(video.face_error[here])
    if run.face_error is not None and VISUAL in video.rows.dims:
        start = int(np.searchsorted(video.times_s, video.times_s[here.start] - WINDOW_S))
        times_s, rows = video.times_s[start : here.stop], rows_of(video.rows, VISUAL, slice(start, here.stop))
        return np.nan_to_num(run.face_error.expected_in_video(rows, times_s, here.start - start))
    if video.difficulty is None:
        return np.zeros((here.stop - here.start, 2))
    return _for_both_dimensions(video.difficulty[here])


def _for_both_dimensions(difficulty: np.ndarray) -> np.ndarray:
    """(N, 2) from a difficulty (N,), 0 where it is NaN."""
    return np.nan_to_num(np.column_stack([difficulty, difficulty]))


def _voice_weight(run: Run, video: VideoInput, here: slice) -> np.ndarray:
    """(n,) the weight of the voice in a part of a video; 1 without a speech detector."""
    detector = run.postprocess.speech
    if detector is None:
        return np.ones(here.stop - here.start)
    voice = VoiceEvidence.unknown(len(video.rows)) if video.voice is None else video.voice
    weight, context = voice.weight[here], run.postprocess.context_frames(video.times_s)
    return weight * _speech_score(detector, video.rows, context, here) if context else weight


def _speech_score(detector: SpeechDetector, rows: FeatureRows, context: int, here: slice) -> np.ndarray:
    """(n,) speech scores of a part of a video, computed from `context` frames around each."""
    around = slice(max(here.start - context // 2, 0), min(here.stop + context // 2, len(rows)))
    scores = detector.score(rows_of(rows, AUDIO, around), context)
    return scores[here.start - around.start :][: here.stop - here.start]
