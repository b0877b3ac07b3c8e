"""Which recordings the cells of a table of intervals or groups name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from vacli.errors import LabelError


def is_same_recording(cell: str, name: str) -> bool:
    """Whether a cell names a recording: the end of its path, from its file name on, perhaps without ending.

    The id of a stored video may be named by its file.
    """
    wanted, path = Path(cell), Path(name)
    if cell == name or wanted.stem == name:
        return True
    n_parts = len(wanted.parts)
    ends = (path.parts[-n_parts:], path.with_suffix("").parts[-n_parts:]) if path.name else ()
    return bool(n_parts) and wanted.parts in ends


def recordings_by_cell(cells: Iterable[str], names: Iterable[str], sheet: Path) -> dict[str, str]:
    """Cell -> the recording of `names` that it names, without the cells that name none.

    A cell that is the whole name of a recording names only this one. Raises LabelError for a cell that names
    several.
    """
    known = list(dict.fromkeys(names))
    found = {}
    for cell in dict.fromkeys(cells):
        same = [cell] if cell in known else [name for name in known if is_same_recording(cell, name)]
        if len(same) > 1:
            more = f" and {len(same) - 2} more" if len(same) > 2 else ""
            raise LabelError(
                f"{sheet}: {cell} names {same[0]} and {same[1]}{more}",
                hint=f"write more of the path, such as {_shortest(same)}",
            )
        if same:
            found[cell] = same[0]
    return found


def _shortest(names: Sequence[str]) -> str:
    """The shortest end of the first path that no other one has."""
    parts = Path(names[0]).parts
    for count in range(1, len(parts)):
        end = str(Path(*parts[-count:]))
        if not any(is_same_recording(end, other) for other in names[1:]):
            return end
    return names[0]
