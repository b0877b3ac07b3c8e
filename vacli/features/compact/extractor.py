"""Extractor `compact`: the bundled face network by ONNX Runtime, or by torch where that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from vacli.errors import WeightsError
from vacli.features.compact import layout
from vacli.features.weights import short_hash
from vacli.packages import needed_by
from vacli.progress import Progress
from vacli.runtime import onnx
from vacli.runtime.concurrency import n_threads
from vacli.runtime.options import DEFAULT_EXECUTION, ExecutionOptions

Extract = Callable[[np.ndarray], np.ndarray]


class Compact:
    """The bundled network on aligned crops: 128 values a frame.

    ONNX weights run on the CPU without torch. torch is used for other devices, and for weights that
    are not ONNX (a fine-tuned run); the rows are the same to 1e-4.
    """

    def __init__(
        self,
        weights: Path | None = None,
        execution: ExecutionOptions = DEFAULT_EXECUTION,
        progress: Progress | None = None,
    ) -> None:
        path = layout.weights_file(weights, progress)
        self.batch_size = execution.batch_size or layout.BATCH
        on_cpu = execution.device in ("auto", "cpu")
        if on_cpu and path.suffix == ".onnx":
            self._extract, identity = _by_onnxruntime(path, self.batch_size)
        else:
            device = "cpu" if on_cpu else execution.device
            self._extract, identity = _by_torch(path, device, self.batch_size)
        self.spec = layout.spec(identity)

    @staticmethod
    def options_from(settings: Mapping[str, object], weights: Mapping[str, Path]) -> dict[str, object]:
        """See `features.protocols.Extractor`."""
        return {"weights": weights.get("weights")}

    def extract(self, crops: np.ndarray) -> np.ndarray:
        """Crops (N, 224, 224, 3) uint8 RGB -> (N, 128) float32."""
        return self._extract(crops)


def _by_torch(path: Path, device: str, batch_size: int) -> tuple[Extract, str]:
    """The network by torch, and the identity of its weights."""
    with needed_by(f"--device {device}" if device != "cpu" else f"{path.name} (weights that are not ONNX)"):
        from vacli.features.compact.network import on_device

        extract = on_device(path, device, batch_size)
        if path.suffix != ".onnx":
            return extract, short_hash(path)
        from vacli.features.compact.export import stored_identity

        return extract, stored_identity(path)


def _by_onnxruntime(path: Path, batch_size: int) -> tuple[Extract, str]:
    """The network by ONNX Runtime, and the identity of its weights."""
    session = onnx.open_session(path, n_threads())
    identity = onnx.metadata(session).get(layout.IDENTITY)
    if identity is None:
        raise WeightsError(f"{path}: not a network of `va bundled-model export`", hint="leave out --weights")

    def extract(crops: np.ndarray) -> np.ndarray:
        rows = np.empty((len(crops), layout.DIM), np.float32)
        for start in range(0, len(crops), batch_size):
            part = slice(start, start + batch_size)
            rows[part] = session.run(None, {"crops": np.ascontiguousarray(crops[part])})[0]
        return rows

    return extract, identity
