"""From recipes to networks: consistent ones are built, others are errors with a remedy."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vacli.errors import UsageError
from vacli.models import size
from vacli.models.build import FUSION, TEMPORAL, build
from vacli.recipe.modules import FUSION as FUSION_NAMES
from vacli.recipe.modules import TEMPORAL as TEMPORAL_NAMES
from vacli.recipe.modules import with_fusion, with_temporal
from vacli.recipe.presets import COMPACT, PRESETS
from vacli.recipe.schema import Bdca, Head, Mamba, Model, Stream, Tcn, Transformer

MODEL = COMPACT.model


def test_tables_have_the_same_names():
    assert set(TEMPORAL_NAMES) == {*TEMPORAL, "none"}
    assert set(FUSION_NAMES) == set(FUSION) == set(size.FUSION)
    assert set(TEMPORAL) == set(size.TEMPORAL)


@pytest.mark.parametrize("fusion", FUSION_NAMES)
@pytest.mark.parametrize("temporal", TEMPORAL_NAMES)
def test_every_temporal_module_runs_with_every_fusion(temporal, fusion):
    net = build(with_fusion(with_temporal(MODEL, temporal), fusion))
    streams = {name: torch.randn(2, 9, width) for name, width in net.widths.items()}
    y = net(streams, torch.ones(2, 9, dtype=torch.bool))
    assert y.shape == (2, 9, 2)
    y.sum().backward()
    assert all(p.grad is not None for p in net.parameters())


def counted(model: Model) -> int:
    """The parameters of the network, built on the meta device."""
    with torch.device("meta"):
        return sum(p.numel() for p in build(model).parameters())


@pytest.mark.parametrize("fusion", FUSION_NAMES)
@pytest.mark.parametrize("temporal", TEMPORAL_NAMES)
@pytest.mark.parametrize("preset", [name for name, p in PRESETS.items() if len(p.model.streams) == 2])
def test_counted_size_equals_the_network_for_every_combination(preset, temporal, fusion):
    model = with_fusion(with_temporal(PRESETS[preset].model, temporal), fusion)
    assert size.count_parameters(model) == counted(model)


@pytest.mark.parametrize("preset", PRESETS)
def test_counted_size_equals_the_network_for_every_preset(preset):
    model = PRESETS[preset].model
    assert size.count_parameters(model) == counted(model)


@pytest.mark.parametrize(
    "head",
    [Head(hidden=(7, 5), activation="prelu", batch_norm=True), Head(hidden=(9,)), Head(tanh_output=True)],
)
def test_counted_size_equals_the_network_for_every_head(head):
    model = replace(
        MODEL, head=head, temporal=Mamba(d_model=MODEL.tcn.channels[-1], d_conv=3, d_state=5, expand=1)
    )
    assert size.count_parameters(model) == counted(model)


VISUAL = MODEL.streams[0]
WRONG: dict[str, tuple[Model, str, str]] = {
    "nothing": (Model(streams=()), "model.streams is empty", "at least one"),
    "twice": (replace(MODEL, streams=(VISUAL, VISUAL)), "a name twice", "own name"),
    "name": (replace(MODEL, streams=(replace(VISUAL, name="a.b"),)), "'a.b' is not a name", "letters"),
    "reserved": (
        replace(MODEL, streams=(replace(VISUAL, name="values"),)),
        "'values' is a name that torch uses",
        "another name",
    ),
    "width": (replace(MODEL, streams=(replace(VISUAL, dim=0),)), "streams.visual.dim is 0", "at least 1"),
    "one": (replace(MODEL, streams=(VISUAL,), fusion=Bdca()), "the model has 1: visual", "concat"),
    "three": (
        Model(streams=tuple(Stream(name=n, features=(n,), dim=4) for n in "abc"), fusion=Bdca()),
        "the model has 3: a, b, c",
        "concat",
    ),
    "widths": (replace(MODEL, fusion=Bdca()), "not visual 128, audio 62", "tcn that ends in the same width"),
    "temperature": (
        replace(with_fusion(MODEL, "bdca"), fusion=Bdca(temperature=0.0)),
        "temperature is 0.0",
        "above 0",
    ),
    "heads": (
        replace(MODEL, temporal=Transformer(d_model=10, n_heads=4)),
        "4 heads do not divide the d_model 10",
        "model.temporal.n_heads",
    ),
    "channels": (replace(MODEL, tcn=Tcn(channels=())), "model.tcn.channels is empty", "one width a block"),
    "even": (replace(MODEL, tcn=Tcn(kernel=4, causal=False)), "model.tcn.kernel is 4", "odd"),
    "depth": (replace(MODEL, temporal=Mamba(n_layers=0)), "model.temporal.n_layers is 0", "at least 1"),
    "dropout": (replace(MODEL, temporal=Mamba(dropout=1.0)), "dropout is 1.0", "below 1"),
    "head": (replace(MODEL, head=Head(hidden=(8, 0))), "model.head.hidden is (8, 0)", "at least 1"),
    "encoder": (
        replace(MODEL, streams=(replace(VISUAL, tcn=Tcn(channels=(0,))),)),
        "model.streams.visual.tcn.channels is (0,)",
        "at least 1",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_inconsistent_recipe_is_an_error_with_key_and_remedy(name):
    model, message, hint = WRONG[name]
    with pytest.raises(UsageError) as error:
        build(model)
    assert message in str(error.value)
    assert hint in error.value.hint
