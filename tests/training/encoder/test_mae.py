from __future__ import annotations

import pytest
import torch

from vacli.features.backbones.vit import build_vit
from vacli.training.encoder.mae import MaskedAutoencoder


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return MaskedAutoencoder(build_vit("test_vit"), depth=1).eval()


def test_a_quarter_of_the_patches_is_kept_without_repetition(model):
    kept, hidden = model.random_masking(3, torch.device("cpu"))
    assert kept.shape == (3, 49)
    assert hidden.shape == (3, 147)
    assert torch.equal(torch.cat([kept, hidden], 1).sort(1).values, torch.arange(196).expand(3, -1))


def test_targets_are_normalised_patches_in_pixel_order(model):
    images = torch.randn(2, 3, 224, 224)
    target = model.target(images)
    patch = images[1, :, 16:32, 48:64].permute(1, 2, 0).reshape(-1)  # row 1, column 3
    expected = (patch - patch.mean()) / (patch.var() + 1e-6).sqrt()
    assert torch.allclose(target[1, 14 + 3], expected, atol=1e-5)


def test_masked_pixels_do_not_reach_the_encoder(model):
    images = torch.randn(1, 3, 224, 224)
    kept, hidden = model.random_masking(1, images.device)
    disturbed = images.clone()
    for patch in hidden[0].tolist():
        row, column = divmod(patch, 14)
        disturbed[0, :, row * 16 : row * 16 + 16, column * 16 : column * 16 + 16] = 9.0
    with torch.no_grad():
        assert torch.equal(model.encode(images, kept), model.encode(disturbed, kept))


def test_loss_counts_masked_patches_only(model, monkeypatch):
    images = torch.randn(2, 3, 224, 224)
    kept, hidden = model.random_masking(2, images.device)
    answer = model.target(images)
    answer.scatter_(1, kept[..., None].expand(-1, -1, answer.shape[-1]), 1e6)  # wrong where seen
    monkeypatch.setattr(model, "random_masking", lambda *a: (kept, hidden))
    monkeypatch.setattr(model, "reconstruct", lambda *a: answer)
    assert float(model(images)) == pytest.approx(0.0, abs=1e-6)


def test_kept_tokens_return_to_their_positions(model):
    kept, _ = model.random_masking(1, torch.device("cpu"))
    tokens = torch.randn(1, 50, 64)
    order = torch.randperm(49)
    shuffled = torch.cat([tokens[:, :1], tokens[:, 1:][:, order]], 1)
    with torch.no_grad():
        one, other = model.reconstruct(tokens, kept), model.reconstruct(shuffled, kept[:, order])
    assert torch.allclose(one, other, atol=1e-5)
