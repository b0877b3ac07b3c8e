"""Dropout with hashed positions: the share of zeros, independence, gradients and reproducibility."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from vacli.models import dropout
from vacli.models.dropout import Dropout

pytestmark = pytest.mark.torch


def masks(p: float, *shape: int, seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    return Dropout(p)(torch.ones(shape)) != 0


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_values_are_dropped_with_the_probability_and_the_others_are_scaled(p):
    torch.manual_seed(1)
    x = torch.randn(500, 2000)
    y = Dropout(p)(x)
    kept = y != 0
    assert abs(kept.double().mean().item() - (1 - p)) < 5 * (p * (1 - p) / x.numel()) ** 0.5
    # The probability that is used is a multiple of 2^-16.
    torch.testing.assert_close(y[kept], x[kept] / (1 - p), rtol=1e-5, atol=0)


def test_masks_of_neighbours_rows_and_calls_are_independent():
    torch.manual_seed(2)
    first, second = (Dropout(0.3)(torch.ones(1000, 512)) != 0 for _ in range(2))
    a, b = first.double() - 0.7, second.double() - 0.7
    pairs = [(a, b), (a[:, 1:], a[:, :-1]), (a[1:], a[:-1]), (a[:, ::2], a[:, 1::2]), (a[:, 16:], a[:, :-16])]
    for one, other in pairs:
        correlation = (one * other).mean().item() / (0.3 * 0.7)
        assert abs(correlation) < 5 / one.numel() ** 0.5
    rows, columns = a.mean(1) / (0.3 * 0.7 / 512) ** 0.5, a.mean(0) / (0.3 * 0.7 / 1000) ** 0.5
    assert rows.std().item() == pytest.approx(1, abs=0.15)
    assert columns.std().item() == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("layout", ["rows", "columns"])
def test_gradient_has_the_mask_of_the_output(layout):
    torch.manual_seed(3)
    x = torch.randn(3, 40, 70) if layout == "rows" else torch.randn(3, 70, 40).transpose(1, 2)
    x = x.detach().requires_grad_()
    y = Dropout(0.4)(x)
    g = torch.randn(3, 40, 70)
    (got,) = torch.autograd.grad(y, x, g)
    torch.testing.assert_close(got, torch.where(y != 0, g / 0.6, 0.0), rtol=2e-5, atol=0)
    assert y.stride() == x.stride()


@pytest.mark.parametrize("size", [1, 2, 7, 16384, 40_001])
def test_each_element_is_dropped_or_scaled_once(size):
    x = torch.arange(1.0, size + 1)
    y = Dropout(0.5)(x)
    assert set((y / x).tolist()) <= {0.0, 2.0}
    assert 0.45 < (y == 0).double().mean().item() < 0.55 or size < 10_000


@pytest.mark.parametrize("layout", ["rows", "columns"])
def test_dropout_after_a_relu_is_that_of_its_output(layout):
    x = torch.randn(3, 40, 70) if layout == "rows" else torch.randn(3, 70, 40).transpose(1, 2)
    x[0, 0, 5] = torch.nan
    g, results = torch.randn(3, 40, 70), []
    for apply in (lambda net, x: net.after(nn.ReLU(), x), lambda net, x: net(torch.relu(x))):
        torch.manual_seed(5)
        given = x.detach().clone().requires_grad_()
        y = apply(Dropout(0.3), given)
        results += [y.detach(), torch.autograd.grad(y, given, g)[0]]
    together, by_together, separate, by_separate = results
    torch.testing.assert_close(together, separate, equal_nan=True, rtol=0, atol=0)
    torch.testing.assert_close(by_together, by_separate, equal_nan=True)
    assert together.isnan().sum() <= 1


def test_dropout_after_another_activation_or_in_evaluation_applies_it():
    x = torch.randn(4, 6)
    assert torch.equal(Dropout(0.5).eval().after(nn.ReLU(), x), torch.relu(x))
    assert torch.equal(Dropout(0.0).after(nn.Tanh(), x), torch.tanh(x))


def test_a_seed_gives_the_same_masks_on_any_number_of_threads():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = masks(0.2, 300, 500)
        torch.set_num_threads(3)
        assert torch.equal(masks(0.2, 300, 500), one)
    finally:
        torch.set_num_threads(before)
    assert not torch.equal(masks(0.2, 300, 500, seed=1), one)


def test_evaluation_and_probability_zero_change_nothing():
    x = torch.randn(4, 5)
    assert Dropout(0.5).eval()(x) is x
    assert torch.equal(Dropout(0.0)(x), x)
    assert not Dropout(1.0)(x).any()


def test_without_numba_and_in_double_precision_the_mask_is_that_of_torch(monkeypatch):
    def drawn(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(4)
        return net(x)

    x = torch.randn(30, 40)
    want = drawn(nn.Dropout(0.5), x)
    assert not torch.equal(drawn(Dropout(0.5), x), want)
    assert torch.equal(drawn(Dropout(0.5), x.double()), drawn(nn.Dropout(0.5), x.double()))
    monkeypatch.setattr(dropout, "_loops", lambda: None)
    assert torch.equal(drawn(Dropout(0.5), x), want)
