"""The face network as an ONNX file: crops in, feature rows out, weights in half precision.

The graph is exported from `network.CompactFace`. Each weight is stored as float16 under its key in the
state dict and cast to float32 when a session is made; the session then folds the batch norms.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Mapping
from pathlib import Path

import onnx
import safetensors.torch
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from vacli.features.compact import layout
from vacli.features.compact.network import CompactFace, small_grey

OPSET = 17
_PREFIX = "face."  # of the weights' names in the exported graph


class _FromCrops(nn.Module):
    """Preprocessing and network as one module."""

    def __init__(self, face: CompactFace) -> None:
        super().__init__()
        self.face = face

    def forward(self, crops: Tensor) -> Tensor:
        """Crops (N, 224, 224, 3) uint8 RGB -> rows (N, 128) float32."""
        return self.face.rows(small_grey(crops))


def to_onnx(tensors: Mapping[str, Tensor]) -> bytes:
    """The ONNX file of a face network.

    tensors: state dict of `CompactFace`. Input `crops` (n, 224, 224, 3) uint8 RGB, output `rows` (n, 128)
    float32. The metadata has the identity of the weights, `tensors_hash`.
    """
    halved = {k: v.half() if v.is_floating_point() else v for k, v in tensors.items()}
    model = _exported(halved)
    _store_halved(model)
    helper.set_model_props(model, {layout.IDENTITY: tensors_hash(halved)})
    onnx.checker.check_model(model)
    return model.SerializeToString()


def tensors_hash(tensors: Mapping[str, Tensor]) -> str:
    """Twelve digits of the SHA-256 of the tensors as a safetensors file."""
    return hashlib.sha256(safetensors.torch.save(dict(tensors), metadata={})).hexdigest()[:12]


def stored_identity(path: Path) -> str:
    """The `tensors_hash` in the metadata of a file of `to_onnx`; "" if there is none."""
    properties = onnx.load(path).metadata_props
    return next((entry.value for entry in properties if entry.key == layout.IDENTITY), "")


def _exported(tensors: Mapping[str, Tensor]) -> onnx.ModelProto:
    """The graph with float32 weights; batch norms stay apart, so that weights keep their keys."""
    face = CompactFace()
    face.load_state_dict(dict(tensors))
    crops = torch.zeros(2, layout.CROP_PX, layout.CROP_PX, 3, dtype=torch.uint8)
    file = io.BytesIO()
    with warnings.catch_warnings():
        # The exporter that needs no further package is deprecated; the sizes that it traces are constants.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        torch.onnx.export(
            _FromCrops(face.eval().requires_grad_(False)),
            (crops,),
            file,  # type: ignore[arg-type] # torch's annotation lacks file objects
            dynamo=False,
            opset_version=OPSET,
            input_names=["crops"],
            output_names=["rows"],
            dynamic_axes={"crops": {0: "n"}, "rows": {0: "n"}},
            do_constant_folding=False,
            training=torch.onnx.TrainingMode.PRESERVE,
        )
    return onnx.load_from_string(file.getvalue())


def _store_halved(model: onnx.ModelProto) -> None:
    """Store the weights as float16 under their keys, with a cast to the tensors that the graph reads."""
    graph = model.graph
    weights = [tensor for tensor in graph.initializer if tensor.name.startswith(_PREFIX)]
    casts = []
    for tensor in weights:
        name, key = tensor.name, tensor.name.removeprefix(_PREFIX)
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype("float16"), key))
        casts.append(helper.make_node("Cast", [key], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
