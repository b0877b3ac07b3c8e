"""The provenance of a table in a JSON file beside it: version, model, settings, inputs, and digests of files.

It has no time of writing and no absolute path, so that the same prediction gives the same bytes anywhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vacli.files.atomic import write_text
from vacli.files.digests import file_sha256

IN_TRAINING = "in_training"  # the names of the inputs that the model was trained on
SIDECAR_ENDING = ".provenance.json"


def sidecar_of(table: Path) -> Path:
    """The file with the provenance of a table."""
    return table.with_name(f"{table.name}{SIDECAR_ENDING}")


def write_sidecar(table: Path, provenance: Mapping[str, Any]) -> None:
    """Write the provenance of a table. Raises OutputError."""
    write_text(sidecar_of(table), json.dumps(provenance, indent=1) + "\n")


def as_line(provenance: Mapping[str, Any]) -> str:
    """The provenance as one line of JSON, for formats that have a place for it."""
    return json.dumps(provenance)


def read_sidecar(table: Path) -> dict[str, Any] | None:
    """The provenance of a table, None if there is none that can be read."""
    try:
        made = json.loads(sidecar_of(table).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(made, dict) or not isinstance(made.get("files"), dict):
        return None
    records = [made.get("inputs"), made.get("summaries", [])]
    return made if all(_is_list_of_records(one) for one in records) else None


def origins(table: Path) -> Iterator[dict[str, Any]]:
    """The provenance of a table, and those of the tables that `va convert` made it from; none if unknown."""
    waiting: list[object] = [read_sidecar(table)]
    while waiting:
        made = waiting.pop(0)
        if isinstance(made, dict) and _is_list_of_records(made.get("inputs")):
            yield made
            waiting += [record.get("provenance") for record in made["inputs"]]


def _is_list_of_records(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def digests_of(files: Mapping[str, Path]) -> dict[str, str]:
    """Name -> SHA-256 of the files that exist."""
    return {name: file_sha256(file) for name, file in files.items() if file.is_file()}
