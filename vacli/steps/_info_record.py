"""What `va info` returns for one input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Missing:
    """Something that an input lacks, and the command that adds it."""

    description: str
    command: str


@dataclass(frozen=True)
class Info:
    """A description of one input.

    kind: such as "store". values: JSON values; the end of a name is its unit (`_s`, `_bytes`, `_hz`). tables:
    name -> rows of JSON values with equal keys. problems: damaged parts and warnings, a sentence each.
    """

    kind: str
    path: Path
    values: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    missing: Sequence[Missing] = ()
    problems: Sequence[str] = ()

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "kind": self.kind,
            "path": str(self.path),
            **self.values,
            **{name: [dict(row) for row in rows] for name, rows in self.tables.items()},
            "missing": [{"what": m.description, "command": m.command} for m in self.missing],
            "problems": list(self.problems),
        }


def named(names: Sequence[str], most: int = 3) -> str:
    """The first names of a list and the number of the others."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
