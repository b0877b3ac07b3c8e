"""Recipes that earlier versions wrote are read in the present names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vacli.errors import UsageError
from vacli.recipe import io as recipe_io
from vacli.recipe.migration import RENAMED_KEYS, RENAMED_PRESETS, migrate
from vacli.recipe.presets import PRESETS, preset

VERSION_1 = Path(__file__).with_name("recipe-v1.json")  # as va 0.1 wrote it for the preset `voice`


def test_a_recipe_of_version_1_is_that_preset_with_its_own_settings():
    recipe = recipe_io.from_json(json.loads(VERSION_1.read_text()))
    assert recipe.name == "compact-audio"
    assert recipe.model == PRESETS["compact-audio"].model
    assert recipe.training.loss.window_mean_weight == 1.0
    assert recipe.training.batch_size == 16
    assert recipe.training.augment.modality_dropout == 0.0


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_survives_writing_and_reading(name):
    written = json.loads(recipe_io.to_json(PRESETS[name]))
    assert written["version"] == 2
    assert recipe_io.from_json(written) == PRESETS[name]


def test_a_later_version_is_refused():
    written = json.loads(recipe_io.to_json(PRESETS["bdca"])) | {"version": 3}
    with pytest.raises(UsageError, match="unknown key version"):
        recipe_io.from_json(written)


@pytest.mark.parametrize(
    ("path", "old", "new"), [(path, *names) for path, keys in RENAMED_KEYS.items() for names in keys.items()]
)
def test_an_old_key_in_an_assignment_names_the_new_one(path, old, new):
    kind = {"n_heads": "transformer", "dim_feedforward": "transformer"}.get(new, "mamba")
    recipe = recipe_io.set_values(PRESETS["compact"], [f"model.temporal={{kind='{kind}'}}"])
    with pytest.raises(UsageError) as caught:
        recipe_io.set_values(recipe, [f"{path}.{old}=1"])
    assert f"unknown key {path}.{old}" in str(caught.value)
    assert caught.value.hint == f"it is called {new} now"


def test_an_old_preset_names_the_new_one():
    for old, new in RENAMED_PRESETS.items():
        with pytest.raises(UsageError) as caught:
            preset(old)
        assert caught.value.hint == f"it is called {new!r} now"


def test_migration_does_not_change_its_argument():
    values = {"name": "voice", "training": {"batch_windows": 4}}
    assert migrate(values) == {"name": "compact-audio", "training": {"batch_size": 4}}
    assert values == {"name": "voice", "training": {"batch_windows": 4}}
