"""BDCA's equations 1 to 6 against loops over frames in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from vacli.models.bdca import Bdca, Concat, CrossAttention
from vacli.recipe import schema as recipe

D, FRAMES = 4, 7


@pytest.fixture
def streams() -> list[torch.Tensor]:
    torch.manual_seed(1)
    return [torch.randn(2, FRAMES, D, dtype=torch.float64) for _ in range(2)]


def everywhere() -> torch.Tensor:
    return torch.ones(2, FRAMES, dtype=torch.bool)


def linear(layer: nn.Linear, x: np.ndarray) -> np.ndarray:
    return layer.weight.detach().numpy() @ x + layer.bias.detach().numpy()


def softmax(scores: np.ndarray) -> np.ndarray:
    e = np.exp(scores - scores.max())
    return e / e.sum()


def one_direction(att: CrossAttention, x: np.ndarray, other: np.ndarray, temperature: float | None):
    """The equations as printed, in a loop over frames."""
    out = []
    for frame in x:
        scores = [linear(att.query, frame) @ linear(att.key, key) / np.sqrt(D) for key in other]
        weights = softmax(np.array(scores))
        found = sum(w * linear(att.value, value) for w, value in zip(weights, other, strict=True))  # 1
        attended = np.maximum(found + frame, 0)  # 2
        if temperature is None:
            out.append(attended)
            continue
        gate = softmax(linear(att.gate, attended) / temperature)  # 3, 4
        out.append(np.maximum(gate[0] * frame + gate[1] * attended, 0))  # 5
    return np.array(out)


@pytest.mark.parametrize("temperature", [0.5, 2.0, None])
def test_equations(streams, temperature):
    config = recipe.Bdca(gate=temperature is not None, temperature=temperature or 0.5)
    fusion = Bdca((D, D), config).double()
    got = fusion(streams, [everywhere()] * 2, everywhere()).detach().numpy()
    one, two = (s.numpy() for s in streams)
    for i in range(2):
        first = one_direction(fusion.first, one[i], two[i], temperature)
        second = one_direction(fusion.second, two[i], one[i], temperature)
        np.testing.assert_allclose(got[i], np.concatenate([first, second], axis=1), atol=1e-12)  # 6


def test_the_gate_has_two_units_with_bias_in_each_direction():
    with_gate, without = (Bdca((128, 128), recipe.Bdca(gate=gate)) for gate in (True, False))
    count = [sum(p.numel() for p in m.parameters()) for m in (with_gate, without)]
    assert count == [2 * (3 * (128 * 128 + 128) + 128 * 2 + 2), 2 * 3 * (128 * 128 + 128)]


def test_padded_and_missing_frames_are_not_attended_to(streams):
    fusion = Bdca((D, D), recipe.Bdca()).double()
    mask, present = everywhere(), everywhere()
    mask[0, 5:] = False
    present[0, 2] = False
    want = fusion([s[:1, [0, 1, 3, 4]] for s in streams], [everywhere()[:1, :4]] * 2, everywhere()[:1, :4])
    got = fusion(streams, [present, present], mask)[:1, [0, 1, 3, 4]]
    torch.testing.assert_close(got, want)


def test_without_one_stream_the_other_is_unchanged(streams):
    fusion = Bdca((D, D), recipe.Bdca(gate=False)).double()
    nowhere = torch.zeros(2, FRAMES, dtype=torch.bool)
    x = streams[0].requires_grad_()
    got = fusion([x, streams[1]], [everywhere(), nowhere], everywhere())
    assert torch.equal(got[..., :D], torch.relu(x))
    got.sum().backward()
    assert x.grad.isfinite().all()


def test_concat_joins_streams_and_availability_flags(streams):
    there = everywhere()
    there[0, 3] = False
    fusion = Concat((D, D), recipe.Concat(availability_flags=True))
    got = fusion(streams, [there, everywhere()], everywhere())
    assert got.shape[-1] == fusion.out_dim == 2 * D + 2
    assert torch.equal(got[..., : 2 * D], torch.cat(streams, -1))
    assert torch.equal(got[..., 2 * D], there.double())
    assert Concat((D, D), recipe.Concat()).out_dim == 2 * D
