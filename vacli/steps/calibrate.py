"""`va calibrate`: what a run's spread is worth, measured on videos that none of its models has seen."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vacli.calibration import Calibration
from vacli.errors import LabelError
from vacli.features.running import pick_device
from vacli.inference import CALIBRATION, load_run, predict_sequence
from vacli.metrics import Moments
from vacli.progress import Progress, Quiet
from vacli.sequences.join import open_sequences
from vacli.store import Store


@dataclass(frozen=True)
class CalibrateSettings:
    """A run, and a store of labelled videos that are not what it was trained on."""

    run: Path
    store: Path
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
    """Write the run's calibration.json; raises LabelError where no video of the store is labelled."""
    model = load_run(settings.run, pick_device(settings.device))
    store = Store.open(settings.store)
    rows = [r for r in open_sequences(store.videos(), model.recipe.model) if r.labels is not None]
    if not rows:
        raise LabelError(f"store {settings.store} has no labels", hint="run `va labels` first")
    with progress.task("calibrate", len(rows), "videos") as advance:
        made = []
        for video in rows:
            made.append(predict_sequence(model, video, video.times_s))
            advance(1)
    values, truth = np.concatenate([t.values for t in made]), np.concatenate([r.labels for r in rows])
    states = np.concatenate([t.states for t in made])
    spread = np.concatenate([np.zeros_like(t.values) if t.spread is None else t.spread for t in made])
    calibration = Calibration.fit(values - truth, spread, states)
    (settings.run / CALIBRATION).write_text(json.dumps(calibration.to_dict(), indent=2) + "\n")
    sd = calibration.sd(spread, states)
    return [_state(name, states == name, values, truth, sd) for name in sorted(calibration.states)]


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
