"""Recipes survive the way to disk and back, and say what is wrong with a change."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from vacli.errors import UsageError
from vacli.recipe.io import from_json, overlay, read_toml, set_values, to_dict, to_json, to_toml
from vacli.recipe.presets import PRESETS
from vacli.recipe.schema import Head, Mamba, NoTemporal, Recipe, Stream, Transformer


@pytest.mark.parametrize("name", PRESETS)
def test_round_trip(name):
    recipe = PRESETS[name]
    assert from_json(json.loads(to_json(recipe))) == recipe


@pytest.mark.parametrize("name", PRESETS)
def test_toml_gives_the_same_recipe_over_any_preset(tmp_path, name):
    path = tmp_path / "r.toml"
    path.write_text(to_toml(PRESETS[name]), encoding="utf-8")
    for base in PRESETS.values():
        assert overlay(base, read_toml(path)) == PRESETS[name]


def test_toml_keeps_quotes_and_letters(tmp_path):
    recipe = replace(made(), summary='a "quoted" \\ line\nand é', source="")
    path = tmp_path / "r.toml"
    path.write_text(to_toml(recipe), encoding="utf-8")
    assert overlay(PRESETS["compact"], read_toml(path)) == recipe


def made() -> Recipe:
    recipe = Recipe(name="x")
    streams = (Stream(name="visual", features=("a",), dim=3), Stream(name="audio", features=("b",), dim=2))
    return replace(recipe, model=replace(recipe.model, streams=streams, temporal=Mamba()))


def test_values_are_set_by_path():
    recipe = set_values(
        made(),
        [
            "model.temporal.n_layers=6",
            "training.optim.lr=1e-2",
            "model.streams.audio.dim=7",
            "summary=two words",
        ],
    )
    assert recipe.model.temporal == Mamba(n_layers=6)
    assert recipe.training.optim.lr == 0.01
    assert [s.dim for s in recipe.model.streams] == [3, 7]
    assert recipe.summary == "two words"


def test_another_kind_starts_from_its_own_defaults():
    recipe = set_values(made(), ["model.temporal.n_layers=9", 'model.temporal.kind="transformer"'])
    assert recipe.model.temporal == Transformer()


def test_whole_numbers_serve_as_floats_but_not_the_other_way():
    assert set_values(made(), ["training.optim.lr=1"]).training.optim.lr == 1.0
    with pytest.raises(UsageError, match=r"training\.epochs should be int"):
        set_values(made(), ["training.epochs=1.5"])


def test_none_is_a_value():
    assert set_values(made(), ["training.patience_epochs=3"]).training.patience_epochs == 3
    assert set_values(made(), ["training.patience_epochs=none"]).training.patience_epochs is None


def test_none_is_a_kind_and_an_activation():
    assert set_values(made(), ["model.temporal.kind=none"]).model.temporal == NoTemporal()
    assert set_values(made(), ["model.head.activation=none"]).model.head == Head(activation="none")
    assert set_values(PRESETS["lightmamba"], ["model.tcn=none"]).model.tcn is None


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("model.temporal.n_layer=6", "unknown key model.temporal.n_layer; did you mean 'n_layers'"),
        ("trainig.epochs=6", "unknown key trainig; did you mean 'training'"),
        ("model.temporal.kind=lstm", "model.temporal.kind is 'lstm'"),
        ("training.schedule.shape=cosin", "training.schedule.shape is 'cosin'; did you mean 'cosine'"),
        ("training.epochs", "no '='"),
        ("model.streams.sound.dim=3", "no item 'sound'"),
        ("training=3", "training should be a table"),
        ("model.temporal=none", "model.temporal should be a table, not 'none'; set model.temporal.kind"),
        ("epochs=3", "unknown key epochs; did you mean 'training.epochs'?"),
        ("training.lr=3", "unknown key training.lr; did you mean 'training.optim.lr'?"),
        ("dim=3", "did you mean 'model.streams.NAME.dim'?"),
    ],
)
def test_values_that_do_not_fit_are_named(assignment, said):
    with pytest.raises(UsageError) as caught:
        set_values(made(), [assignment])
    assert said in caught.value.one_line()


def test_toml_files(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text("[training]\nepochs = 3\n[training.loss]\nmse = 0.5\n")
    recipe = overlay(made(), read_toml(path))
    assert (recipe.training.epochs, recipe.training.loss.mse) == (3, 0.5)
    path.write_text("epochs = [")
    with pytest.raises(UsageError, match=r"r\.toml"):
        read_toml(path)
    with pytest.raises(UsageError):
        read_toml(tmp_path / "absent.toml")


def test_dicts_hold_plain_values():
    assert to_dict(made())["model"]["streams"][0]["features"] == ["a"]
