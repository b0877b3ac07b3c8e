"""The convolution as products of shifted rows against torch's own, in values and gradients."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from vacli.models import shifted_products
from vacli.models.processor import INTEL
from vacli.models.tcn import Tcn
from vacli.recipe import schema as recipe


def results(run, x, weight, bias):
    leaves = [t.detach().clone().requires_grad_() for t in (x, weight, bias)]
    y = run(*leaves)
    g = torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(y.dtype)
    return [y.detach(), *torch.autograd.grad(y, leaves, g)]


@pytest.mark.parametrize(("taps", "dilation"), [(1, 1), (3, 1), (15, 4)])
def test_values_and_gradients_equal_those_of_conv1d(taps, dilation):
    torch.manual_seed(0)
    x, weight, bias = torch.randn(2, 90, 6), torch.randn(5, 6, taps), torch.randn(5)
    got = results(lambda *t: shifted_products.convolve(*t, dilation), x, weight, bias)
    exact = results(
        lambda x, w, b: F.conv1d(x.transpose(1, 2), w, b, dilation=dilation).transpose(1, 2),
        *(t.double() for t in (x, weight, bias)),
    )
    for ours, theirs in zip(got, exact, strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-5, atol=1e-4)


def test_frozen_weights_get_no_gradient():
    x, weight, bias = torch.randn(1, 9, 2, requires_grad=True), torch.randn(3, 2, 3), torch.zeros(3)
    shifted_products.convolve(x, weight, bias, 2).sum().backward()
    assert x.grad is not None
    assert weight.grad is None


@pytest.mark.parametrize("causal", [True, False])
def test_tcn_of_long_windows_equals_that_of_float64(causal, monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(shifted_products, "multiplies_with_mkl_on", lambda vendor: vendor == INTEL)
    for name in ("MIN_ROWS", "MIN_CHANNELS"):
        monkeypatch.setattr(shifted_products, name, 1)
    config = recipe.Tcn(channels=(8, 6), kernel=5, dropout=0.0, causal=causal)
    net = Tcn(7, config)
    x, mask = torch.randn(2, 150, 7), torch.ones(2, 150, dtype=torch.bool)
    mask[1, 100:] = False
    assert shifted_products.is_faster(x.transpose(1, 2), 6)
    y = net(x, mask)
    y.square().sum().backward()
    exact = Tcn(7, config).double()
    exact.load_state_dict(net.state_dict())
    want = exact(x.double(), mask)
    want.square().sum().backward()
    torch.testing.assert_close(y.double(), want, rtol=1e-5, atol=1e-5)
    for ours, theirs in zip(net.parameters(), exact.parameters(), strict=True):
        torch.testing.assert_close(ours.grad.double(), theirs.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "dtype", "autocast", "want"),
    [
        ((8, 300, 200), torch.float32, False, True),
        ((8, 300, 200), torch.float32, True, False),
        ((8, 300, 200), torch.float64, False, False),
        ((80, 300, 20), torch.float32, False, False),
        ((1, 300, 200), torch.float32, False, False),
        ((8, 100, 200), torch.float32, False, False),
    ],
)
def test_products_serve_large_float32_inputs(shape, dtype, autocast, want, monkeypatch):
    monkeypatch.setattr(shifted_products, "multiplies_with_mkl_on", lambda vendor: vendor == INTEL)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        assert shifted_products.is_faster(torch.zeros(shape, dtype=dtype), 256) is want


def test_other_processors_use_the_convolution_of_torch(monkeypatch):
    monkeypatch.setattr(shifted_products, "multiplies_with_mkl_on", lambda vendor: False)
    assert not shifted_products.is_faster(torch.zeros(8, 300, 200), 256)
