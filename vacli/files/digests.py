"""SHA-256 of a run's files, in `files.json` beside them: a run is used as it was written or not at all.

While a file is replaced, its old digest and its new one are noted, so that a process that ends in between
leaves a run whose files are all known.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vacli.errors import RunError
from vacli.files import atomic

FILES = "files.json"
TRAIN_AGAIN = "the run is damaged; train again"
ABSENT = "absent"  # instead of a digest: the file need not be there


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hexadecimal digits; the file need not fit into memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check(path: Path, data: bytes, hint: str = TRAIN_AGAIN) -> None:
    """Raise RunError where `data` is not what was written to `path`, a file of a run that notes digests."""
    known = _noted(path.parent).get(path.name)
    if known is not None and hashlib.sha256(data).hexdigest() not in known:
        raise _changed(path, hint)


def check_file(path: Path) -> None:
    """As `check`, of what the file holds; it need not fit into memory."""
    known = _noted(path.parent).get(path.name)
    if known is not None and file_sha256(path) not in known:
        raise _changed(path, TRAIN_AGAIN)


def is_there(path: Path, hint: str = TRAIN_AGAIN) -> bool:
    """Whether a run has a file; RunError where it has lost it."""
    if path.is_file():
        return True
    known = _noted(path.parent).get(path.name)
    if known is not None and ABSENT not in known:
        raise RunError(f"{path} is missing", hint=hint)
    return False


def write(path: Path, data: bytes) -> None:
    """Write a file of a run and note its digest."""
    with filling(path, len(data)) as part:
        part.write_bytes(data)


@contextmanager
def filling(path: Path, need_bytes: int | None = None) -> Iterator[Path]:
    """As `atomic.filling`, for a file of a run whose digest is noted."""
    with atomic.filling(path, need_bytes) as part:
        yield part
        digest = file_sha256(part)
        before = file_sha256(path) if path.is_file() else ABSENT
        _note(path, [digest, *_noted(path.parent).get(path.name, [before])])
    _note(path, [digest])


def _noted(folder: Path) -> dict[str, list[str]]:
    """Name -> the digests that a file of a run may have; nothing for runs of earlier versions."""
    try:
        noted = json.loads((folder / FILES).read_text(encoding="utf-8"))
        return {str(name): [str(digest) for digest in digests] for name, digests in noted.items()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise RunError(f"{folder / FILES} cannot be read: {error}", hint=TRAIN_AGAIN) from None


def _note(path: Path, digests: list[str]) -> None:
    noted = _noted(path.parent) | {path.name: list(dict.fromkeys(digests))}
    atomic.write_text(path.parent / FILES, json.dumps(noted, indent=1, sort_keys=True) + "\n")


def _changed(path: Path, hint: str) -> RunError:
    return RunError(f"{path} is not what was written there", hint=hint)
