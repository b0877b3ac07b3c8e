from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from vacli.features.compact import network
from vacli.features.compact.network import CompactFace


def test_the_network_has_2_4_million_parameters():
    assert sum(p.numel() for p in CompactFace().parameters()) == 2_418_766


def test_reduction_agrees_with_pillow(crops):
    crop = crops[:1]
    crop[:] = np.asarray(Image.fromarray(crop[0]).resize((224, 224), box=(0, 0, 60, 60)))
    grey = network.small_grey(crop)[0].numpy()
    expected = Image.fromarray(crop[0]).convert("L").resize((48, 48), Image.Resampling.BILINEAR)
    assert np.abs(grey.astype(int) - np.asarray(expected).astype(int)).max() <= 2


def test_a_sharp_and_an_enlarged_face_look_alike(crops):
    small = np.asarray(Image.fromarray(crops[0]).resize((48, 48), Image.Resampling.LANCZOS))
    large = np.asarray(Image.fromarray(small).resize((224, 224), Image.Resampling.BICUBIC))
    expected = np.asarray(Image.fromarray(small).convert("L")).astype(float)
    back = network.small_grey(large[None])[0].numpy().astype(float)
    assert np.corrcoef(expected.ravel(), back.ravel())[0, 1] > 0.9


def test_standardise_ignores_exposure():
    torch.manual_seed(0)
    grey = torch.randint(60, 120, (1, 48, 48), dtype=torch.uint8)
    dark, bright = network.standardise(grey // 2 * 2 - 50), network.standardise(grey // 2 * 2 + 100)
    assert torch.allclose(dark, bright, atol=1e-4)
    assert network.standardise(torch.zeros(1, 48, 48, dtype=torch.uint8)).abs().max() == 0


def test_folding_batch_norm_changes_nothing(weights, crops):
    model = CompactFace().eval()
    network.load_weights(model, weights)
    grey = network.small_grey(crops)
    with torch.no_grad():
        plain = model.rows(grey)
        folded = network.for_inference(model).rows(grey)
    assert torch.allclose(plain, folded, atol=1e-5)


def test_safetensors_and_onnx_load_the_same_weights(weights, onnx_file):
    first, second = CompactFace(), CompactFace()
    network.load_weights(first, weights)
    network.load_weights(second, onnx_file)
    for key, values in first.state_dict().items():
        assert torch.equal(values, second.state_dict()[key]), key
