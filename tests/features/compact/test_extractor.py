from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file, save_file

from vacli.circumplex import EMOTION_VA
from vacli.errors import WeightsError
from vacli.features.compact import network
from vacli.features.compact.extractor import Compact
from vacli.runtime.options import ExecutionOptions


def test_onnxruntime_and_torch_give_the_same_rows(weights, onnx_file, crops):
    by_onnxruntime, by_torch = Compact(onnx_file), Compact(weights)
    np.testing.assert_allclose(by_onnxruntime.extract(crops), by_torch.extract(crops), atol=1e-4)


def test_torch_reads_the_onnx_file_too(weights, onnx_file, crops):
    rows = network.on_device(onnx_file, "cpu", 2)(crops)
    np.testing.assert_allclose(rows, network.on_device(weights, "cpu", 2)(crops), atol=1e-6)


def test_both_backends_name_the_same_weights(onnx_file, monkeypatch):
    monkeypatch.setattr(network, "on_device", lambda path, device, batch_size: len)
    by_torch = Compact(onnx_file, ExecutionOptions(device="cuda"))
    assert by_torch.spec == Compact(onnx_file).spec


def test_torch_is_used_for_other_devices_and_other_formats(weights, onnx_file, monkeypatch):
    used = []
    monkeypatch.setattr(network, "on_device", lambda path, device, size: used.append((path, device)) or len)
    for device in ("auto", "cpu", "cuda:1"):
        Compact(onnx_file, ExecutionOptions(device=device))
        Compact(weights, ExecutionOptions(device=device))
    assert used == [(weights, "cpu"), (weights, "cpu"), (onnx_file, "cuda:1"), (weights, "cuda:1")]


@pytest.mark.parametrize("change", ["missing", "wide", "truncated"])
def test_weights_of_another_network_are_an_error(weights, change):
    tensors = load_file(weights)
    if change == "missing":
        del tensors["blocks.2.norm1.bias"]
    if change == "wide":
        tensors["blocks.2.norm1.bias"] = torch.zeros(9)
    save_file(tensors, weights)
    if change == "truncated":
        weights.write_bytes(weights.read_bytes()[:5000])
    match = "safetensors" if change == "truncated" else r"blocks\.2\.norm1\.bias"
    with pytest.raises(WeightsError, match=match):
        Compact(weights)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_truncated_onnx_file_is_refused(onnx_file, device, monkeypatch):
    monkeypatch.setattr(network, "pick_device", torch.device)
    onnx_file.write_bytes(onnx_file.read_bytes()[:5000])
    with pytest.raises(WeightsError, match=r"face\.onnx: not readable as ONNX"):
        Compact(onnx_file, ExecutionOptions(device=device))


def test_an_onnx_file_of_another_network_is_refused(onnx_file):
    model = onnx.load(onnx_file)
    del model.metadata_props[:]
    onnx.save(model, onnx_file)
    with pytest.raises(WeightsError, match="not a network of `va bundled-model export`"):
        Compact(onnx_file)


def test_rows_begin_with_va_and_probabilities(onnx_file, crops):
    extractor = Compact(onnx_file)
    rows = extractor.extract(crops)
    assert rows.shape == (5, extractor.spec.dim) == (5, 128)
    assert len(extractor.spec.columns) == 128
    np.testing.assert_allclose(rows[:, 2:10].sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(rows[:, 2:10] @ np.array(EMOTION_VA), rows[:, :2], atol=1e-5)


def test_rows_do_not_depend_on_the_batch(onnx_file, crops):
    extractor = Compact(onnx_file, ExecutionOptions(batch_size=3))
    whole = extractor.extract(crops)
    one_by_one = np.concatenate([extractor.extract(crop[None]) for crop in crops])
    np.testing.assert_allclose(whole, one_by_one, atol=1e-5)
    assert extractor.extract(crops[:0]).shape == (0, 128)


def test_missing_bundled_weights_are_named_with_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setattr("vacli.features.downloads.PACKAGE", tmp_path)
    with pytest.raises(WeightsError, match=r"compact-face.onnx") as caught:
        Compact()
    assert "--weights" in caught.value.hint
