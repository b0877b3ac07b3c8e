"""Everything that a command left in a folder, in a form in which two runs can be compared bit by bit."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

NOT_COMPARED = re.compile(r"events\.out\.tfevents|__pycache__")  # named and filled by the clock
CLOCK_KEYS = {
    "train_s",
    "validate_s",
    "seconds",
    "peak_bytes",
    "epoch_s",
    "temporal_step_s",
    "created",
    "written_at",
}
DRAWN_KEYS = {"edition", "va_crc32"}  # a random number for each writing, and a sum over it
CLOCK_LINES = re.compile(r"\d s\b|second|minute|[KMG]i?B\b")  # of a card
TEMPORARY = re.compile(r"(^|/)\.|\.part|\.tmp|~$")


def snapshot(folder: Path) -> dict[str, object]:
    """Path below `folder` -> content without what the clock or the place decides."""
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() or p.is_symlink()]
    names = {str(p.relative_to(folder)): p for p in files}
    return {name: _content(path, folder) for name, path in names.items() if not NOT_COMPARED.search(name)}


def difference(whole: Mapping[str, object], got: Mapping[str, object]) -> tuple[str, str]:
    """How another snapshot differs from the right one: a kind ("" for not at all) and the first path."""
    absent = [name for name in whole if name not in got]
    if absent:
        return "lost", f"{absent[0]} is missing"
    other = [name for name in whole if whole[name] != got[name]]
    if other:
        return "differs", f"{other[0]} has other content ({len(other)} files)"
    surplus = [name for name in got if name not in whole]
    if surplus:
        return "litter", f"{surplus[0]} is left over ({len(surplus)} files)"
    return "", ""


def unreadable(folder: Path) -> list[str]:
    """Files under their final names that are not whole: cut JSON, cut tensors."""
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = str(path.relative_to(folder))
        if TEMPORARY.search(name):
            continue
        try:
            _parse(path)
        except Exception as error:
            found.append(f"{name}: {type(error).__name__}")
    return found


def _parse(path: Path) -> object:
    if path.suffix == ".json":
        return json.loads(path.read_text())
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    if path.suffix == ".safetensors":
        from safetensors.numpy import load_file

        return {name: (array.shape, array.tobytes()) for name, array in load_file(path).items()}
    if path.suffix == ".pt":
        import torch

        return torch.load(path, map_location="cpu", weights_only=True)
    return path.read_bytes()


def _content(path: Path, folder: Path) -> object:
    if TEMPORARY.search(str(path.relative_to(folder))):
        return path.name
    if path.suffix == ".md":
        return [line for line in path.read_text().splitlines() if not CLOCK_LINES.search(line)]
    try:
        parsed = _parse(path)
    except Exception:
        parsed = path.read_bytes()
    return _plain(parsed, str(folder))


def _plain(value: object, place: str) -> object:
    """A value that compares by content, without clock and place."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v, place) for k, v in value.items() if k not in CLOCK_KEYS | DRAWN_KEYS}
    if isinstance(value, list | tuple):
        return [_plain(v, place) for v in value]
    if isinstance(value, str):
        return value.replace(place, "<here>")
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    if hasattr(value, "numpy"):
        return value.numpy().tobytes()
    return value
