"""Products of oneDNN against the plain ones."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from vacli.models import products
from vacli.models.processor import AMD
from vacli.models.products import MIN_PRODUCTS, linear

ROWS = -(-MIN_PRODUCTS // (192 * 256))


@pytest.mark.parametrize("vendor", [AMD, "another"])
@pytest.mark.parametrize("shape", [(2, ROWS // 2 + 1, 192), (ROWS, 192), (2, 3, 192), (0, 9, 192)])
@pytest.mark.parametrize("is_transposed", [False, True])
def test_linear_equals_that_of_float64(shape, is_transposed, vendor, monkeypatch):
    monkeypatch.setattr(products, "multiplies_with_mkl_on", lambda asked: asked == vendor)
    torch.manual_seed(0)
    x, weight = torch.randn(shape), torch.randn(192, 256).T if is_transposed else torch.randn(256, 192)
    y = linear(x, weight)
    torch.testing.assert_close(y.double(), F.linear(x.double(), weight.double()), rtol=1e-5, atol=1e-4)
    assert y.is_contiguous()


def test_a_large_product_is_one_of_onednn_on_a_processor_of_amd(monkeypatch):
    if not torch.backends.mkldnn.is_available():
        pytest.skip("torch has no oneDNN here")
    monkeypatch.setattr(products, "multiplies_with_mkl_on", lambda vendor: vendor == AMD)
    monkeypatch.setattr(products.F, "linear", None)
    assert linear(torch.zeros(ROWS, 192), torch.zeros(256, 192)).shape == (ROWS, 256)
    with pytest.raises(TypeError):
        linear(torch.zeros(ROWS // 2, 192), torch.zeros(256, 192))
