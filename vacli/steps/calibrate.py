"""`va calibrate`: what a run's spread is worth, measured on videos that none of its models has seen."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vacli.calibration import FEWEST_FRAMES, Calibration, alone
from vacli.errors import LabelError
from vacli.features.running import pick_device
from vacli.inference import CALIBRATION, Run, Trajectory, load_run, predict_sequence, predict_stills
from vacli.metrics import Moments
from vacli.progress import Progress, Quiet
from vacli.sequences.join import open_sequences
from vacli.spec import VISUAL
from vacli.store import Store, VideoView
from vacli.training.checkpoint import write_text


@dataclass(frozen=True)
class CalibrateSettings:
    """A run, and stores of labelled videos, or of stills, that are not what it was trained on."""

    run: Path
    stores: tuple[Path, ...]
    device: str = "auto"


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
    """Write the run's calibration.json; raises LabelError where too little is labelled.

    Videos that their labels call training or test data do not count.
    """
    model = replace(load_run(settings.run, pick_device(settings.device)), calibration=None)
    views = [v for path in settings.stores for v in Store.open(path).videos() if v.has("label/valence")]
    views = [v for v in views if v.part_attrs("label").get("split") in ("", "validation")]
    if not views:
        names = ", ".join(map(str, settings.stores))
        raise LabelError(f"{names}: no labelled videos to measure on", hint="run `va labels` first")
    with progress.task("calibrate", len(views), "videos") as advance:
        made = []
        for view in views:
            made.append(_predicted(model, view))
            advance(1)
    values, truth = np.concatenate([t.values for t in made]), np.concatenate([_labels(v) for v in views])
    states = np.concatenate([t.states for t in made])
    spread = np.concatenate([np.zeros_like(t.values) if t.spread is None else t.spread for t in made])
    calibration = Calibration.fit(values, truth, spread, states)
    if not calibration.states:
        raise LabelError(
            f"no state of the frames has {FEWEST_FRAMES} labelled ones to measure on", hint="give more videos"
        )
    write_text(settings.run / CALIBRATION, json.dumps(calibration.to_dict(), indent=2) + "\n")
    values, sd = calibration.stretched(values, states), calibration.sd(spread, states)
    return [_state(name, states == name, values, truth, sd) for name in sorted(calibration.states)]


def _predicted(model: Run, view: VideoView) -> Trajectory:
    if view.attrs.get("stream", {}).get("kind") == "stills":
        return predict_stills(model, view.feature("compact")[0], view.id, view.times_s)
    (rows,) = open_sequences([view], model.recipe.model)
    made = predict_sequence(model, rows, view.times_s)
    faceless = not any(VISUAL in state for state in np.unique(made.states))
    return replace(made, states=alone(made.states)) if faceless else made


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
