"""Presets: golden parameter counts, and what each must carry."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from vacli.errors import UsageError
from vacli.models.size import count_parameters
from vacli.recipe.io import from_json, to_json
from vacli.recipe.modules import FUSION, TEMPORAL, with_fusion, with_temporal
from vacli.recipe.presets import PRESETS, preset, preset_of
from vacli.recipe.schema import Bdca, Head, Tcn
from vacli.training.schedule import lr_factor

# The first three are published (116.5 M and 85.7 M) or follow from the text; the rest pin what is built.
COUNTS = {
    "lightmamba": 116_534_785,
    "lightmamba-text": 72_217_602,
    "lightmamba-transformer": 85_710_590,
    "bdca": 73_486_478,
    "bdca-text": 73_486_454,
    "bdca-no-gate": 73_485_962,
    "concat": 73_386_890,
    "audio-only": 15_525_118,
    "visual-only": 70_617_998,
    "mae-pretrained": 70_617_998,
    "charon": 67_155_086,
    "baseline": 4_098,
    "baseline-finetuned": 4_098,
    "compact": 479_234,
    "compact-audio": 113_762,
}

WIDTHS = {"mae-vit-l": 1024, "vggish": 128, "egemaps": 23, "mfcc39": 39, "resnet50": 2048, "compact": 128}


def test_every_preset_has_a_golden_count():
    assert set(COUNTS) == set(PRESETS)


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_count(name):
    assert count_parameters(preset(name).model) == COUNTS[name]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_a_summary_and_survives_json(name):
    recipe = PRESETS[name]
    assert recipe.name == name
    assert recipe.summary
    assert recipe.source
    assert "\n" not in recipe.summary
    assert from_json(json.loads(to_json(recipe))) == recipe


@pytest.mark.parametrize("name", PRESETS)
def test_stream_width_is_that_of_its_features(name):
    for stream in PRESETS[name].model.streams:
        assert stream.dim == sum(WIDTHS[feature.partition("@")[0]] for feature in stream.features)


@pytest.mark.parametrize(
    "name", [n for n, r in PRESETS.items() if r.training.schedule.shape == "warm-restarts"]
)
def test_warm_restarts_restart(name):
    """The published schedules restart within the 50 epochs; 100 steps make an epoch here."""
    training = PRESETS[name].training
    factors = [lr_factor(training.schedule, step, 100, 100 * training.epochs) for step in range(5000)]
    restarts = [step for step in range(501, 5000) if factors[step] - factors[step - 1] > 0.9]
    # 5 epochs after the warm-up of 5, then 10 and 20 more; Charon's period is 46 steps.
    assert restarts[:3] == ([546, 638, 822] if name == "charon" else [1000, 2000, 4000])


def test_lightmamba_text_has_the_values_of_the_text():
    model, training = preset("lightmamba-text").model, preset("lightmamba-text").training
    assert (len(model.tcn.channels), model.tcn.activation, model.tcn.dropout) == (4, "relu", 0.3)
    assert (model.temporal.n_layers, model.temporal.dropout) == (4, 0.3)
    assert (model.temporal.output_projection, model.head.hidden) == (False, ())
    assert (training.epochs, training.optim.lr, training.optim.weight_decay) == (50, 3e-4, 1e-3)
    assert training.schedule.warmup_epochs == 5


def test_bdca_text_has_the_learning_rates_of_the_text():
    training = preset("bdca-text").training
    rates = [training.optim.lr * lr_factor(training.schedule, step, 100, 5000) for step in (0, 500)]
    assert rates == pytest.approx([3e-5, 5e-3])


def test_mae_pretrained_differs_from_visual_only_in_its_feature():
    model = preset("visual-only").model
    (stream,) = model.streams
    other = replace(stream, features=("mae-vit-l@pretrained",))
    assert preset("mae-pretrained").model == replace(model, streams=(other,))


@pytest.mark.parametrize("name", PRESETS)
def test_model_of_a_preset_has_its_name(name):
    assert preset_of(PRESETS[name].model) == name
    wider = replace(PRESETS[name].model, head=Head(hidden=(7,)))
    assert preset_of(wider) == ""


@pytest.mark.parametrize("name", [n for n in PRESETS if len(PRESETS[n].model.streams) == 2])
@pytest.mark.parametrize("fusion", FUSION)
@pytest.mark.parametrize("temporal", TEMPORAL)
def test_parts_of_two_stream_presets_can_be_exchanged(name, temporal, fusion):
    model = with_fusion(with_temporal(PRESETS[name].model, temporal), fusion)
    assert (model.temporal.kind, model.fusion.kind) == (temporal, fusion)
    assert count_parameters(model) > 0


def test_exchanged_temporal_module_keeps_width_and_depth():
    model = with_temporal(preset("lightmamba").model, "transformer")
    assert (model.temporal.n_layers, model.temporal.d_model, model.temporal.dim_feedforward) == (4, 256, 256)
    assert with_temporal(model, "tcn").temporal.channels == (256,) * 4
    assert with_temporal(with_temporal(model, "none"), "mamba").temporal.n_layers == 4


def test_a_part_of_the_same_kind_is_not_changed():
    model = preset("compact").model
    assert with_fusion(with_temporal(model, "mamba"), "concat") is model


def test_bdca_gets_streams_of_equal_width():
    model = with_fusion(preset("compact").model, "bdca")
    assert [s.tcn.channels for s in model.streams] == [(128,) * 4] * 2
    assert [s.tcn.kernel for s in model.streams] == [5, 5]
    assert model.tcn is None
    streams = preset("concat").model.streams
    assert with_fusion(preset("concat").model, "bdca").streams == streams
    assert preset("bdca-no-gate").model.fusion == Bdca(gate=False)


def test_causal_presets_are_causal():
    assert all(
        part.causal
        for part in parts_of("compact")
        + parts_of("compact-audio")
        + parts_of("lightmamba")
        + parts_of("charon")
    )


def parts_of(name: str) -> list[Tcn]:
    model = preset(name).model
    return [part for part in (model.tcn, *(s.tcn for s in model.streams)) if part]


@pytest.mark.parametrize(
    ("call", "message", "hint"),
    [
        (lambda: preset("lightmambo"), "no preset 'lightmambo'", "did you mean 'lightmamba'?"),
        (lambda: with_temporal(PRESETS["compact"].model, "lstm"), "no temporal module 'lstm'", "known:"),
        (lambda: with_fusion(PRESETS["compact"].model, "bdac"), "no fusion 'bdac'", "'bdca'"),
    ],
)
def test_unknown_names(call, message, hint):
    with pytest.raises(UsageError, match=message) as error:
        call()
    assert hint in error.value.hint


def test_a_model_with_features_of_one_fold_is_that_of_its_preset():
    model = PRESETS["visual-only"].model
    (stream,) = model.streams
    tagged = replace(model, streams=(replace(stream, features=("mae-vit-l@fold3",)),))
    assert preset_of(tagged) == preset_of(model)
    other = replace(model, streams=(replace(stream, features=("mae-vit-l@pretrained",)),))
    assert preset_of(other) != preset_of(model)
