"""`va calibrate`: fit the uncertainty of a run on held-out videos."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vacli.errors import LabelError, RunError
from vacli.files import digests
from vacli.files.run_directory import CALIBRATION_FILE, FACE_ERROR_FILE, SPEECH_FILE
from vacli.inference.calibration import MIN_FRAMES, Calibration
from vacli.inference.ensemble import EnsembleOutput, concatenate
from vacli.inference.feature_check import check_stored_features
from vacli.inference.postprocessing import Postprocessed, PostProcessor, voiced_states
from vacli.inference.prediction import (
    VideoInput,
    audio_availability,
    ensemble_output,
    image_output,
    model_outputs,
    rows_of,
)
from vacli.inference.run import Run, load_run
from vacli.inference.speech_detection import SpeechDetector
from vacli.inference.states import UNMEASURED, FrameState
from vacli.inference.training_record import training_record
from vacli.inference.voice import VoiceEvidence
from vacli.metrics import Moments
from vacli.progress import Progress, RecordingProgress
from vacli.runtime.options import device_name
from vacli.sequences.grouping import identity
from vacli.sequences.labels import annotated_labels
from vacli.sequences.stored import open_sequences, speech_probability, stored_difficulty
from vacli.spec import VISUAL
from vacli.steps._calibration_references import (
    fit_face_error,
    fit_speech_detector,
    labelled_videos,
    recording_conditions,
)
from vacli.store import VideoView
from vacli.training.checkpoint import arrays_bytes, json_bytes


@dataclass(frozen=True)
class CalibrateSettings:
    """A run, and stores of labelled videos or images that none of its models was trained on.

    speech_reference: a store of mostly speech, such as the training store, to fit the speech detector on.
    face_reference: a store of labelled pictures, to fit the expected error of the run's face network on.
    left_out: runs that were trained like this one, but without the corpus in the store beside them. Their
    errors are those of this run on material of another kind. Each such store counts equally.
    allow_training_data: use videos that a model was trained on, which makes the error bars too small.
    """

    run: Path
    stores: tuple[Path, ...]
    device: str = "auto"
    speech_reference: Path | None = None
    face_reference: Path | None = None
    left_out: tuple[tuple[Path, Path], ...] = ()
    allow_training_data: bool = False


@dataclass(frozen=True)
class StateScore:
    """The labelled frames of one state: their number, CCC and RMSE of (valence, arousal), and the coverage.

    The coverage is the fraction of labels within one and two standard deviations of the prediction (0.68 and
    0.95 for normal errors).
    """

    name: str
    frames: int
    ccc: tuple[float, float]
    rmse: tuple[float, float]
    coverage: tuple[float, float]


def run(settings: CalibrateSettings, progress: Progress | None = None) -> list[StateScore]:
    """Write the run's calibration.json and, with references, speech.safetensors and face_error.safetensors.

    A state that occurs in stores of `left_out` is fitted to these alone. Videos of a training or test split
    are left out. Raises LabelError for too few labels, RunError if the run was trained on a video, and the
    errors of `fit_speech_detector` and `fit_face_error`.
    """
    progress = progress or RecordingProgress()
    references = {SPEECH_FILE: settings.speech_reference, FACE_ERROR_FILE: settings.face_reference}
    replaced = (CALIBRATION_FILE, *(name for name, path in references.items() if path))
    model = load_run(settings.run, device_name(settings.device), progress, without=replaced)
    if settings.face_reference:
        model = replace(model, face_error=fit_face_error(model, settings.face_reference))
    detector = model.postprocess.speech
    if settings.speech_reference:
        detector = fit_speech_detector(model, settings.speech_reference, progress)
    measured = _measured([_measure(model, detector, settings.stores, settings, progress)])
    calibration = _fit(measured)
    if settings.left_out:
        runs = [(_like(model, path), store) for path, store in settings.left_out]
        sets = [_measure(other, detector, (store,), settings, progress) for other, store in runs]
        left_out = _measured(sets)
        others = _fit(left_out)
        measured = measured.merged(left_out, others.states)
        calibration = Calibration({**calibration.states, **others.states})
    _check_states(calibration)
    _warn_of_few(calibration, measured, progress)
    digests.write(settings.run / CALIBRATION_FILE, json_bytes(calibration.to_dict()))
    if settings.speech_reference and detector is not None:
        digests.write(settings.run / SPEECH_FILE, arrays_bytes(detector.arrays()))
    if settings.face_reference and model.face_error is not None:
        digests.write(settings.run / FACE_ERROR_FILE, arrays_bytes(model.face_error.arrays()))
    progress.info(
        "the errors below are those of the frames that the error bars were fitted to; "
        "whether they hold for others shows a store of other people"
    )
    predicted = PostProcessor(calibration, detector)(measured.output)
    return _scores(calibration, predicted, measured.labels)


def _warn_of_few(calibration: Calibration, measured: _Measured, progress: Progress) -> None:
    """Name the states whose labelled frames are too few."""
    states = measured.states[np.isfinite(measured.output.values - measured.labels).all(axis=1)]
    for state in np.unique(states):
        if state not in calibration.states and state not in UNMEASURED:
            progress.warn(
                f"{state}: {int((states == state).sum())} labelled frames are too few for own error bars "
                f"({MIN_FRAMES} are needed); {_substitute(str(state), calibration)}"
            )


def _substitute(state: str, calibration: Calibration) -> str:
    if state == FrameState.AUDIO_ONLY and FrameState.AUDIO in calibration.states:
        return f"they get those of {FrameState.AUDIO}"
    return "they get the largest ones of the other states"


@dataclass(frozen=True, eq=False)
class _Measured:
    """Outputs of models that were not trained on their T frames, labels (T, 2) and weights (T,).

    conditions (T,): the names under which `va bundled-model import` degraded the faces, "" for others.
    """

    output: EnsembleOutput
    labels: np.ndarray
    weights: np.ndarray
    conditions: np.ndarray

    def merged(self, other: _Measured, states: Collection[str]) -> _Measured:
        """The frames of `other` in some states, and the frames of this record in all others."""
        own, theirs = ~np.isin(self.states, list(states)), np.isin(other.states, list(states))
        return _Measured(
            concatenate([self.output.rows(own), other.output.rows(theirs)]),
            np.concatenate([self.labels[own], other.labels[theirs]]),
            np.concatenate([self.weights[own], other.weights[theirs]]),
            np.concatenate([self.conditions[own], other.conditions[theirs]]),
        )

    @property
    def states(self) -> np.ndarray:
        """(T,) of `FrameState`, as post-processing gives them."""
        return voiced_states(self.output)


def _measured(sets: Sequence[_Measured]) -> _Measured:
    """Sets of frames, which have equal weights in total, and conditions of their own."""
    return _Measured(
        concatenate([one.output for one in sets]),
        np.concatenate([one.labels for one in sets]),
        np.concatenate([one.weights / one.weights.sum() for one in sets]),
        np.concatenate([np.char.add(f"{number} ", one.conditions) for number, one in enumerate(sets)]),
    )


def _fit(measured: _Measured) -> Calibration:
    output = replace(measured.output, states=measured.states)
    return Calibration.fit(output, measured.labels, measured.weights, measured.conditions)


def _measure(
    model: Run,
    detector: SpeechDetector | None,
    stores: tuple[Path, ...],
    settings: CalibrateSettings,
    progress: Progress,
) -> _Measured:
    """The outputs of a run for the labelled videos of stores, with equal weights."""
    views, outputs = labelled_videos(stores), []
    _check_held_out(model, views, settings, progress)
    check_stored_features(model, views)
    with progress.task("calibrate", len(views), "videos") as advance:
        for view in views:
            outputs.append(_output(model, detector, view))
            advance(1)
    labels = np.concatenate([annotated_labels(view) for view in views])
    return _Measured(concatenate(outputs), labels, np.ones(len(labels)), recording_conditions(views))


def _like(model: Run, path: Path) -> Run:
    """Another run with the face network of `model`; raises RunError if it has another model."""
    other = load_run(path, without=(CALIBRATION_FILE, SPEECH_FILE, FACE_ERROR_FILE))
    if other.recipe.model != model.recipe.model:
        raise RunError(
            f"{path} and {model.path} have different models",
            hint="train it with the same recipe, on the other corpora",
        )
    return replace(other, face_error=model.face_error)


def _check_held_out(
    model: Run, views: list[VideoView], settings: CalibrateSettings, progress: Progress
) -> None:
    """Raise RunError if a model was trained on a video; warn if one was trained on its subject."""
    record, identities = training_record(model.folders), [identity(view) for view in views]
    trained = [one.video for one in identities if record.includes(one.video, one.sha256)]
    text = f"{model.path} was trained on {len(trained)} of {len(views)} videos ({', '.join(trained[:3])})"
    if trained and not settings.allow_training_data:
        raise RunError(
            text, hint="give held-out videos; --allow-training-data accepts error bars that are too small"
        )
    if trained:
        progress.warn(f"{text}; the error bars are too small")
    people = sorted({one.subject for one in identities} & record.subjects)
    if people and not trained:
        progress.warn(f"{model.path} was trained on {len(people)} of these people ({', '.join(people[:3])})")


def _check_states(calibration: Calibration) -> None:
    if not calibration.states:
        raise LabelError(
            f"every state has fewer than {MIN_FRAMES} labelled frames", hint="add labelled videos"
        )


def _output(model: Run, detector: SpeechDetector | None, view: VideoView) -> EnsembleOutput:
    """The models' outputs for a video, with speech scores if it never shows a face."""
    if view.attrs.get("stream", {}).get("kind") == "images":
        return image_output(model, view.feature("compact")[0], stored_difficulty(view))
    (rows,) = open_sequences([view], model.recipe.model)
    shows_face = VISUAL in rows.dims and np.isfinite(rows_of(rows, VISUAL, slice(0, len(rows)))).all(1).any()
    model = replace(model, postprocess=PostProcessor(None, detector, audio_only=not shows_face))
    voice = VoiceEvidence(speech_probability(view), np.full(len(rows), np.nan))
    video = VideoInput.complete(rows, view.times_s, voice, stored_difficulty(view))
    outputs = model_outputs(model, rows, audio_availability(model, voice, video.difficulty))
    return ensemble_output(model, video, outputs)


def _scores(calibration: Calibration, predicted: Postprocessed, labels: np.ndarray) -> list[StateScore]:
    uncertainty = predicted.uncertainty
    assert uncertainty is not None  # a calibrated run has it
    labelled = np.isfinite(labels).all(axis=1)
    scores = []
    for name in sorted(calibration.states):
        rows = labelled & (predicted.states == name)
        values, target, std = predicted.values[rows], labels[rows], uncertainty[rows]
        error = np.abs(values - target)
        scores.append(
            StateScore(
                name=name,
                frames=int(rows.sum()),
                ccc=(_ccc(values, target, 0), _ccc(values, target, 1)),
                rmse=tuple(np.sqrt(np.square(error).mean(axis=0)).tolist()),
                coverage=(_coverage(error, std), _coverage(error, 2 * std)),
            )
        )
    return scores


def _ccc(predicted: np.ndarray, target: np.ndarray, dimension: int) -> float:
    return Moments.of(predicted[:, dimension], target[:, dimension]).ccc


def _coverage(error: np.ndarray, bound: np.ndarray) -> float:
    """The fraction of errors within the bound."""
    return float((error <= bound).mean())
