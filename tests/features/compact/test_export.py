from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import torch

from vacli.features.compact import export
from vacli.features.compact.layout import CROP_PX, DIM, IDENTITY
from vacli.features.compact.network import CompactFace, small_grey
from vacli.features.downloads import PACKAGE
from vacli.features.weights import WEIGHTS, load_tensors


def test_the_graph_gives_the_rows_of_the_module(tensors, onnx_file, crops):
    face = CompactFace().eval()
    face.load_state_dict(tensors)
    with torch.no_grad():
        expected = face.rows(small_grey(crops)).numpy()
    session = onnxruntime.InferenceSession(onnx_file)
    (rows,) = session.run(None, {"crops": crops})
    np.testing.assert_allclose(rows, expected, atol=1e-5)


def test_input_and_output_are_named_and_typed(onnx_file):
    session = onnxruntime.InferenceSession(onnx_file)
    (crops,), (rows,) = session.get_inputs(), session.get_outputs()
    assert (crops.name, crops.type, crops.shape) == ("crops", "tensor(uint8)", ["n", CROP_PX, CROP_PX, 3])
    assert (rows.name, rows.type, rows.shape) == ("rows", "tensor(float)", ["n", DIM])


def test_weights_are_stored_in_half_precision_under_their_keys(tensors, onnx_file):
    stored = load_tensors(onnx_file)
    assert {v.dtype for v in stored.values()} == {torch.float16}
    assert tensors.keys() - stored.keys() == {k for k in tensors if k.endswith("num_batches_tracked")}
    for key, values in stored.items():
        assert torch.equal(values.float(), tensors[key]), key


def test_the_file_depends_on_the_weights_only(tensors, onnx_file):
    assert export.to_onnx(tensors) == onnx_file.read_bytes()


def test_the_metadata_identifies_the_weights(tensors, onnx_file):
    halved = {k: v.half() if v.is_floating_point() else v for k, v in tensors.items()}
    assert export.stored_identity(onnx_file) == export.tensors_hash(halved)
    changed = tensors | {"votes.bias": tensors["votes.bias"] + 1}
    onnx_file.write_bytes(export.to_onnx(changed))
    assert export.stored_identity(onnx_file) != export.tensors_hash(halved)


def test_the_bundled_file_is_an_export_of_this_network():
    path = PACKAGE / WEIGHTS["compact"].file
    bundled = onnx.load(path)
    again = onnx.load_from_string(export.to_onnx(_with_counters(load_tensors(path))))
    assert [node.op_type for node in bundled.graph.node] == [node.op_type for node in again.graph.node]
    assert list(bundled.graph.initializer) == list(again.graph.initializer)
    assert export.stored_identity(path) == "8896086b98e0"  # which stores and runs have noted
    assert [entry.key for entry in bundled.metadata_props] == [IDENTITY]


def _with_counters(tensors):
    return CompactFace().state_dict() | tensors
