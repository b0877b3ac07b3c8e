"""Weights by name: the source of each file, its SHA-256 and licence, and safe reading.

A file given by the user takes precedence; a bundled file lies in the package; all others are fetched
once into the cache of their hub. No file is unpickled: it is safetensors or ONNX, or it is read with
`weights_only`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vacli.errors import UsageError, WeightsError, nearest
from vacli.files.atomic import staged_file
from vacli.files.digests import file_sha256
from vacli.files.disk_space import is_disk_full
from vacli.progress import Progress, RecordingProgress

if TYPE_CHECKING:
    from torch import Tensor, nn

PACKAGE = Path(__file__).parents[1] / "weights"
BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Weights:
    """One file. `source` is `package`, `hub:OWNER/REPO` or a URL.

    `sha256` is the digest or its first digits, as stated by the publisher; "" where the hub's cache is
    addressed by content, and its file name is the digest.
    """

    file: str
    source: str
    sha256: str = ""
    licence: str = ""


WEIGHTS: dict[str, Weights] = {
    "compact": Weights(file="compact-face.onnx", source="package", licence="see the card beside the file"),
    "mae-vit-l": Weights(
        file="model.safetensors", source="hub:timm/vit_large_patch16_224.mae", licence="CC-BY-NC-4.0"
    ),
    "resnet50": Weights(file="model.safetensors", source="hub:timm/resnet50.a1_in1k", licence="Apache-2.0"),
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
}


def locate(name: str, given: Path | None = None, progress: Progress | None = None) -> Path:
    """The file with the weights `name`, fetched if it is not in the cache, or the file `given`.

    Raises: UsageError for an unknown name, WeightsError if the file is missing, damaged or unreachable.
    """
    if name not in WEIGHTS:
        raise UsageError(f"there are no weights called {name!r}", hint=nearest(name, WEIGHTS))
    return locate_record(name, WEIGHTS[name], given, progress or RecordingProgress())


def locate_record(name: str, record: Weights, given: Path | None, progress: Progress) -> Path:
    """As `locate`, for a record that is not in the table (such as a timm model's)."""
    if given is not None:
        return _given(given)
    if record.source == "package":
        return _bundled(name, record)
    path = _from_hub(name, record, progress) if record.source.startswith("hub:") else None
    return path or _from_url(name, record, progress)


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


def _given(path: Path) -> Path:
    if not Path(path).is_file():
        raise WeightsError(f"{path}: no such weights file")
    return Path(path)


def _bundled(name: str, record: Weights) -> Path:
    path = PACKAGE / record.file
    if not path.is_file():
        raise WeightsError(
            f"the bundled weights {record.file} are not in this installation",
            hint=f"reinstall the package, or train them (va finetune-mae --encoder {name}) "
            "and give the run with --weights RUN",
        )
    return path


def _from_hub(name: str, record: Weights, progress: Progress) -> Path | None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    repo = record.source.removeprefix("hub:")
    try:
        path = Path(hf_hub_download(repo, record.file, local_files_only=True))
    except (LocalEntryNotFoundError, OSError):
        progress.info(f"fetching {record.file} of {repo} for {name} (licence {record.licence or 'unstated'})")
        path = _fetch_from_hub(name, record, repo)
    blob = path.resolve()
    # The hub names large files by their SHA-256.
    stated = record.sha256 or (blob.name if len(blob.name) == 64 else "")
    _verify(blob, stated, also=path)
    return path


def _fetch_from_hub(name: str, record: Weights, repo: str) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(repo, record.file))
    except Exception as error:  # the client raises the errors of its HTTP library
        raise _unreachable(name, f"https://huggingface.co/{repo}", record, error) from None


def _from_url(name: str, record: Weights, progress: Progress) -> Path:
    from urllib.request import urlopen

    from torch import hub

    path = Path(hub.get_dir()) / "checkpoints" / record.file
    if path.is_file():
        _verify(path, record.sha256)
        return path
    progress.info(f"fetching {record.file} for {name} (licence {record.licence or 'unstated'})")
    with staged_file(path) as part:
        try:
            with urlopen(record.source, timeout=30) as answer:
                _save(answer, part, progress, record.file)
        except OSError as error:
            if is_disk_full(error):
                raise
            raise _unreachable(name, record.source, record, error) from None
        _verify(part, record.sha256, name=path)
    return path


def _save(answer: Any, part: Path, progress: Progress, title: str) -> None:
    total = answer.headers.get("Content-Length")
    with (
        progress.task(title, float(total) if total else None, "bytes") as advance,
        open(part, "wb") as file,
    ):
        for block in _blocks(answer):
            file.write(block)
            advance(len(block))


def _blocks(answer: Any) -> Iterator[bytes]:
    while block := answer.read(BLOCK_BYTES):
        yield block


def _unreachable(name: str, where: str, record: Weights, error: Exception) -> WeightsError:
    cause = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
    return WeightsError(
        f"the weights of {name} could not be fetched from {where}: {cause}",
        hint=f"download {record.file} on a connected machine and give it with --weights FILE",
    )


def _verify(path: Path, stated: str, *, also: Path | None = None, name: Path | None = None) -> None:
    if not stated or file_sha256(path).startswith(stated):
        return
    path.unlink()
    if also is not None:
        also.unlink(missing_ok=True)
    raise WeightsError(
        f"{name or also or path}: corrupt, its SHA-256 does not begin with {stated[:16]}; it was deleted",
        hint="run the command again to fetch it anew",
    )


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
