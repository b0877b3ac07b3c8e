"""The bundled face network on a CPU, by onnxruntime: no torch is imported before the first face."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from vacli.circumplex import EMOTION_VA, EMOTIONS
from vacli.faces.retinaface import session_of
from vacli.features.compact import layout as rows
from vacli.features.weights import check_keys, load_arrays
from vacli.packages import needed_by
from vacli.progress import Progress
from vacli.runtime.onnx_graph import UINT8, Graph
from vacli.runtime.options import AS_IT_FITS, Running

NORM_EPSILON = 1e-5  # of torch's batch norm

Tensors = Mapping[str, np.ndarray]


class Compact:
    """Extractor `compact`: the bundled network on aligned crops. On a GPU, by torch, only where that is asked
    for; the rows are the same to 1e-4."""

    def __init__(
        self,
        weights: Path | None = None,
        running: Running = AS_IT_FITS,
        progress: Progress | None = None,
    ) -> None:
        path = rows.weights_file(weights, progress)
        self.spec = rows.spec(path)
        self.batch_size = running.batch_size or rows.BATCH
        on_cpu = running.device in ("auto", "cpu")
        self._run = _on_cpu(path, self.batch_size) if on_cpu else _by_torch(path, running)

    def extract(self, crops: np.ndarray) -> np.ndarray:
        """Crops (N, 224, 224, 3) uint8 RGB -> (N, 128) float32."""
        return self._run(crops)


def _by_torch(path: Path, running: Running) -> Callable[[np.ndarray], np.ndarray]:
    with needed_by(f"--device {running.device}"):
        from vacli.features.compact.network import on_device

    return on_device(path, running)


def _on_cpu(path: Path, most: int) -> Callable[[np.ndarray], np.ndarray]:
    tensors = load_arrays(path)
    check_keys(shapes(), tensors, path)
    session = session_of(graph_of(tensors), os.cpu_count() or 1)

    def extract(crops: np.ndarray) -> np.ndarray:
        made = np.empty((len(crops), rows.DIM), np.float32)
        for start in range(0, len(crops), most):
            here = slice(start, start + most)
            made[here] = session.run(None, {"crops": np.ascontiguousarray(crops[here])})[0]
        return made

    return extract


def shapes() -> dict[str, tuple[int, ...]]:
    """What the file of weights must hold, in the order of `compact.CompactFace`."""
    made: dict[str, tuple[int, ...]] = {"stem.weight": (rows.WIDTHS[0], 1, 3, 3)}
    made |= _norm_shapes("stem_norm", rows.WIDTHS[0])
    for name, inward, outward, stride in rows.blocks():
        for number, width in ((1, inward), (2, outward)):
            made[f"{name}.conv{number}.weight"] = (outward, width, 3, 3)
            made |= _norm_shapes(f"{name}.norm{number}", outward)
        if inward != outward or stride > 1:
            made[f"{name}.shortcut.weight"] = (outward, inward, 1, 1)
            made[f"{name}.shortcut.bias"] = (outward,)
    for name, width, outward in (
        ("embed", rows.WIDTHS[-1], rows.EMBEDDING),
        ("votes", rows.EMBEDDING, len(EMOTIONS)),
    ):
        made[f"{name}.weight"], made[f"{name}.bias"] = (outward, width), (outward,)
    return made


def _norm_shapes(name: str, width: int) -> dict[str, tuple[int, ...]]:
    made = {f"{name}.{key}": (width,) for key in ("weight", "bias", "running_mean", "running_var")}
    return made | {f"{name}.num_batches_tracked": ()}


def graph_of(tensors: Tensors) -> bytes:
    """`compact.small_grey` and `compact.CompactFace.rows` as an ONNX file, of tensors of these `shapes`."""
    graph = Graph("crops", UINT8, ("n", rows.CROP_PX, rows.CROP_PX, 3))
    x = graph.node("Relu", _convolved(graph, _standardised(graph), tensors, ("stem", "stem_norm"), 1, 1))
    for block, _, _, stride in rows.blocks():
        inner = _convolved(graph, x, tensors, (f"{block}.conv1", f"{block}.norm1"), stride, 1)
        inner = graph.node("Relu", inner)
        inner = _convolved(graph, inner, tensors, (f"{block}.conv2", f"{block}.norm2"), 1, 1)
        if f"{block}.shortcut.weight" in tensors:
            x = _convolved(graph, x, tensors, (f"{block}.shortcut", None), stride, 0)
        x = graph.node("Relu", graph.node("Add", inner, x))
    pooled = graph.node("Flatten", graph.node("GlobalAveragePool", x), axis=1)
    embedding = graph.node("Relu", _linear(graph, pooled, tensors, "embed"))
    shares = graph.node("Softmax", _linear(graph, embedding, tensors, "votes"), axis=1)
    values = graph.node("MatMul", shares, np.asarray(EMOTION_VA, np.float32))
    return graph.model(graph.node("Concat", values, shares, embedding, axis=1), ("n", rows.DIM))


def _standardised(graph: Graph) -> str:
    """Crops as grey (N, 1, 48, 48) of zero mean and unit spread: `small_grey` and `standardise`."""
    grey = graph.node("MatMul", graph.node("Cast", graph.input, to=1), np.array([rows.LUMA], np.float32).T)
    axis = rows.reduction()
    grey = graph.node("Reshape", grey, np.array([-1, 1, rows.CROP_PX, rows.CROP_PX]))
    grey = graph.node("MatMul", graph.node("MatMul", axis, grey), np.ascontiguousarray(axis.T))
    black, white = (np.full((), level, np.float32) for level in (0, 255))
    grey = graph.node("Clip", graph.node("Round", grey), black, white)
    centred = graph.node("Sub", grey, graph.node("ReduceMean", grey, axes=(2, 3)))
    variance = graph.node("ReduceMean", graph.node("Mul", centred, centred), axes=(2, 3))
    spread = graph.node("Add", graph.node("Sqrt", variance), np.full(1, rows.GREY_FLOOR, np.float32))
    return graph.node("Div", centred, spread)


def _convolved(
    graph: Graph, x: str, tensors: Tensors, names: tuple[str, str | None], stride: int, pad: int
) -> str:
    """A convolution with the batch norm after it, if there is one, folded in."""
    name, norm = names
    weight = tensors[f"{name}.weight"]
    bias = tensors.get(f"{name}.bias", np.zeros(len(weight), np.float32))
    if norm:
        spread = np.sqrt(tensors[f"{norm}.running_var"] + NORM_EPSILON)
        factor = tensors[f"{norm}.weight"] / spread
        bias = (bias - tensors[f"{norm}.running_mean"]) * factor + tensors[f"{norm}.bias"]
        weight = weight * factor[:, np.newaxis, np.newaxis, np.newaxis]
    arrays = (weight.astype(np.float32), bias.astype(np.float32))
    return graph.node("Conv", x, *arrays, strides=(stride, stride), pads=(pad,) * 4)


def _linear(graph: Graph, x: str, tensors: Tensors, name: str) -> str:
    return graph.node("Gemm", x, tensors[f"{name}.weight"], tensors[f"{name}.bias"], transB=1)
