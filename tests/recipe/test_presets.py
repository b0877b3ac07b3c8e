"""Presets: golden parameter counts, and what each must carry."""

from __future__ import annotations

import json

import pytest

from vacli.errors import UsageError
from vacli.models.size import count_parameters
from vacli.recipe.io import from_json, to_json
from vacli.recipe.presets import FUSION, PRESETS, TEMPORAL, preset, with_fusion, with_temporal
from vacli.recipe.schema import Bdca, Tcn

# The first three are published (116.5 M and 85.7 M) or follow from the text; the rest pin what is built.
COUNTS = {
    "lightmamba": 116_534_785,
    "lightmamba-text": 72_316_046,
    "lightmamba-transformer": 85_710_590,
    "bdca": 73_486_478,
    "bdca-no-gate": 73_485_962,
    "concat": 73_386_890,
    "audio-only": 15_525_118,
    "visual-only": 70_617_998,
    "charon": 67_155_086,
    "baseline": 4_098,
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
def test_preset_says_what_it_is_and_survives_json(name):
    recipe = PRESETS[name]
    assert recipe.name == name
    assert recipe.summary
    assert recipe.source
    assert "\n" not in recipe.summary
    assert from_json(json.loads(to_json(recipe))) == recipe


@pytest.mark.parametrize("name", PRESETS)
def test_stream_width_is_that_of_its_features(name):
    for stream in PRESETS[name].model.streams:
        assert stream.dim == sum(WIDTHS[feature] for feature in stream.features)


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


def test_the_part_that_is_there_already_stays_as_it_is():
    model = preset("compact").model
    assert with_fusion(with_temporal(model, "mamba"), "concat") is model


def test_bdca_gets_streams_of_one_width_and_keeps_those_that_are():
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
