"""Names, versions and layouts of the files of a store."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from pathlib import Path

import numpy as np
import zarr

from vacli import __version__
from vacli.errors import StoreError
from vacli.files.store_folder import METADATA_FILE

FORMAT_VERSION = 2
READABLE = (1, 2)  # see `store.migration`
TIME = "time"  # the coordinate of the frames and the name of the first axis of arrays with one row per frame
TIME_ATTRIBUTES = {"units": "s", "long_name": "presentation time"}
LOST_AND_FOUND = "lost+found"  # a folder that e2fsck makes in the root of a file system
ID_BYTES = 180  # file systems allow 255; suffixes of files and persons need some
DTYPE_KINDS = {  # array or part -> letters of NumPy's dtype.kind
    "time": "f",
    "feature": "f",
    "flag": "iu",
    "label/valence": "f",
    "label/arousal": "f",
    "face/detected": "b",
    "face/box": "f",
    "face/landmarks": "f",
    "face/score": "f",
    "face/track": "i",
    "face/crop": "u",
    "face/crop_start": "i",
    "face/crop_size": "i",
}


def root_attributes() -> dict[str, object]:
    """Attributes of the root group, which mark it as a store of this version."""
    return {"va_store": FORMAT_VERSION, "created_by": f"va {__version__}"}


def check_root(path: Path) -> None:
    """Raise StoreError if `path` is not a store that this version reads."""
    meta = path / METADATA_FILE
    if not path.exists():
        raise StoreError(f"no store at {path}", hint="`va align` or `va extract-audio` makes one")
    try:
        version = json.loads(meta.read_text(encoding="utf-8")).get("attributes", {}).get("va_store")
    except (OSError, ValueError, AttributeError) as error:
        if not isinstance(error, OSError) and any(path.glob(f"*/{METADATA_FILE}")):
            raise StoreError(
                f"{meta} is damaged", hint=f"copy {METADATA_FILE} from another store of this version"
            ) from None
        raise StoreError(f"{path} is not a feature store", hint="name a folder that `va` wrote") from None
    if version is None:
        raise StoreError(f"{path} is a Zarr group but not a feature store of va")
    if version not in READABLE:
        raise StoreError(
            f"store {path} has format {version}, this va reads up to {FORMAT_VERSION}",
            hint="use the va that wrote it, or extract again into a new store",
        )


def can_create(path: Path) -> bool:
    """Whether a new store can be created at `path`: nothing is there, or a folder of hidden files at most."""
    if not path.exists():
        return True
    names = [below.name for below in path.iterdir()] if path.is_dir() else [path.name]
    return all(name.startswith(".") or name == LOST_AND_FOUND for name in names)


def file_stem(name: str) -> str:
    """A file's name without its suffix; the dot of a folder such as "1.2-60-1920x1080" is no suffix."""
    return re.sub(r"(?<=.)\.(?=\d*[A-Za-z])[A-Za-z0-9]{1,5}$", "", name)


def safe_id(stem: str) -> str:
    """A file's stem as a group name: letters, digits, '-', '_' and '.', never hidden, never empty.

    At most ID_BYTES long in UTF-8; of a longer one the beginning is kept, and a hash of all of it. Letters
    keep their marks, which distinguish words in many scripts, and are composed as Unicode's NFC.
    """
    name = unicodedata.normalize("NFC", stem)
    safe = re.sub("\0+", "_", "".join(c if _is_allowed(c) else "\0" for c in name))
    safe = safe.lstrip("._") or "video"
    raw = safe.encode("utf-8")
    if len(raw) <= ID_BYTES:
        return safe
    tail = "-" + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return raw[: ID_BYTES - len(tail)].decode("utf-8", "ignore") + tail


def _is_allowed(character: str) -> bool:
    return character.isalnum() or character in "_.-" or unicodedata.category(character)[0] == "M"


def check_times(path: Path, times_s: np.ndarray, hint: str | None = None) -> None:
    """Raise StoreError if frame times (N,) in seconds are not finite or decrease."""
    if not np.isfinite(times_s).all() or (np.diff(times_s) < 0).any():
        raise StoreError(f"{path} has frame times that are not finite or decrease", hint=hint)


def part_of(array: str) -> str:
    """The part of an array, which is replaced as a whole: "face" for "face/box"."""
    kind, _, _ = array.partition("/")
    return array if kind in ("feature", "flag") else kind


def dtype_kinds(array: str) -> str:
    """The letters of NumPy's dtype.kind that an array may have."""
    return DTYPE_KINDS.get(array, DTYPE_KINDS.get(array.partition("/")[0], "biuf"))


def how_to_make(part: str) -> str:
    """The hint for an absent part."""
    if part.startswith("face"):
        return "run `va align` on its video first"
    if part.startswith("label"):
        return "run `va import-labels` first"
    return "run `va extract-visual` or `va extract-audio` for it first"


def how_to_remake(part: str, video: Path) -> str:
    """The hint for a damaged part."""
    kind, _, name = part.partition("/")
    if kind == "face":
        return "run `va align --force` on its recording"
    if kind == "label":
        return "run `va import-labels --force` again"
    if kind in ("feature", "flag"):
        return f"run `va extract-visual` or `va extract-audio` with --feature {name} --force"
    return f"remove the folder {video} and add its recording again"


def create_group(path: Path, attributes: dict[str, object]) -> zarr.Group:
    """Create a group on disk."""
    return zarr.create_group(store=str(path), attributes=attributes)
