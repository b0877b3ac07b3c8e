"""Tables of strings for a terminal, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from tabulate import LATEX_ESCAPE_RULES, tabulate


@dataclass(frozen=True)
class Grid:
    """A table of strings; the first column names the row, `left` are the left-aligned columns."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    left: frozenset[int] = frozenset({0})


def text(grid: Grid) -> str:
    """Aligned columns, with the title above and the notes below."""
    return "\n".join([grid.title, _table(grid, "simple"), *grid.notes]) + "\n"


def markdown(grid: Grid) -> str:
    """A pipe table, with the title above and the notes below."""
    rows = tuple(tuple(cell.replace("|", "\\|") for cell in row) for row in grid.rows)
    table = _table(replace(grid, rows=rows), "pipe")
    return "\n".join([f"**{grid.title}**", "", table, *(f"\n{note}" for note in grid.notes)]) + "\n"


def latex(grid: Grid) -> str:
    """A table environment with booktabs rules; title and notes are the caption."""
    caption = ". ".join(part.rstrip(".") for part in (grid.title, *grid.notes))
    escaped = "".join(LATEX_ESCAPE_RULES.get(letter, letter) for letter in caption)
    head = "\\begin{table}\n\\centering\n" + rf"\caption{{{escaped}.}}"
    return "\n".join([head, _table(grid, "latex_booktabs"), "\\end{table}\n"])


FORMATS: Mapping[str, Callable[[Grid], str]] = {"table": text, "markdown": markdown, "latex": latex}


def _table(grid: Grid, form: str) -> str:
    align = ["left" if column in grid.left else "right" for column in range(len(grid.header))]
    return tabulate(grid.rows, grid.header, tablefmt=form, colalign=align, disable_numparse=True)
