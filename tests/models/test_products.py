"""Products as convolutions against the plain ones."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from vacli.models import products
from vacli.models.processor import AMD
from vacli.models.products import MIN_ROWS, linear


@pytest.mark.parametrize("vendor", [AMD, "another"])
@pytest.mark.parametrize("shape", [(2, MIN_ROWS, 48), (MIN_ROWS, 48), (2, 3, 48), (0, 9, 48)])
@pytest.mark.parametrize("is_transposed", [False, True])
def test_linear_equals_that_of_float64(shape, is_transposed, vendor, monkeypatch):
    monkeypatch.setattr(products, "multiplies_with_mkl_on", lambda asked: asked == vendor)
    torch.manual_seed(0)
    x, weight = torch.randn(shape), torch.randn(48, 40).T if is_transposed else torch.randn(40, 48)
    y = linear(x, weight)
    torch.testing.assert_close(y.double(), F.linear(x.double(), weight.double()), rtol=1e-5, atol=1e-5)
    assert y.is_contiguous()


def test_many_rows_are_a_convolution_on_a_processor_of_amd(monkeypatch):
    if not torch.backends.mkldnn.is_available():
        pytest.skip("torch has no oneDNN here")
    monkeypatch.setattr(products, "multiplies_with_mkl_on", lambda vendor: vendor == AMD)
    monkeypatch.setattr(products.F, "linear", None)
    assert linear(torch.zeros(MIN_ROWS, 8), torch.zeros(4, 8)).shape == (MIN_ROWS, 4)
    with pytest.raises(TypeError):
        linear(torch.zeros(MIN_ROWS - 1, 8), torch.zeros(4, 8))
