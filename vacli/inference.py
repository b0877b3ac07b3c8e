"""From a trained run and the rows of a video to its trajectory.

Validation during training, `va evaluate` and `va predict` all go through `Predictor`: whole videos, in
windows as in training, overlaps averaged, so that a score means the same wherever it is printed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file as load_arrays
from safetensors.torch import load_file as load_tensors
from torch import nn

from vacli import recipe_io
from vacli.calibration import Calibration, states_of
from vacli.errors import InputError, RunError, UsageError
from vacli.features.compact import read_out
from vacli.models.build import build
from vacli.recipe import Recipe, Window
from vacli.sequences import windows
from vacli.sequences.dataset import Standardiser, WindowDataset
from vacli.sequences.records import Rows
from vacli.sequences.scaling import Normalisation

RECIPE = "recipe.json"
WEIGHTS = "weights.safetensors"
NORMALISATION = "normalisation.safetensors"
FEATURES = "features.json"
DATA = "data.json"
CALIBRATION = "calibration.json"
STILL = "still"  # the state of a picture for itself
FOLD = "fold_"

BUNDLED = Path(__file__).parent / "weights" / "compact"
BLOCK_WINDOWS = 16  # windows that go through the network at once


@dataclass(frozen=True, eq=False, kw_only=True)
class Trajectory:
    """Predicted (valence, arousal) of one video.

    times_s: (T,) float64 seconds. values: (T, 2) float32 in [-1, 1]. sd: (T, 2) float32, how far they may be
    off: a calibrated run's standard deviation of the error, else the standard deviation over the folds'
    models (1/(n-1)), None where there is one model. spread: the latter in any case. states: (T,) which
    streams each frame has (`calibration.states_of`).
    """

    video: str
    times_s: np.ndarray
    values: np.ndarray
    sd: np.ndarray | None
    spread: np.ndarray | None
    states: np.ndarray


class Predictor:
    """A network with all that it takes to run it over a whole video."""

    def __init__(
        self, net: nn.Module, standardiser: Standardiser, window: Window, device: torch.device
    ) -> None:
        self.net = net
        self.standardiser = standardiser
        self._window = window
        self._device = device

    def __call__(self, rows: Rows) -> np.ndarray:
        """(T, 2) float32 in [-1, 1]: mean over the windows that cover a frame, cut to the scale's ends."""
        dataset = WindowDataset([rows], self._window)
        training, predicted = self.net.training, []
        self.net.eval()
        for start in range(0, len(dataset), BLOCK_WINDOWS):
            predicted.append(self._block(dataset, range(start, min(start + BLOCK_WINDOWS, len(dataset)))))
        self.net.train(training)
        if not predicted:
            return np.zeros((0, 2), np.float32)
        starts = windows.plan(len(rows), self._window)
        return windows.stitch(np.concatenate(predicted), starts, len(rows)).clip(-1.0, 1.0)

    @torch.inference_mode()
    def _block(self, dataset: WindowDataset, indices: range) -> np.ndarray:
        batch = dataset.__getitems__(indices).to(self._device)
        return self.net(self.standardiser(batch.streams), batch.mask).float().cpu().numpy()


@dataclass(frozen=True, eq=False, kw_only=True)
class Member:
    """One trained model of a run; `validation` are the videos that it was held back from."""

    path: Path
    predictor: Predictor
    validation: tuple[str, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Run:
    """A trained run: one model, or one a fold. `features` tells, by name, how its inputs were made."""

    path: Path
    recipe: Recipe
    members: tuple[Member, ...]
    features: Mapping[str, Any]
    calibration: Calibration | None = None


def load_run(path: Path, device: torch.device | str = "cpu") -> Run:
    """A run directory, or one with a directory a fold; raises RunError where it is not whole."""
    path, device = Path(path), torch.device(device)
    single = (path / WEIGHTS).is_file()
    folders = [path] if single else sorted(p.parent for p in path.glob(f"{FOLD}*/{WEIGHTS}"))
    if not folders:
        raise RunError(f"{path}: no trained run in there", hint="name the folder that `va train` wrote")
    recipes = [read_recipe(folder) for folder in folders]
    for folder, recipe in zip(folders, recipes, strict=True):
        if (recipe.model, recipe.window) != (recipes[0].model, recipes[0].window):
            raise RunError(f"{folder} is of another model than {folders[0]}", hint="use one of them alone")
    return Run(
        path=path,
        recipe=recipes[0],
        members=tuple(_member(f, r, device) for f, r in zip(folders, recipes, strict=True)),
        features=_read_json(folders[0] / FEATURES),
        calibration=_calibration(path),
    )


def predict_sequence(run: Run, rows: Rows, times_s: np.ndarray) -> Trajectory:
    """Mean of the run's models over one video; raises InputError where its streams are of other widths."""
    for stream in run.recipe.model.streams:
        have = rows.dims.get(stream.name, "no")
        if have != stream.dim:
            raise InputError(
                f"{rows.video}: stream {stream.name!r} has {have} columns, {run.path} wants {stream.dim}",
                hint="extract the features that the run was trained on",
            )
    values = np.stack([member.predictor(rows) for member in run.members])
    spread = values.std(axis=0, ddof=1) if len(values) > 1 else None
    states = states_of({name: _present(rows, name) for name in rows.dims})
    sd = spread
    if run.calibration is not None:
        sd = run.calibration.sd(np.zeros(values.shape[1:]) if spread is None else spread, states)
    return Trajectory(
        video=rows.video, times_s=times_s, values=values.mean(axis=0), sd=sd, spread=spread, states=states
    )


def predict_stills(run: Run, rows: np.ndarray, video: str, times_s: np.ndarray) -> Trajectory:
    """What the face network itself reads in single pictures: they are no sequence.

    rows: (N, 128) of the feature `compact`. `spread` is that of the emotions that a face is made of.
    """
    values, spread = read_out(rows)
    states = np.full(len(rows), STILL)
    sd = spread if run.calibration is None else run.calibration.sd(spread, states)
    return Trajectory(video=video, times_s=times_s, values=values, sd=sd, spread=spread, states=states)


def _present(rows: Rows, stream: str) -> np.ndarray:
    """(T,) whether each frame has the stream."""
    x = np.empty((len(rows), rows.dims[stream]), np.float32)
    rows.fill(0, {stream: x})
    return np.isfinite(x).all(axis=1)


def _calibration(path: Path) -> Calibration | None:
    if not (path / CALIBRATION).is_file():
        return None
    try:
        return Calibration.from_dict(_read_json(path / CALIBRATION))
    except (KeyError, TypeError, AttributeError):
        raise RunError(
            f"{path / CALIBRATION} is no calibration", hint="make it again with `va calibrate`"
        ) from None


def read_recipe(folder: Path) -> Recipe:
    """The recipe of a run; raises RunError where it cannot be understood."""
    try:
        return recipe_io.from_dict(Recipe, _read_json(folder / RECIPE))
    except UsageError as error:
        raise RunError(
            f"{folder / RECIPE}: {error}", hint="it was written by another version of va"
        ) from None


def read_normalisation(folder: Path) -> Normalisation:
    """The statistics by which a run scales its inputs."""
    return Normalisation.from_tensors(_read(folder / NORMALISATION, load_arrays))


def _member(folder: Path, recipe: Recipe, device: torch.device) -> Member:
    net = build(recipe.model)
    try:
        net.load_state_dict(_read(folder / WEIGHTS, load_tensors))
    except RuntimeError as error:
        line = " ".join(str(error).split())
        raise RunError(f"{folder / WEIGHTS} does not fit {RECIPE}: {line}", hint="train again") from None
    standardiser = Standardiser(read_normalisation(folder), recipe.training.clip_z)
    return Member(
        path=folder,
        predictor=Predictor(net.to(device), standardiser.to(device), recipe.window, device),
        validation=tuple(_read_json(folder / DATA)["validation"]),
    )


def _read(path: Path, load: Any) -> Any:
    try:
        return load(path)
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path} cannot be read: {error}", hint="the run is damaged; train again") from None


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {error}", hint="the run is damaged; train again") from None
