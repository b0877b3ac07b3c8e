from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from vacli.features.backbones import packed_linear
from vacli.features.backbones.packed_linear import PackedLinear, can_pack

SEEN = ("2.14",)  # versions of torch whose private operators were seen to do what is asked


@pytest.mark.parametrize("packed", [True, False])
def test_products_equal_those_of_torch(packed, monkeypatch):
    if not packed:
        monkeypatch.setattr(packed_linear, "can_pack", lambda dtype: False)
    torch.manual_seed(0)
    layer, x, residual = torch.nn.Linear(48, 32), torch.randn(2, 7, 48), torch.randn(2, 7, 32)
    ours = PackedLinear(layer, torch.float32, 14)
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), layer(x), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(ours.gelu(x), F.gelu(layer(x)), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(ours.add(x, residual), layer(x) + residual, rtol=1e-4, atol=1e-5)


def test_half_precision_is_not_packed():
    assert not can_pack(torch.float16)


def test_without_the_operators_nothing_is_packed(monkeypatch):
    monkeypatch.setattr(torch.ops.mkldnn, "_linear_pointwise", None)
    can_pack.cache_clear()
    try:
        assert not can_pack(torch.float32)
    finally:
        can_pack.cache_clear()


def test_known_versions_of_torch_can_pack():
    version = ".".join(torch.__version__.split(".")[:2])
    if version not in SEEN or not torch.backends.mkldnn.is_available():
        pytest.skip(f"torch {torch.__version__} is not one of {', '.join(SEEN)} with oneDNN")
    assert can_pack(torch.float32)
