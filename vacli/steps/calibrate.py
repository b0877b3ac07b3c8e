"""`va calibrate`: what a run's spread is worth, measured on videos that none of its models has seen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vacli.errors import LabelError, RunError, StoreError
from vacli.files import digests
from vacli.files.run_directory import CALIBRATION_FILE, SPEECH_FILE
from vacli.inference.calibration import ALONE, FEWEST_FRAMES, Calibration, alone, drawn
from vacli.inference.prediction import Trajectory, predict_sequence, predict_stills, rows_of
from vacli.inference.run import Run, load_run
from vacli.inference.speech_detection import Speech, frames_around
from vacli.metrics import Moments
from vacli.progress import Progress, Quiet
from vacli.runtime.options import device_name
from vacli.sequences.base import Rows
from vacli.sequences.stored import open_sequences
from vacli.spec import AUDIO, VISUAL
from vacli.store import Store, VideoView
from vacli.training.checkpoint import arrays_bytes, json_bytes


@dataclass(frozen=True)
class CalibrateSettings:
    """A run, and stores of labelled videos, or of stills, that are not what it was trained on.

    speech: a store with much speech, by which other sound is known; what the run was trained on will do.
    """

    run: Path
    stores: tuple[Path, ...]
    device: str = "auto"
    speech: Path | None = None


@dataclass(frozen=True)
class State:
    """Frames of one state: how many, CCC and RMSE of (valence, arousal), and the share of values within
    one and two sd of the label (0.68 and 0.95 where errors are normal)."""

    name: str
    frames: int
    ccc: tuple[float, float]
    rmse: tuple[float, float]
    within: tuple[float, float]


def run(settings: CalibrateSettings, progress: Progress = Quiet()) -> list[State]:
    """Write the run's calibration.json, and speech.safetensors if there is speech to know it from.

    Videos that their labels call training or test data do not count. Raises LabelError where too little is
    labelled, StoreError where the store of speech holds none, RunError where the run hears none.
    """
    anew = (CALIBRATION_FILE, SPEECH_FILE) if settings.speech else (CALIBRATION_FILE,)
    model = load_run(settings.run, device_name(settings.device), progress, without=anew)
    if settings.speech:
        model = replace(model, speech=_speech(model, settings.speech, progress))
    views = _labelled(settings.stores)
    with progress.task("calibrate", len(views), "videos") as advance:
        measured = []
        for view in views:
            measured.append(_measured(model, view))
            advance(1)
    made, likeness = [told for told, _ in measured], np.concatenate([like for _, like in measured])
    values, truth = np.concatenate([t.values for t in made]), np.concatenate([_labels(v) for v in views])
    spread = np.concatenate([np.zeros_like(t.values) if t.spread is None else t.spread for t in made])
    _, states = drawn(values, np.concatenate([t.states for t in made]), likeness)
    calibration = Calibration.fit(values, truth, spread, states)
    _check_measured(calibration, settings)
    digests.write(settings.run / CALIBRATION_FILE, json_bytes(calibration.to_dict()))
    if settings.speech:
        digests.write(settings.run / SPEECH_FILE, arrays_bytes(model.speech.arrays()))
    values, _ = drawn(calibration.stretched(values, states), states, likeness)
    sd = calibration.sd(spread, states)
    return [_state(name, states == name, values, truth, sd) for name in sorted(calibration.states)]


def _labelled(stores: tuple[Path, ...]) -> list[VideoView]:
    views = [v for path in stores for v in Store.open(path).videos() if v.has("label/valence")]
    views = [v for v in views if v.part_attrs("label").get("split") in ("", "validation")]
    if not views:
        names = ", ".join(map(str, stores))
        raise LabelError(f"{names}: no labelled videos to measure on", hint="run `va labels` first")
    return views


def _check_measured(calibration: Calibration, settings: CalibrateSettings) -> None:
    if not calibration.states:
        raise LabelError(
            f"no state of the frames has {FEWEST_FRAMES} labelled ones to measure on", hint="give more videos"
        )
    if settings.speech and ALONE not in calibration.states:
        raise LabelError(
            f"fewer than {FEWEST_FRAMES} labelled frames of speech without a face to measure on",
            hint="leave out --speech, or add recordings that show no face",
        )


def _speech(model: Run, path: Path, progress: Progress) -> Speech:
    hearing = tuple(stream for stream in model.recipe.model.streams if stream.name == AUDIO)
    if not hearing:
        raise RunError(f"{model.path} hears no sound", hint="leave out --speech")
    views, sounds = Store.open(path).videos(), []
    with progress.task("speech", len(views), "videos") as advance:
        for rows in open_sequences(views, replace(model.recipe.model, streams=hearing)):
            sounds.append(_sound(rows))
            advance(1)
    frames = [frames_around(view.times_s) for view in views]
    if not any(count and np.isfinite(x).all(1).any() for x, count in zip(sounds, frames, strict=True)):
        raise StoreError(f"store {path} has no sound that is described", hint="run `va extract-audio` first")
    return Speech.fit(sounds, frames)


def _measured(model: Run, view: VideoView) -> tuple[Trajectory, np.ndarray]:
    """What is told of a video, and how like speech (T,) its sound is, if it never shows a face."""
    if view.attrs.get("stream", {}).get("kind") == "stills":
        made = predict_stills(model, view.feature("compact")[0], view.id, view.times_s)
        return made, np.ones(len(made.states))
    (rows,) = open_sequences([view], model.recipe.model)
    made = predict_sequence(model, rows, view.times_s)
    if not any(VISUAL in state for state in np.unique(made.states)):
        made = replace(made, states=alone(made.states))
    frames = frames_around(view.times_s)
    if model.speech is None or ALONE not in made.states or not frames:
        return made, np.ones(len(made.states))
    return made, model.speech.likeness(_sound(rows), frames)


def _sound(rows: Rows) -> np.ndarray:
    return rows_of(rows, AUDIO, slice(0, len(rows)))


def _labels(view: VideoView) -> np.ndarray:
    return np.stack([view.read("label/valence"), view.read("label/arousal")], axis=1)


def _state(name: str, here: np.ndarray, values: np.ndarray, truth: np.ndarray, sd: np.ndarray) -> State:
    here = here & np.isfinite(truth).all(axis=1)
    error = np.abs(values[here] - truth[here])
    return State(
        name=name,
        frames=int(here.sum()),
        ccc=tuple(Moments.of(values[here, d], truth[here, d]).ccc for d in (0, 1)),
        rmse=tuple(np.sqrt(np.square(error).mean(axis=0)).tolist()),
        within=tuple(float((error <= k * sd[here]).mean()) for k in (1, 2)),
    )
