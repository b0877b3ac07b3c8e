"""Weights by name: the source of each file, its SHA-256 and licence, and safe reading.

A file given by the user takes precedence; a bundled file lies in the package; all others are fetched
once into the cache of their hub. No file is unpickled: it is safetensors or ONNX, or it is read with
`weights_only`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vacli.errors import UsageError, WeightsError, nearest
from vacli.features.downloads import Weights, hub_checkpoint, locate_record
from vacli.files.digests import file_sha256
from vacli.progress import Progress, RecordingProgress

if TYPE_CHECKING:
    from torch import Tensor, nn

WEIGHTS: dict[str, Weights] = {
    "compact": Weights(file="compact-face.onnx", source="package", licence="see the card beside the file"),
    "mae-vit-l": Weights(
        file="model.safetensors", source="hub:timm/vit_large_patch16_224.mae", licence="CC-BY-NC-4.0"
    ),
    "resnet50": Weights(file="model.safetensors", source="hub:timm/resnet50.a1_in1k", licence="Apache-2.0"),
    "speech": Weights(
        file="silero-vad.onnx",
        source="package",
        sha256="9ccdacc4719d8aa7e45a77536bfabec45a03ba1f2fad5e241ab4060b24238a85",
        licence="MIT",
    ),
    "vggish": Weights(
        file="vggish-10086976.pth",
        source="https://github.com/harritaylor/torchvggish/releases/download/v0.1/vggish-10086976.pth",
        sha256="10086976",
        licence="Apache-2.0",
    ),
    "vggish-pca": Weights(
        file="vggish_pca_params-970ea276.pth",
        source="https://github.com/harritaylor/torchvggish/releases/download/v0.1/"
        "vggish_pca_params-970ea276.pth",
        sha256="970ea276",
        licence="Apache-2.0",
    ),
    "wav2vec2-msp-dim": hub_checkpoint(
        "hub:audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim",
        "CC-BY-NC-SA-4.0: not for commercial use",
    ),
    "wav2vec2": hub_checkpoint("hub:facebook/wav2vec2-base", "Apache-2.0"),
    "hubert": hub_checkpoint("hub:facebook/hubert-base-ls960", "Apache-2.0"),
    "wavlm": hub_checkpoint("hub:microsoft/wavlm-base-plus", "MIT"),
}


def locate(name: str, given: Path | None = None, progress: Progress | None = None) -> Path:
    """The file with the weights `name`, fetched if it is not in the cache, or the file `given`.

    Raises: UsageError for an unknown name, WeightsError if the file is missing, damaged or unreachable.
    """
    if name not in WEIGHTS:
        raise UsageError(f"there are no weights called {name!r}", hint=nearest(name, WEIGHTS))
    return locate_record(name, WEIGHTS[name], given, progress or RecordingProgress())


def short_hash(path: Path) -> str:
    """Twelve digits of the SHA-256: the identity of weights in a feature's settings."""
    return file_sha256(path)[:12]


def load_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a file, by key, on the CPU; wrappers (`model`, `state_dict`) are removed.

    Raises WeightsError if the file cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if Path(path).suffix == ".onnx":
        return _load_onnx(path)
    if Path(path).suffix != ".safetensors":
        return _load_torch(path)
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: not readable as safetensors: {error}", hint="fetch it again") from None


def load_into(model: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Copy tensors into a model, strictly; WeightsError names the first key that differs."""
    check_keys({k: tuple(v.shape) for k, v in model.state_dict().items()}, tensors, path)
    model.load_state_dict(dict(tensors))


def check_keys(expected: Mapping[str, tuple[int, ...]], tensors: Mapping[str, Tensor], path: Path) -> None:
    """Raise WeightsError for the first key that is missing, of another shape or unexpected."""
    for key, shape in expected.items():
        if key not in tensors:
            raise WeightsError(f"{path}: {key} is missing", hint="these are weights of another network")
        if tuple(tensors[key].shape) != shape:
            found = tuple(tensors[key].shape)
            raise WeightsError(
                f"{path}: {key} has shape {found}, not {shape}", hint="these are weights of another network"
            )
    for key in tensors:
        if key not in expected:
            raise WeightsError(f"{path}: {key} is not expected", hint="these are weights of another network")


def _load_onnx(path: Path) -> dict[str, Tensor]:
    import onnx
    import torch
    from google.protobuf.message import DecodeError

    try:
        graph = onnx.load(path).graph
    except (DecodeError, OSError) as error:
        raise WeightsError(f"{path}: not readable as ONNX: {error}", hint="fetch it again") from None
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}


def _load_torch(path: Path) -> dict[str, Tensor]:
    import pickle
    import warnings

    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about pickle protocols
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        cause = str(error).splitlines()[0] if str(error) else "empty file"
        raise WeightsError(
            f"{path}: not readable as tensors: {cause}",
            hint="files with code are not loaded; if you trust the file, convert it to safetensors",
        ) from None
    for wrapper in ("model", "state_dict", "model_state"):
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: holds no named tensors")
    tensors = {k: v for k, v in content.items() if isinstance(v, torch.Tensor)}
    if not tensors:
        raise WeightsError(f"{path}: holds no named tensors")
    return tensors
