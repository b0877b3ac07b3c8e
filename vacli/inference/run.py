"""A trained run: its models, the description of their features, and the error calibration."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vacli.errors import RunError, UsageError
from vacli.files import digests
from vacli.files.digests import TRAIN_AGAIN
from vacli.files.run_directory import (
    CALIBRATION_FILE,
    DATA_FILE,
    FACE_ERROR_FILE,
    FEATURES_FILE,
    FOLD_PREFIX,
    NORMALIZATION_FILE,
    RECIPE_FILE,
    SPEECH_FILE,
    WEIGHTS_FILE,
    epochs_done,
    missing_folds,
    read_json,
    read_tensors,
    unreadable,
)
from vacli.inference.array_predictor import ArrayPredictor
from vacli.inference.calibration import Calibration
from vacli.inference.face_error import FaceErrorModel
from vacli.inference.postprocessing import PostProcessor
from vacli.inference.sliding_window import SlidingWindowPredictor
from vacli.inference.speech_detection import SpeechDetector
from vacli.models import arrays
from vacli.packages import needed_by
from vacli.progress import Progress
from vacli.recipe import io as recipe_io
from vacli.recipe.modules import without_fold_tags
from vacli.recipe.presets import PRESETS
from vacli.recipe.schema import Model, Recipe
from vacli.sequences.normalization import Normalisation
from vacli.spec import AUDIO, VISUAL, present_settings

CALIBRATE = "make it again with `va calibrate`"
CALIBRATE_SPEECH = "make it again with `va calibrate --speech-reference`"
CALIBRATE_FACES = "make it again with `va calibrate --face-reference`"

BUNDLED = Path(__file__).parents[1] / "weights" / "compact"
BUNDLED_AUDIO = BUNDLED.with_name("compact-audio")  # for recordings that show no face


def is_bundled_run(path: Path) -> bool:
    """Whether a run directory is the model of the package."""
    return path.resolve() == BUNDLED.resolve()


@dataclass(frozen=True, eq=False, kw_only=True)
class EnsembleMember:
    """One trained model of a run. validation: the videos that it was validated on, not trained on.

    model: the run's model, whose features may have another fold's tag (`va crossval`).
    """

    path: Path
    model: Model
    predictor: SlidingWindowPredictor
    validation: tuple[str, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Run:
    """A trained run: one model, or one a fold.

    features: name -> how the input was made. face_error: of its face network, None if it was not measured.
    """

    path: Path
    recipe: Recipe
    members: tuple[EnsembleMember, ...]
    features: Mapping[str, Any]
    postprocess: PostProcessor = PostProcessor()
    face_error: FaceErrorModel | None = None

    @property
    def folders(self) -> tuple[Path, ...]:
        """Those of the models."""
        return tuple(member.path for member in self.members)


def load_run(
    path: Path, device: str = "cpu", progress: Progress | None = None, *, without: Collection[str] = ()
) -> Run:
    """Load a run directory, or one with a directory a fold; raises RunError if a file is missing or damaged.

    Warnings to `progress` name the folds of the cross-validation that have no trained model, and the models
    whose training is not at its end.

    On a CPU a small model runs without torch (`models.arrays`); others raise PackageMissing without it.
    without: of CALIBRATION_FILE, SPEECH_FILE and FACE_ERROR_FILE, those that are not read, because they are
    about to be written.
    """
    path = Path(path)
    folders = trained_folders(path)
    recipes = [read_recipe(folder) for folder in folders]
    models = [(without_fold_tags(recipe.model), recipe.window) for recipe in recipes]
    for folder, model in zip(folders, models, strict=True):
        if model != models[0]:
            raise RunError(
                f"{folder} and {folders[0]} have different models",
                hint="keep the folds of one model in the folder",
            )
    if progress is not None:
        _warn_of_missing_folds(path, folders, progress)
        _warn_of_unfinished(folders, recipes, progress)
    return Run(
        path=path,
        recipe=recipes[0],
        members=tuple(_member(f, r, device) for f, r in zip(folders, recipes, strict=True)),
        features={name: made for f in folders for name, made in _features(f / FEATURES_FILE).items()},
        postprocess=PostProcessor(
            calibration=None if CALIBRATION_FILE in without else _calibration(path),
            speech=None if SPEECH_FILE in without else _speech(path, recipes[0].model),
            audio_only=all(stream.name != VISUAL for stream in recipes[0].model.streams),
        ),
        face_error=None if FACE_ERROR_FILE in without else _face_error(path),
    )


def trained_folders(path: Path) -> list[Path]:
    """The folders of a run's trained models: the run's own, or one a fold; RunError if there is none."""
    check_not_preset(path)
    folders = [f for f in (path, *sorted(path.glob(f"{FOLD_PREFIX}*"))) if digests.has_file(f / WEIGHTS_FILE)]
    if not folders:
        raise RunError(f"{path} is not a trained run", hint="name the folder that `va train` wrote")
    return [path] if path in folders else folders


def check_not_preset(path: Path) -> None:
    """Raise RunError if a preset is named in place of a run."""
    if str(path) in PRESETS and not path.exists():
        raise RunError(
            f"{path} is a preset, and presets have no published weights",
            hint=f"train one with `va train STORE --preset {path} -o runs/{path}`, then name runs/{path}",
        )


def _warn_of_unfinished(folders: Sequence[Path], recipes: Sequence[Recipe], progress: Progress) -> None:
    for folder, recipe in zip(folders, recipes, strict=True):
        done = epochs_done(folder)
        if done is not None and done < recipe.training.epochs:
            progress.warn(
                f"{folder} has {done} of {recipe.training.epochs} epochs: its training was interrupted or is "
                "not at its end; `va train --resume` continues it"
            )


def _warn_of_missing_folds(path: Path, folders: Sequence[Path], progress: Progress) -> None:
    if path not in folders and (missing := missing_folds(path, folders)):
        count = len(missing) + len(folders)
        progress.warn(
            f"{path} lacks {', '.join(missing)} of {count} folds (removed or not trained yet); "
            f"the result is the mean of the other {len(folders)}"
        )


def _calibration(path: Path) -> Calibration | None:
    if not digests.has_file(path / CALIBRATION_FILE, CALIBRATE):
        return None
    try:
        made = Calibration.from_dict(read_json(path / CALIBRATION_FILE, CALIBRATE))
        return made if made.states else None
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RunError(f"{path / CALIBRATION_FILE} is not a calibration", hint=CALIBRATE) from None


def _speech(path: Path, model: Model) -> SpeechDetector | None:
    if not digests.has_file(path / SPEECH_FILE, CALIBRATE_SPEECH):
        return None
    (columns, *_) = [stream.dim for stream in model.streams if stream.name == AUDIO] or [0]
    try:
        return SpeechDetector.from_arrays(read_tensors(path / SPEECH_FILE, CALIBRATE_SPEECH), columns)
    except ValueError as error:
        raise RunError(f"{path / SPEECH_FILE}: {error}", hint=CALIBRATE_SPEECH) from None


def _face_error(path: Path) -> FaceErrorModel | None:
    if not digests.has_file(path / FACE_ERROR_FILE, CALIBRATE_FACES):
        return None
    try:
        return FaceErrorModel.from_arrays(read_tensors(path / FACE_ERROR_FILE, CALIBRATE_FACES))
    except ValueError as error:
        raise RunError(f"{path / FACE_ERROR_FILE}: {error}", hint=CALIBRATE_FACES) from None


def read_recipe(folder: Path) -> Recipe:
    """The recipe of a run; raises RunError if it is not valid."""
    try:
        return recipe_io.from_json(read_json(folder / RECIPE_FILE))
    except UsageError as error:
        raise RunError(
            f"{folder / RECIPE_FILE}: {error}", hint="it was written by another version of va"
        ) from None


def read_normalisation(folder: Path) -> Normalisation:
    """The statistics that a run standardises its inputs with."""
    return Normalisation.from_tensors(read_tensors(folder / NORMALIZATION_FILE))


def _normalisation(folder: Path, model: Model) -> Normalisation:
    made = read_normalisation(folder)
    for stream in model.streams:
        if any(
            np.shape(table.get(stream.name, np.empty(()))) != (stream.dim,) for table in (made.mean, made.std)
        ):
            raise RunError(
                f"{folder / NORMALIZATION_FILE} does not fit {RECIPE_FILE}: stream {stream.name!r}",
                hint=TRAIN_AGAIN,
            )
    return made


def _member(folder: Path, recipe: Recipe, device: str) -> EnsembleMember:
    in_arrays = str(device) == "cpu" and arrays.supports(recipe.model)
    make = _array_predictor if in_arrays else _torch_predictor
    return EnsembleMember(
        path=folder,
        model=recipe.model,
        predictor=make(folder, recipe, device),
        validation=_validation(folder / DATA_FILE),
    )


def _features(path: Path) -> dict[str, object]:
    made = read_json(path)
    if not isinstance(made, dict) or not all(isinstance(about, dict) for about in made.values()):
        raise RunError(f"{path} does not describe features", hint=TRAIN_AGAIN)
    return {
        name: {**about, "settings": present_settings(about.get("settings", {}))}
        for name, about in made.items()
    }


def _validation(path: Path) -> tuple[str, ...]:
    try:
        return tuple(map(str, read_json(path)["validation"]))
    except (KeyError, TypeError) as error:
        raise unreadable(path, error) from None


def _array_predictor(folder: Path, recipe: Recipe, device: str) -> SlidingWindowPredictor:
    tensors = read_tensors(folder / WEIGHTS_FILE)
    try:
        net = arrays.ArrayNet(recipe.model, tensors)
    except ValueError as error:
        raise _misfit(folder, error) from None
    return ArrayPredictor(net, _normalisation(folder, recipe.model), recipe.training.clip_z, recipe.window)


def _torch_predictor(folder: Path, recipe: Recipe, device: str) -> SlidingWindowPredictor:
    with needed_by(f"the run {folder}"):
        import torch

        from vacli.inference.torch_predictor import TorchPredictor
        from vacli.models.build import build
        from vacli.sequences.dataset import Standardiser

    net = build(recipe.model)
    try:
        net.load_state_dict({k: torch.tensor(x) for k, x in read_tensors(folder / WEIGHTS_FILE).items()})
    except RuntimeError as error:
        raise _misfit(folder, error) from None
    standardiser = Standardiser(_normalisation(folder, recipe.model), recipe.training.clip_z)
    place = torch.device(device)
    return TorchPredictor(net.to(place), standardiser.to(place), recipe.window, place)


def _misfit(folder: Path, error: Exception) -> RunError:
    line = " ".join(str(error).split())
    return RunError(f"{folder / WEIGHTS_FILE} does not fit {RECIPE_FILE}: {line}", hint="train again")
