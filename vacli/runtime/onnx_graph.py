"""Networks as ONNX graphs, written by hand: onnxruntime is there for the detector, and starts at once.

Field numbers are those of onnx.proto3.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vacli.runtime.protobuf import field

OPSET, IR_VERSION = 13, 8
FLOAT, UINT8, INT64 = 1, 2, 7  # TensorProto.DataType
INT, INTS = 2, 7  # AttributeProto.AttributeType
TYPES = {np.dtype(np.float32): FLOAT, np.dtype(np.int64): INT64}


class Graph:
    """A graph of one input and one output; every method gives the name of what it adds."""

    def __init__(self, name: str, element: int, shape: Sequence[int | str]) -> None:
        self.input = name
        self._input = field(11, _value(name, element, shape))
        self._nodes: list[bytes] = []
        self._constants: list[bytes] = []

    def constant(self, values: np.ndarray) -> str:
        """A tensor that does not change."""
        name = f"c{len(self._constants)}"
        sizes = b"".join(field(1, size) for size in values.shape)
        content = field(8, name.encode()) + field(9, np.ascontiguousarray(values).tobytes())
        self._constants.append(field(5, sizes + field(2, TYPES[values.dtype]) + content))
        return name

    def node(self, kind: str, *inputs: str | np.ndarray, **attributes: int | Sequence[int]) -> str:
        """What an operator makes of its inputs; arrays become constants."""
        names = [self.constant(i) if isinstance(i, np.ndarray) else i for i in inputs]
        name = f"n{len(self._nodes)}"
        parts = [field(1, i.encode()) for i in names] + [field(2, name.encode()), field(4, kind.encode())]
        parts += [field(5, _attribute(key, value)) for key, value in attributes.items()]
        self._nodes.append(field(1, b"".join(parts)))
        return name

    def model(self, output: str, shape: Sequence[int | str]) -> bytes:
        """The file whose output is `output`, float32."""
        made = field(12, _value(output, FLOAT, shape))
        graph = b"".join([*self._nodes, field(2, b"va"), *self._constants, self._input, made])
        return field(1, IR_VERSION) + field(7, graph) + field(8, field(2, OPSET))


def _attribute(name: str, value: int | Sequence[int]) -> bytes:
    named = field(1, name.encode())
    if isinstance(value, int):
        return named + field(3, value) + field(20, INT)
    return named + b"".join(field(8, v) for v in value) + field(20, INTS)


def _value(name: str, element: int, shape: Sequence[int | str]) -> bytes:
    """A ValueInfoProto; names stand for sizes that are known later."""
    sizes = (field(2, s.encode()) if isinstance(s, str) else field(1, s) for s in shape)
    dimensions = b"".join(field(1, size) for size in sizes)
    return field(1, name.encode()) + field(2, field(1, field(1, element) + field(2, dimensions)))
