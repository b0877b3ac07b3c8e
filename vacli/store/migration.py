"""What stores of format 1 called arrays and attributes; format 2 is read and written under the present names.

A store of format 1 stays as it is. Parts that are written to it have the present names, so that both may
occur in one store. Its face/blur has no present name: face/sharpness is another measure of another scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vacli.files.store_folder import METADATA_FILE
from vacli.spec import present_settings

RENAMED_ARRAYS = {"face/detected": "face/found"}  # present -> format 1
RENAMED_ATTRIBUTES = {"mapped": "category_mapped", "stills": "images"}  # format 1 -> present
RENAMED_KINDS = {"stills": "images", "composed": "synthetic"}  # of a video's stream, format 1 -> present


def stored_name(video: Path, part: str) -> str:
    """The name under which a video has `part`: that of format 1 if only that one is there."""
    old = RENAMED_ARRAYS.get(part)
    if old is None or (video / part / METADATA_FILE).is_file() or not (video / old / METADATA_FILE).is_file():
        return part
    return old


def present_name(part: str) -> str:
    """The present name of a part or array that a video has under `part`."""
    return next((name for name, old in RENAMED_ARRAYS.items() if old == part), part)


def present_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of a video or a part, in the present names."""
    renamed = {RENAMED_ATTRIBUTES.get(name, name): value for name, value in attributes.items()}
    if isinstance(renamed.get("settings"), Mapping):
        renamed["settings"] = present_settings(renamed["settings"])
    stream = renamed.get("stream")
    if isinstance(stream, Mapping) and stream.get("kind") in RENAMED_KINDS:
        renamed["stream"] = {**stream, "kind": RENAMED_KINDS[stream["kind"]]}
    return renamed
