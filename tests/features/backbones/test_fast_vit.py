from __future__ import annotations

import pytest
import torch

from vacli.features.backbones.fast_vit import FastVit, is_plain
from vacli.features.backbones.vit import build_vit


@pytest.fixture
def vit():
    """A small encoder in which every tensor changes the result."""
    torch.manual_seed(0)
    vit = build_vit("test_vit").eval()
    with torch.no_grad():
        for name, p in vit.named_parameters():
            p.normal_(1.0 if "norm" in name and "weight" in name else 0.0, 0.2 if p.ndim == 1 else 0.1)
    return vit


@pytest.mark.parametrize("count", [1, 5])
def test_equals_the_plain_encoder(vit, count):
    images = torch.randn(count, 3, 224, 224)
    with torch.inference_mode():
        assert torch.allclose(FastVit(vit, torch.float32)(images), vit(images), atol=2e-4)


def test_equals_the_plain_encoder_without_packed_weights(vit, monkeypatch):
    monkeypatch.setattr("vacli.features.backbones.packed_linear.can_pack", lambda dtype: False)
    images = torch.randn(3, 3, 224, 224)
    with torch.inference_mode():
        assert torch.allclose(FastVit(vit, torch.float32)(images), vit(images), atol=2e-4)


def test_bfloat16_output_is_close_in_cosine_similarity(vit):
    images = torch.randn(4, 3, 224, 224)
    with torch.inference_mode():
        fast, plain = FastVit(vit, torch.bfloat16)(images), vit(images)
    assert fast.dtype == torch.float32
    assert torch.cosine_similarity(fast, plain).min() > 0.999


def test_a_query_norm_is_not_plain(vit):
    assert is_plain(vit)
    vit.blocks[1].attn.q_norm = torch.nn.LayerNorm(32)
    assert not is_plain(vit)
