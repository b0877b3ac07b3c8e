"""The networks in NumPy against those in torch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from vacli.models.arrays import ArrayNet, supports
from vacli.models.build import build
from vacli.recipe import presets
from vacli.recipe import schema as recipe

COMPACT = presets.preset("compact").model
MODELS = {
    "compact": COMPACT,
    "no presence": replace(COMPACT, fusion=recipe.Concat(availability_flags=False)),
    "centred": replace(COMPACT, tcn=replace(COMPACT.tcn, causal=False)),
    "adapted": replace(COMPACT, temporal=replace(COMPACT.temporal, d_model=64, input_norm=True)),
    "charon": replace(COMPACT, temporal=replace(COMPACT.temporal, init="charon", d_state=5)),
    "hidden": replace(COMPACT, head=recipe.Head(hidden=(32, 16), activation="tanh")),
    "linear": replace(COMPACT, tcn=None, temporal=recipe.NoTemporal()),
}


def random_net(model: recipe.Model) -> torch.nn.Module:
    torch.manual_seed(5)
    net = build(model).eval()
    for p in net.parameters():
        p.data += 0.02 * torch.randn_like(p)
    return net


@pytest.mark.parametrize("name", MODELS)
def test_values_equal_those_of_torch(name):
    model = MODELS[name]
    assert supports(model)
    net = random_net(model)
    arrays = ArrayNet(model, {k: v.numpy() for k, v in net.state_dict().items()})
    draw = np.random.default_rng(1)
    streams = {s.name: draw.standard_normal((3, 70, s.dim)).astype(np.float32) for s in model.streams}
    streams["visual"][0, 10:30] = np.nan
    streams["audio"][1, 5, 3] = np.nan
    mask = np.arange(70) < np.array([[70], [41], [1]])
    with torch.inference_mode():
        wanted = net({k: torch.from_numpy(v) for k, v in streams.items()}, torch.from_numpy(mask)).numpy()
    got = arrays(streams, mask)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got[mask], wanted[mask], atol=2e-6)
    assert arrays.causal == net.causal
    weight = draw.uniform(0, 1, (3, 70)).astype(np.float32)
    with torch.inference_mode():
        tensors = {k: torch.from_numpy(v) for k, v in streams.items()}
        wanted = net(tensors, torch.from_numpy(mask), {"audio": torch.from_numpy(weight)}).numpy()
    weighted = arrays(streams, mask, {"audio": weight})
    np.testing.assert_allclose(weighted[mask], wanted[mask], atol=2e-6)
    assert np.abs(weighted - got)[mask].max() > 1e-3


@pytest.mark.parametrize("name", ["lightmamba", "lightmamba-transformer", "bdca", "charon"])
def test_other_models_are_not_supported(name):
    assert not supports(presets.preset(name).model)


def test_missing_and_unexpected_tensors_are_named():
    tensors = {k: v.numpy() for k, v in random_net(COMPACT).state_dict().items()}
    with pytest.raises(ValueError, match=r"temporal\.project\.weight is missing"):
        ArrayNet(COMPACT, {k: v for k, v in tensors.items() if k != "temporal.project.weight"})
    with pytest.raises(ValueError, match=r"head\.layers\.0\.bias is missing"):
        ArrayNet(COMPACT, {k: v for k, v in tensors.items() if k != "head.layers.0.bias"})
    with pytest.raises(ValueError, match=r"tcn\.odd is not expected"):
        ArrayNet(COMPACT, tensors | {"tcn.odd": np.zeros(1, np.float32)})
    with pytest.raises(ValueError, match=r"shape|mismatch|broadcast|reshape"):
        ArrayNet(COMPACT, tensors | {"head.layers.0.weight": np.zeros((2, 95), np.float32)})
    rates = "temporal.layers.0.A_log"
    with pytest.raises(ValueError, match="A_log is"):
        ArrayNet(COMPACT, tensors | {rates: tensors[rates][:-1]})
