"""Names of output files for many inputs: safe on every file system, unique, and independent of the order."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

UNSAFE = re.compile(r"[^\w .()+,@=&'-]+")  # `\w` is any letter or digit
UNSAFE_FIRST = re.compile(r"^[^\w(]+")  # a hidden file, an option of a program or a formula
MAX_BYTES = 150  # of UTF-8: endings are appended, and some file systems allow 255
LAST_LEVEL = 4  # of the names of an input
DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # of Windows


@dataclass(frozen=True, slots=True)
class InputName:
    """The path of an input, and the parts of it that its output may be named after."""

    path: str
    stem: str
    ending: str = ""
    folder: str = ""


def output_names(inputs: Sequence[InputName], reserved: Iterable[str] = ()) -> list[str]:
    """A name without an ending for each of different inputs, in their order.

    It is the stem of the file. Inputs of equal stems get their ending too (`clip_mp4`, `clip_avi`), then
    their folder (`day1_clip`), then both, and at last a hash of their path. Names that differ in case or
    Unicode form only count as equal, since some file systems do not distinguish them. reserved: names that
    are not given, in any case; a name that ends with one of them that begins with `_` is not given either.
    """
    names, level = [_candidate(name, 0) for name in inputs], bytearray(len(inputs))
    reserved = {_folded(name) for name in reserved}
    while True:
        keys = [_folded(name) for name in names]
        counts = Counter(keys)
        repeated = [
            index
            for index, key in enumerate(keys)
            if (counts[key] > 1 or _is_reserved(key, reserved)) and level[index] < LAST_LEVEL
        ]
        if not repeated:
            return names
        for index in repeated:
            level[index] += 1
            names[index] = _candidate(inputs[index], level[index])


def _candidate(name: InputName, level: int) -> str:
    """The name of a level; few inputs need more than the first one."""
    stem, folder = name.stem, name.folder
    whole = f"{stem}_{name.ending}" if name.ending else stem
    if level < LAST_LEVEL:
        return _safe((stem, whole, f"{folder}_{stem}", f"{folder}_{whole}")[level])
    digest = hashlib.sha256(name.path.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return f"{_safe(whole)}_{digest}"


def _safe(name: str) -> str:
    name = UNSAFE.sub("_", unicodedata.normalize("NFC", name))
    name = UNSAFE_FIRST.sub("_", name).rstrip(". ") or "_"
    if DEVICES.fullmatch(name):
        name = f"_{name}"
    raw = name.encode()
    if len(raw) <= MAX_BYTES:
        return name
    tail = "_" + hashlib.sha256(raw).hexdigest()[:12]
    return raw[: MAX_BYTES - len(tail)].decode("utf-8", "ignore") + tail


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _is_reserved(key: str, reserved: set[str]) -> bool:
    return key in reserved or any(name.startswith("_") and key.endswith(name) for name in reserved)
