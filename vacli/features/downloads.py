"""Files of weights: in the package, in the caches of the hub and of torch, or fetched into these.

A failed download leaves nothing, and a file is used only if its SHA-256 is the published one.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vacli.errors import WeightsError
from vacli.files.atomic import staged_file
from vacli.files.digests import file_sha256
from vacli.files.disk_space import is_disk_full
from vacli.progress import Progress
from vacli.spec import HUB

PACKAGE = Path(__file__).parents[1] / "weights"
BLOCK_BYTES = 1 << 20
SHA256_DIGITS = 64
CHECKPOINT_FILES = ("model.safetensors", "pytorch_model.bin")  # of the Hugging Face format, best first
CHECKPOINT_CONFIGS = ("config.json", "preprocessor_config.json")


@dataclass(frozen=True, kw_only=True)
class Weights:
    """One file. `source` is `package`, `hub:OWNER/REPO` or a URL.

    `sha256` is the digest or its first digits, as stated by the publisher; "" where the hub's cache is
    addressed by content, and its file name is the digest. `fallback` is used where a repository has no
    `file`. `companions` are fetched with it, except for those that the repository lacks.
    """

    file: str
    source: str
    sha256: str = ""
    licence: str = ""
    fallback: str = ""
    companions: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """The file and, if there is one, its fallback."""
        return (self.file, self.fallback) if self.fallback else (self.file,)


def hub_checkpoint(source: str, licence: str = "") -> Weights:
    """A checkpoint of the Hugging Face format. source: `hub:OWNER/REPO`."""
    file, fallback = CHECKPOINT_FILES
    return Weights(
        file=file, source=source, licence=licence, fallback=fallback, companions=CHECKPOINT_CONFIGS
    )


def checkpoint_file(folder: Path) -> Path | None:
    """The file of weights in a folder with a checkpoint of the Hugging Face format, None without one."""
    if not (folder / CHECKPOINT_CONFIGS[0]).is_file():
        return None
    paths = (folder / name for name in CHECKPOINT_FILES)
    return next((path for path in paths if path.is_file()), None)


def locate_record(name: str, record: Weights, given: Path | None, progress: Progress) -> Path:
    """The file with the weights of a record, fetched if it is not in the cache, or the file `given`.

    name: of the feature, for messages. Raises WeightsError if the file is missing, damaged or unreachable.
    """
    if given is not None:
        return _given(given)
    if record.source == "package":
        return _bundled(name, record)
    path = _from_hub(name, record, progress) if record.source.startswith(HUB) else None
    return path or _from_url(name, record, progress)


def cached_file(record: Weights) -> Path | None:
    """The file of weights if it is in the package or in a cache; None otherwise. Nothing is fetched.

    Raises ModuleNotFoundError if the package that has the cache is not installed.
    """
    if record.source == "package":
        path = PACKAGE / record.file
    elif record.source.startswith(HUB):
        return _cached_by_hub(record)
    else:
        path = _url_cache(record)
    return path if path.is_file() else None


def known_sha256(record: Weights) -> str:
    """The published digest of a file, or its first digits; "" where only the hub knows it.

    In the hub's cache a file is named by its digest. The digest of a file in the package is computed.
    """
    if record.sha256:
        return record.sha256
    path = cached_file(record)
    if path is None:
        return ""
    return file_sha256(path) if record.source == "package" else _blob_sha256(path)


def _blob_sha256(path: Path) -> str:
    """The digest of a file in the hub's cache, which names large files by their SHA-256."""
    name = path.resolve().name
    return name if len(name) == SHA256_DIGITS else ""


def _cached_by_hub(record: Weights) -> Path | None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    for file in record.files:
        try:
            return Path(hf_hub_download(record.source.removeprefix(HUB), file, local_files_only=True))
        except (LocalEntryNotFoundError, OSError):
            continue
        except HFValidationError:
            raise WeightsError(
                f"{record.source}: not a name of a repository", hint="give hub:OWNER/NAME"
            ) from None
    return None


def _url_cache(record: Weights) -> Path:
    """Where torch keeps files that are fetched from a URL."""
    from torch import hub

    return Path(hub.get_dir()) / "checkpoints" / record.file


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
    repo = record.source.removeprefix(HUB)
    path = _cached_by_hub(record)
    if path is None:
        progress.info(f"fetching {record.file} of {repo} for {name} (licence {record.licence or 'unstated'})")
        path = _fetch_from_hub(name, record, repo)
    _verify(path.resolve(), record.sha256 or _blob_sha256(path), also=path)
    return path


def _fetch_from_hub(name: str, record: Weights, repo: str) -> Path:
    is_new = not _hub_folder(repo).exists()
    try:
        for companion in record.companions:
            _download_first(repo, (companion,))
        path = _download_first(repo, record.files)
    except BaseException as error:
        _remove_partial(_hub_folder(repo), is_new)
        if not isinstance(error, Exception):
            raise
        # The client raises the errors of its HTTP library.
        raise _unreachable(name, f"https://huggingface.co/{repo}", record, error) from None
    if path is None:
        raise WeightsError(f"{record.source} has no {' or '.join(record.files)}", hint="check its name")
    return path


def _download_first(repo: str, files: Sequence[str]) -> Path | None:
    """The first of some files that a repository of the hub has; None if it has none of them."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    for file in files:
        try:
            return Path(hf_hub_download(repo, file))
        except LocalEntryNotFoundError:  # without a connection
            raise
        except EntryNotFoundError:
            continue
    return None


def _hub_folder(repo: str) -> Path:
    """The folder of a repository in the hub's cache."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}"


def _remove_partial(folder: Path, is_new: bool) -> None:
    """Remove what a failed download has left in the hub's cache."""
    if is_new:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(folder.parent / ".locks" / folder.name, ignore_errors=True)
    for part in folder.glob("blobs/*.incomplete"):
        part.unlink(missing_ok=True)


def _from_url(name: str, record: Weights, progress: Progress) -> Path:
    from urllib.request import urlopen

    path = _url_cache(record)
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
