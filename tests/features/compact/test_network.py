from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from vacli.errors import WeightsError
from vacli.features.compact import network
from vacli.features.compact.extractor import Compact, shapes
from vacli.features.compact.network import CompactFace
from vacli.runtime.options import Running


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "compact-face.safetensors"
    model = CompactFace()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):  # statistics that folding must not lose
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, path)
    return path


def some_crops(count=5):
    return np.random.default_rng(1).integers(0, 256, (count, 224, 224, 3), dtype=np.uint8)


def test_has_at_most_three_million_parameters():
    assert sum(p.numel() for p in CompactFace().parameters()) == 2_418_766


def test_reduction_agrees_with_pillow():
    crop = some_crops(1)
    crop[:] = np.asarray(Image.fromarray(crop[0]).resize((224, 224), box=(0, 0, 60, 60)))
    grey = network.small_grey(crop)[0].numpy()
    own = Image.fromarray(crop[0]).convert("L").resize((48, 48), Image.Resampling.BILINEAR)
    assert np.abs(grey.astype(int) - np.asarray(own).astype(int)).max() <= 2


def test_a_sharp_and_an_enlarged_face_look_alike():
    small = np.asarray(Image.fromarray(some_crops(1)[0]).resize((48, 48), Image.Resampling.LANCZOS))
    large = np.asarray(Image.fromarray(small).resize((224, 224), Image.Resampling.BICUBIC))
    own = np.asarray(Image.fromarray(small).convert("L")).astype(float)
    back = network.small_grey(large[None])[0].numpy().astype(float)
    assert np.corrcoef(own.ravel(), back.ravel())[0, 1] > 0.9


def test_standardise_ignores_exposure():
    grey = torch.randint(60, 120, (1, 48, 48), dtype=torch.uint8)
    dark, bright = network.standardise(grey // 2 * 2 - 50), network.standardise(grey // 2 * 2 + 100)
    assert torch.allclose(dark, bright, atol=1e-4)
    assert network.standardise(torch.zeros(1, 48, 48, dtype=torch.uint8)).abs().max() == 0


def test_folding_batch_norm_changes_nothing(weights):
    model = CompactFace().eval()
    network.load_into(model, network.load_tensors(weights), weights)
    grey = torch.randint(0, 256, (3, 48, 48), dtype=torch.uint8)
    with torch.no_grad():
        plain = model.rows(grey)
        folded = network.for_inference(model).rows(grey)
    assert torch.allclose(plain, folded, atol=1e-5)


def test_without_torch_the_rows_are_the_same(weights):
    crops = some_crops(3)
    crops[1], crops[2, :100] = 90, 0
    by_torch = network.on_device(weights, Running(device="cpu"))(crops)
    np.testing.assert_allclose(Compact(weights).extract(crops), by_torch, atol=1e-4)


def test_the_network_without_torch_wants_what_the_other_has():
    assert list(shapes().items()) == [(k, tuple(v.shape)) for k, v in CompactFace().state_dict().items()]


def test_a_device_that_is_asked_for_is_torchs(weights, monkeypatch):
    asked = []
    monkeypatch.setattr(network, "on_device", lambda path, running: asked.append(running.device) or len)
    for device in ("auto", "cpu", "cuda:1"):
        Compact(weights, Running(device=device))
    assert asked == ["cuda:1"]


@pytest.mark.parametrize("change", ["missing", "wide", "torn"])
def test_weights_of_another_network_are_refused(weights, change):
    tensors = load_file(weights)
    if change == "missing":
        del tensors["blocks.2.norm1.bias"]
    if change == "wide":
        tensors["blocks.2.norm1.bias"] = torch.zeros(9)
    save_file(tensors, weights)
    if change == "torn":
        weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(WeightsError, match="safetensors" if change == "torn" else r"blocks\.2\.norm1\.bias"):
        Compact(weights)


def test_rows_begin_with_va_and_probabilities(weights):
    extractor = Compact(weights)
    rows = extractor.extract(some_crops())
    assert rows.shape == (5, extractor.spec.dim) == (5, 128)
    assert len(extractor.spec.columns) == 128
    assert np.allclose(rows[:, 2:10].sum(1), 1, atol=1e-5)
    assert np.allclose(rows[:, 2:10] @ np.array(network.EMOTION_VA), rows[:, :2], atol=1e-5)


def test_rows_do_not_depend_on_the_batch(weights):
    extractor = Compact(weights)
    whole = extractor.extract(some_crops())
    one_by_one = np.concatenate([extractor.extract(c[None]) for c in some_crops()])
    assert np.allclose(whole, one_by_one, atol=1e-5)
    assert extractor.extract(some_crops(0)).shape == (0, 128)


def test_says_what_to_do_without_weights(monkeypatch, tmp_path):
    monkeypatch.setattr("vacli.features.weights.PACKAGE", tmp_path)
    with pytest.raises(WeightsError, match=r"compact-face.safetensors") as caught:
        Compact()
    assert "--weights" in caught.value.hint
