"""The recipe of a training: the preset and its changes, or that of the run that is resumed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vacli.errors import RunError
from vacli.files.run_directory import FOLD_PREFIX, RECIPE_FILE
from vacli.inference.run import read_recipe
from vacli.recipe import io as recipe_io
from vacli.recipe.modules import with_fusion, with_temporal
from vacli.recipe.ranges import check_ranges
from vacli.recipe.schema import Recipe
from vacli.steps._training_inputs import base_recipe, with_streams_of
from vacli.training.temporal import adaptation
from vacli.training.temporal.completed import is_same_recipe

if TYPE_CHECKING:
    from vacli.steps.train import TrainSettings


def resolve(settings: TrainSettings) -> Recipe:
    """The recipe of the settings; UsageError with the path of an invalid value."""
    recipe = base_recipe(settings)
    if settings.recipe_file is not None:
        recipe = recipe_io.overlay(recipe, recipe_io.read_toml(settings.recipe_file))
    model = recipe.model
    model = with_temporal(model, settings.temporal) if settings.temporal else model
    model = with_fusion(model, settings.fusion) if settings.fusion else model
    recipe = recipe_io.set_values(replace(recipe, model=model), settings.assignments)
    if settings.init is not None:
        adaptation.check_same_model(recipe, adaptation.run_path(settings.init))
    check_ranges(recipe)
    return recipe


def chosen_recipe(settings: TrainSettings) -> Recipe:
    """The recipe to train; if a run is resumed, its stored recipe."""
    folds = sorted(settings.out.glob(f"{FOLD_PREFIX}*/{RECIPE_FILE}"))
    own = settings.out / f"{FOLD_PREFIX}{settings.fold}" / RECIPE_FILE
    first_fold = own if own in folds else next(iter(folds), None)
    folder = first_fold.parent if first_fold else settings.out
    if not settings.resume or not (folder / RECIPE_FILE).is_file():
        return resolve(settings)
    stored = read_recipe(folder)
    model = (settings.preset, settings.recipe_file, settings.temporal, settings.fusion)
    given = (*model, settings.assignments, settings.init, settings.freeze)
    wanted = with_streams_of(stored, resolve(settings), settings)
    if any(given) and not is_same_recipe(wanted, stored):
        raise RunError(
            f"{folder / RECIPE_FILE} is another recipe than the requested one",
            hint="resume without model options, or train a new run into another folder",
        )
    return stored
