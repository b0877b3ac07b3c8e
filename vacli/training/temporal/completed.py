"""Runs that are complete already: the same job is not trained twice."""

from __future__ import annotations

import json
from dataclasses import replace

from vacli.files import digests
from vacli.files.run_directory import (
    CARD_FILE,
    DATA_FILE,
    FEATURES_FILE,
    METRICS_FILE,
    RECIPE_FILE,
    STORE_FROM_RUN,
    WEIGHTS_FILE,
    read_json,
)
from vacli.inference.run import read_recipe
from vacli.models.size import count_parameters
from vacli.recipe.schema import Recipe
from vacli.training import checkpoint
from vacli.training.history import History
from vacli.training.temporal.data_changes import CONTENT, LABELS, changed_content
from vacli.training.temporal.history import BEST_BY
from vacli.training.temporal.session import TrainingJob, TrainingResult, data_record, result_of

NOT_COMPARED = ("store", STORE_FROM_RUN, LABELS, CONTENT)  # the same videos may be in a store that was moved


def completed_result(job: TrainingJob) -> TrainingResult | None:
    """The result of the complete run in the job's folder; None if there is none or it is of another job.

    A job is the same if its recipe, its features with their settings, its split, and its videos with their
    frames, labels and features are. The card is written last, so a folder without it is not complete.
    Raises RunError if a file of the run is damaged.
    """
    folder = job.folder
    if not (folder / RECIPE_FILE).is_file() or not (folder / CARD_FILE).is_file():
        return None
    if not digests.has_file(folder / WEIGHTS_FILE) or not is_same_recipe(job.recipe, read_recipe(folder)):
        return None
    about, features = read_json(folder / DATA_FILE), read_json(folder / FEATURES_FILE)
    expected = json.loads(checkpoint.json_bytes(data_record(job)))
    if any(about.get(key) != value for key, value in expected.items() if key not in NOT_COMPARED):
        return None
    if changed_content(about, expected):
        return None
    if features != json.loads(checkpoint.json_bytes(job.features)):
        return None
    best_by = BEST_BY[job.recipe.training.keep]
    history = History.from_jsonl((folder / METRICS_FILE).read_text(encoding="utf-8"), best_by)
    return result_of(history, count_parameters(job.recipe.model))


def is_same_recipe(recipe: Recipe, stored: Recipe) -> bool:
    """Whether two recipes are equal except for their descriptions, which presets may reword."""
    return replace(recipe, summary=stored.summary, source=stored.source) == stored
