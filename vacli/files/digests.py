"""SHA-256 digests of a run's files, in `files.json` beside them; a file that differs is refused.

While a file is replaced, both its old and its new digest are listed, so that the run stays valid if the
process ends in between.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vacli.errors import RunError
from vacli.files import atomic
from vacli.files.disk_space import report_write_errors

DIGESTS_FILE = "files.json"
TRAIN_AGAIN = "the run is damaged; train again"
ABSENT = "absent"  # in place of a digest: the file may be missing


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hexadecimal digits; the file need not fit into memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def recorded_sha256(path: Path) -> str:
    """The digest of a run's file as it is recorded beside it, else computed from the file."""
    known = _read_digests(path.parent).get(path.name, [])
    return known[0] if len(known) == 1 else file_sha256(path)


def check_bytes(path: Path, data: bytes, hint: str = TRAIN_AGAIN) -> None:
    """Raise RunError if `data` does not match the digest of `path`, a file of a run. No digest, no check."""
    known = _read_digests(path.parent).get(path.name)
    if known is not None and hashlib.sha256(data).hexdigest() not in known:
        raise _changed_error(path, hint)


def check_file(path: Path) -> None:
    """As `check_bytes` for the content of the file, which need not fit into memory."""
    known = _read_digests(path.parent).get(path.name)
    if known is not None and file_sha256(path) not in known:
        raise _changed_error(path, TRAIN_AGAIN)


def has_file(path: Path, hint: str = TRAIN_AGAIN) -> bool:
    """Whether a run has a file; raises RunError if a digest is listed but the file is missing."""
    if path.is_file():
        return True
    known = _read_digests(path.parent).get(path.name)
    if known is not None and ABSENT not in known:
        raise RunError(f"{path} is missing", hint=hint)
    return False


def write(path: Path, data: bytes) -> None:
    """Write a file of a run and its digest. Raises OutputError."""
    with staged_file(path, len(data)) as part:
        part.write_bytes(data)


@contextmanager
def staged_file(path: Path, need_bytes: int | None = None) -> Iterator[Path]:
    """As `atomic.staged_file`, for a file of a run; its digest is written too."""
    with atomic.staged_file(path, need_bytes) as part:
        yield part
        digest = file_sha256(part)
        before = file_sha256(path) if path.is_file() else ABSENT
        _record(path, [digest, *_read_digests(path.parent).get(path.name, [before])])
    _record(path, [digest])


def remove(path: Path) -> None:
    """Remove a file of a run, if it is there, and its digest. Raises OutputError."""
    with report_write_errors(path):
        known = _read_digests(path.parent)
        if path.name in known:
            _record(path, [*known[path.name], ABSENT])
        path.unlink(missing_ok=True)
        if path.name in known:
            _write_digests(path.parent, {name: value for name, value in known.items() if name != path.name})


def _read_digests(folder: Path) -> dict[str, list[str]]:
    """File name -> its valid digests; empty for runs of earlier versions."""
    try:
        noted = json.loads((folder / DIGESTS_FILE).read_text(encoding="utf-8"))
        return {str(name): [str(digest) for digest in digests] for name, digests in noted.items()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise RunError(f"{folder / DIGESTS_FILE} cannot be read: {error}", hint=TRAIN_AGAIN) from None


def _record(path: Path, digests: list[str]) -> None:
    _write_digests(path.parent, _read_digests(path.parent) | {path.name: list(dict.fromkeys(digests))})


def _write_digests(folder: Path, noted: dict[str, list[str]]) -> None:
    atomic.write_text(folder / DIGESTS_FILE, json.dumps(noted, indent=1, sort_keys=True) + "\n")


def _changed_error(path: Path, hint: str) -> RunError:
    return RunError(f"{path} does not match its SHA-256 in {DIGESTS_FILE}", hint=hint)
