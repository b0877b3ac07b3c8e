"""ONNX Runtime sessions on the CPU: one place for their options and errors."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from vacli.errors import WeightsError

if TYPE_CHECKING:
    import onnxruntime


def import_onnxruntime() -> ModuleType:
    """ONNX Runtime without its telemetry: 1.32 stores an id of the machine and sends events."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read at the import, where the id is made
    import onnxruntime  # not before: it starts threads, which a later fork would lose

    onnxruntime.disable_telemetry_events()  # of Windows, where earlier versions have some too
    return onnxruntime


def create_session(model: bytes, threads: int) -> onnxruntime.InferenceSession:
    """A thread-safe session for an ONNX model, on `threads` threads of the CPU."""
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning threads would take the cores from decoding and encoding.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def open_session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    """As `create_session`, for a file. Raises WeightsError if the file cannot be read, or is not ONNX."""
    try:
        model = path.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"{path}: cannot be read: {error.strerror}", hint="check the file and the limits of this shell"
        ) from None
    try:
        return create_session(model, threads)
    except Exception as error:  # onnxruntime's errors have no other common base class
        cause = (str(error) or type(error).__name__).splitlines()[0]
        raise WeightsError(f"{path}: not readable as ONNX: {cause}", hint="fetch it again") from error


def metadata(session: onnxruntime.InferenceSession) -> dict[str, str]:
    """The custom metadata of a session's model, by key."""
    return dict(session.get_modelmeta().custom_metadata_map)
