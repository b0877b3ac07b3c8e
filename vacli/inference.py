"""From a trained run and the rows of a video to its trajectory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vacli import digests, recipe_io
from vacli.calibration import ALONE, Calibration, drawn, states_of
from vacli.errors import InputError, RunError, UsageError
from vacli.features.compact_rows import read_out
from vacli.models import arrays
from vacli.packages import needed_by
from vacli.progress import Progress
from vacli.recipe import Model, Recipe
from vacli.run_files import DAMAGED, read_json, read_tensors, unreadable
from vacli.sequences.records import Rows
from vacli.sequences.scaling import Normalisation
from vacli.spec import AUDIO, VISUAL
from vacli.speech import Speech, frames_around
from vacli.windowed import Windowed

RECIPE = "recipe.json"
WEIGHTS = "weights.safetensors"
NORMALISATION = "normalisation.safetensors"
FEATURES = "features.json"
DATA = "data.json"
CALIBRATION = "calibration.json"
SPEECH = "speech.safetensors"
STILL = "still"  # the state of a picture for itself
FOLD = "fold_"
CALIBRATE = "make it again with `va calibrate`"
CALIBRATE_SPEECH = "make it again with `va calibrate --speech`"

BUNDLED = Path(__file__).parent / "weights" / "compact"
BUNDLED_VOICE = BUNDLED.with_name("voice")  # for recordings that show no face


@dataclass(frozen=True, eq=False, kw_only=True)
class Trajectory:
    """Predicted (valence, arousal) of one video.

    times_s: (T,) float64 seconds. values: (T, 2) float32 in [-1, 1]. sd: (T, 2) float32, how far they may be
    off: a calibrated run's standard deviation of the error, else the standard deviation over the folds'
    models (1/(n-1)), None where there is one model. spread: the latter in any case. states: (T,) which
    streams each frame has (`calibration.states_of`, `alone`).
    """

    video: str
    times_s: np.ndarray
    values: np.ndarray
    sd: np.ndarray | None
    spread: np.ndarray | None
    states: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class Member:
    """One trained model of a run; `validation` are the videos that it was held back from."""

    path: Path
    predictor: Windowed
    validation: tuple[str, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Run:
    """A trained run: one model, or one a fold. `features` tells, by name, how its inputs were made.

    faceless: it is to tell of a recording that never shows a face, of which the calibration may know more.
    speech: what the sound of such a one has to be like, if that is known.
    """

    path: Path
    recipe: Recipe
    members: tuple[Member, ...]
    features: Mapping[str, Any]
    calibration: Calibration | None = None
    faceless: bool = False
    speech: Speech | None = None


def load_run(
    path: Path, device: str = "cpu", progress: Progress | None = None, *, without: Collection[str] = ()
) -> Run:
    """A run directory, or one with a directory a fold; raises RunError where it is not whole.

    Folds of the cross-validation that have no directory are named as a warning to `progress`.

    On a CPU a small model runs without torch (`models.arrays`); others raise PackageMissing without it.
    `without`: CALIBRATION, SPEECH or both are not read, since they are about to be made.
    """
    path = Path(path)
    folders = [f for f in (path, *sorted(path.glob(f"{FOLD}*"))) if digests.is_there(f / WEIGHTS)]
    folders = [path] if path in folders else folders
    if not folders:
        raise RunError(f"{path}: no trained run in there", hint="name the folder that `va train` wrote")
    recipes = [read_recipe(folder) for folder in folders]
    for folder, recipe in zip(folders, recipes, strict=True):
        if (recipe.model, recipe.window) != (recipes[0].model, recipes[0].window):
            raise RunError(f"{folder} is of another model than {folders[0]}", hint="use one of them alone")
    if progress is not None and path not in folders:
        _warn_of_missing_folds(path, folders, progress)
    return Run(
        path=path,
        recipe=recipes[0],
        members=tuple(_member(f, r, device) for f, r in zip(folders, recipes, strict=True)),
        features=_features(folders[0] / FEATURES),
        calibration=None if CALIBRATION in without else _calibration(path),
        faceless=all(stream.name != VISUAL for stream in recipes[0].model.streams),
        speech=None if SPEECH in without else _speech(path, recipes[0].model),
    )


def _warn_of_missing_folds(path: Path, folders: Sequence[Path], progress: Progress) -> None:
    data = [read_json(folder / DATA) for folder in folders]
    count = max((about.get("folds") or 0 for about in data if isinstance(about, dict)), default=0)
    present = {folder.name for folder in folders}
    missing = [name for n in range(1, count + 1) if (name := f"{FOLD}{n}") not in present]
    if missing:
        progress.warn(
            f"{path}: {', '.join(missing)} of {count} folds is missing or not trained yet; "
            f"the result is that of the other {len(folders)}"
        )


def predict_sequence(run: Run, rows: Rows, times_s: np.ndarray) -> Trajectory:
    """Mean of the run's models over one video; raises InputError where its streams are of other widths."""
    check_widths(run, rows)
    return trajectory(run, rows, times_s, np.stack([member.predictor(rows) for member in run.members]))


def check_widths(run: Run, rows: Rows) -> None:
    """Raises InputError where a video's streams are not as wide as a run's."""
    for stream in run.recipe.model.streams:
        have = rows.dims.get(stream.name, "no")
        if have != stream.dim:
            raise InputError(
                f"{rows.video}: stream {stream.name!r} has {have} columns, {run.path} wants {stream.dim}",
                hint="extract the features that the run was trained on",
            )


def trajectory(run: Run, rows: Rows, times_s: np.ndarray, values: np.ndarray, first: int = 0) -> Trajectory:
    """What the values (M, N, 2) of a run's models say together of the N rows of a video from `first` on."""
    spread = values.std(axis=0, ddof=1) if len(values) > 1 else None
    here = slice(first, first + values.shape[1])
    states = states_of({name: _present(rows, name, here) for name in rows.dims})
    mean, sd = values.mean(axis=0), spread
    if run.calibration is not None:
        states = run.calibration.alone(states) if run.faceless else states
        mean = run.calibration.stretched(mean, states)
        if frames := judged_frames(run, times_s):
            mean, states = drawn(mean, states, _likeness(run.speech, rows, frames, here))
        sd = run.calibration.sd(np.zeros_like(mean) if spread is None else spread, states)
    return Trajectory(
        video=rows.video,
        times_s=times_s[here],
        values=mean,
        sd=sd,
        spread=spread,
        states=states,
    )


def predict_stills(run: Run, rows: np.ndarray, video: str, times_s: np.ndarray) -> Trajectory:
    """What the face network itself reads in single pictures: they are no sequence.

    rows: (N, 128) of the feature `compact`. `spread` is that of the emotions that a face is made of.
    """
    values, spread = read_out(rows)
    states = np.full(len(rows), STILL)
    sd = spread if run.calibration is None else run.calibration.sd(spread, states)
    return Trajectory(video=video, times_s=times_s, values=values, sd=sd, spread=spread, states=states)


def _present(rows: Rows, stream: str, here: slice) -> np.ndarray:
    """Whether each frame of a part of a video has the stream."""
    return np.isfinite(rows_of(rows, stream, here)).all(axis=1)


def rows_of(rows: Rows, stream: str, here: slice) -> np.ndarray:
    """(n, D) float32 of one stream of a part of a video, NaN where missing."""
    x = np.empty((here.stop - here.start, rows.dims[stream]), np.float32)
    rows.fill(here.start, {stream: x})
    return x


def judged_frames(run: Run, times_s: np.ndarray) -> int:
    """By how many rows around it a frame's sound is judged to be speech or not; 0 where it is not judged."""
    measured = run.calibration is not None and ALONE in run.calibration.states
    return frames_around(times_s) if run.faceless and run.speech is not None and measured else 0


def _likeness(speech: Speech, rows: Rows, frames: int, here: slice) -> np.ndarray:
    """(n,) of a part of a video, judged by what is around it too."""
    around = slice(max(here.start - frames // 2, 0), min(here.stop + frames // 2, len(rows)))
    made = speech.likeness(rows_of(rows, AUDIO, around), frames)
    return made[here.start - around.start :][: here.stop - here.start]


def _calibration(path: Path) -> Calibration | None:
    if not digests.is_there(path / CALIBRATION, CALIBRATE):
        return None
    try:
        made = Calibration.from_dict(read_json(path / CALIBRATION, CALIBRATE))
        return made if made.states else None
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RunError(f"{path / CALIBRATION} is no calibration", hint=CALIBRATE) from None


def _speech(path: Path, model: Model) -> Speech | None:
    if not digests.is_there(path / SPEECH, CALIBRATE_SPEECH):
        return None
    (columns, *_) = [stream.dim for stream in model.streams if stream.name == AUDIO] or [0]
    try:
        return Speech.from_arrays(read_tensors(path / SPEECH, CALIBRATE_SPEECH), columns)
    except ValueError as error:
        raise RunError(f"{path / SPEECH}: {error}", hint=CALIBRATE_SPEECH) from None


def read_recipe(folder: Path) -> Recipe:
    """The recipe of a run; raises RunError where it cannot be understood."""
    try:
        return recipe_io.from_dict(Recipe, read_json(folder / RECIPE))
    except UsageError as error:
        raise RunError(
            f"{folder / RECIPE}: {error}", hint="it was written by another version of va"
        ) from None


def read_normalisation(folder: Path) -> Normalisation:
    """The statistics by which a run scales its inputs."""
    return Normalisation.from_tensors(read_tensors(folder / NORMALISATION))


def _normalisation(folder: Path, model: Model) -> Normalisation:
    made = read_normalisation(folder)
    for stream in model.streams:
        if any(np.shape(table.get(stream.name)) != (stream.dim,) for table in (made.mean, made.std)):
            raise RunError(
                f"{folder / NORMALISATION} does not fit {RECIPE}: stream {stream.name!r}", hint=DAMAGED
            )
    return made


def _member(folder: Path, recipe: Recipe, device: str) -> Member:
    in_arrays = str(device) == "cpu" and arrays.serves(recipe.model)
    make = _array_predictor if in_arrays else _torch_predictor
    return Member(
        path=folder,
        predictor=make(folder, recipe, device),
        validation=_validation(folder / DATA),
    )


def _features(path: Path) -> dict[str, Any]:
    made = read_json(path)
    if not isinstance(made, dict) or not all(isinstance(about, dict) for about in made.values()):
        raise RunError(f"{path} does not tell of features", hint=DAMAGED)
    return made


def _validation(path: Path) -> tuple[str, ...]:
    try:
        return tuple(map(str, read_json(path)["validation"]))
    except (KeyError, TypeError) as error:
        raise unreadable(path, error) from None


def _array_predictor(folder: Path, recipe: Recipe, device: str) -> Windowed:
    tensors = read_tensors(folder / WEIGHTS)
    try:
        net = arrays.ArrayNet(recipe.model, tensors)
    except ValueError as error:
        raise _misfit(folder, error) from None
    normalisation, clip_z = _normalisation(folder, recipe.model), recipe.training.clip_z

    def network(streams: Mapping[str, np.ndarray], mask: np.ndarray) -> np.ndarray:
        return net(normalisation.apply(streams, clip_z), mask)

    return Windowed(network, recipe.window, net.causal)


def _torch_predictor(folder: Path, recipe: Recipe, device: str) -> Windowed:
    with needed_by(f"the run {folder}"):
        import torch

        from vacli.models.build import build
        from vacli.predictor import Predictor
        from vacli.sequences.dataset import Standardiser

    net = build(recipe.model)
    try:
        net.load_state_dict({k: torch.tensor(x) for k, x in read_tensors(folder / WEIGHTS).items()})
    except RuntimeError as error:
        raise _misfit(folder, error) from None
    standardiser = Standardiser(_normalisation(folder, recipe.model), recipe.training.clip_z)
    place = torch.device(device)
    return Predictor(net.to(place), standardiser.to(place), recipe.window, place)


def _misfit(folder: Path, error: Exception) -> RunError:
    line = " ".join(str(error).split())
    return RunError(f"{folder / WEIGHTS} does not fit {RECIPE}: {line}", hint="train again")
