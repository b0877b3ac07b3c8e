"""From a trained run and the rows of a video to its trajectory of valence and arousal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vacli.errors import InputError, RunError
from vacli.features.compact.layout import decode_emotions
from vacli.inference.postprocessing import EnsembleOutput
from vacli.inference.run import Run
from vacli.inference.states import FrameState, mark_audio_only, states_of
from vacli.sequences.base import FeatureRows
from vacli.spec import AUDIO


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


def predict_sequence(run: Run, rows: FeatureRows, times_s: np.ndarray) -> Trajectory:
    """The mean of the run's models over one video; raises InputError where a stream has another width."""
    return trajectory(run, rows, times_s, model_outputs(run, rows))


def model_outputs(run: Run, rows: FeatureRows) -> np.ndarray:
    """(M, T, 2): the output of each of the run's models.

    Raises InputError like `check_widths`, RunError where the models read features of different encoders.
    """
    check_widths(run, rows)
    if any(member.model != run.recipe.model for member in run.members):
        raise RunError(
            f"each fold of {run.path} has an encoder of its own, so the folds have no common input",
            hint=f"name one fold: {run.members[0].path}",
        )
    return np.stack([member.predictor(rows) for member in run.members])


def check_widths(run: Run, rows: FeatureRows) -> None:
    """Raise InputError where a stream of a video has another width than the run's."""
    for stream in run.recipe.model.streams:
        columns = rows.dims.get(stream.name, "no")
        if columns != stream.dim:
            raise InputError(
                f"{rows.video}: stream {stream.name!r} has {columns} columns, {run.path} needs {stream.dim}",
                hint="extract the features that the run was trained on",
            )


def trajectory(
    run: Run, rows: FeatureRows, times_s: np.ndarray, outputs: np.ndarray, first: int = 0
) -> Trajectory:
    """The post-processed outputs (M, N, 2) of a run's models for the N rows of a video from `first` on."""
    here = slice(first, first + outputs.shape[1])
    ensemble = ensemble_output(run, rows, times_s, outputs, first)
    return _postprocessed(run, ensemble, rows.video, times_s[here])


def ensemble_output(
    run: Run, rows: FeatureRows, times_s: np.ndarray, outputs: np.ndarray, first: int = 0
) -> EnsembleOutput:
    """The outputs (M, N, 2) of a run's models before post-processing, for N rows of a video from `first`."""
    here = slice(first, first + outputs.shape[1])
    states = states_of({name: _present(rows, name, here) for name in rows.dims})
    context = run.postprocess.context_frames(times_s)
    return EnsembleOutput(
        values=outputs.mean(axis=0),
        ensemble_std=outputs.std(axis=0, ddof=1) if len(outputs) > 1 else None,
        states=mark_audio_only(states) if run.postprocess.audio_only else states,
        speech_score=_speech_score(run, rows, context, here) if context else np.ones(len(states)),
    )


def predict_images(run: Run, rows: np.ndarray, video: str, times_s: np.ndarray) -> Trajectory:
    """Predictions of the face network itself for single pictures, which form no sequence.

    rows: (N, 128) of the feature `compact`. The ensemble_std is the standard deviation over the emotion
    categories of a face.
    """
    return _postprocessed(run, image_output(rows), video, times_s)


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


def image_output(rows: np.ndarray) -> EnsembleOutput:
    """The outputs for pictures before post-processing. rows: (N, 128) of the feature `compact`."""
    values, std = decode_emotions(rows)
    states = np.full(len(rows), str(FrameState.IMAGE))
    return EnsembleOutput(values=values, ensemble_std=std, states=states, speech_score=np.ones(len(rows)))


def rows_of(rows: FeatureRows, stream: str, here: slice) -> np.ndarray:
    """(n, D) float32 of one stream of a part of a video, NaN where missing."""
    x = np.empty((here.stop - here.start, rows.dims[stream]), np.float32)
    rows.fill(here.start, {stream: x})
    return x


def _present(rows: FeatureRows, stream: str, here: slice) -> np.ndarray:
    """(n,) bool: whether each frame of a part of a video has the stream."""
    return np.isfinite(rows_of(rows, stream, here)).all(axis=1)


def _speech_score(run: Run, rows: FeatureRows, context: int, here: slice) -> np.ndarray:
    """(n,) speech scores of a part of a video, computed from `context` frames around each."""
    detector = run.postprocess.speech
    assert detector is not None
    around = slice(max(here.start - context // 2, 0), min(here.stop + context // 2, len(rows)))
    scores = detector.score(rows_of(rows, AUDIO, around), context)
    return scores[here.start - around.start :][: here.stop - here.start]
