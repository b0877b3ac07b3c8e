"""Tables of strings for a terminal, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from textwrap import fill

from tabulate import LATEX_ESCAPE_RULES, tabulate

GAP = 2  # characters between columns
HEADER_PADDING = 2  # of tabulate: characters that a column is wider than its name


@dataclass(frozen=True)
class Grid:
    """A table of strings; the first column names the row, `left` are the left-aligned columns."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    left: frozenset[int] = frozenset({0})


def text(grid: Grid, width: int | None = None) -> str:
    """Aligned columns, with the title above and the notes below.

    width: characters of a line; a wider table is split into pages of columns, each with the first column.
    """
    tables = "\n\n".join(_table(page, "simple") for page in _pages(grid, width))
    lines = [fill(line, width) if width else line for line in (grid.title, *grid.notes)]
    return "\n".join([lines[0], tables, *lines[1:]]) + "\n"


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


def column_pages(widths: Sequence[int], total: int, gap: int = GAP, keys: int = 1) -> list[list[int]]:
    """Numbers of the columns on each page, so that a page is not wider than `total` characters.

    widths: of the columns. Each page begins with the first `keys` columns, or with the first one only where
    these take more than half of the page. A page has one more column at least.
    """
    first = list(range(keys))
    if sum(widths[c] + gap for c in first) > total / 2:
        first = [0]
    pages: list[list[int]] = [first.copy()]
    for column, width in enumerate(widths[len(first) :], len(first)):
        used = sum(widths[c] + gap for c in pages[-1])
        if used + width > total and len(pages[-1]) > len(first):
            pages.append(first.copy())
        pages[-1].append(column)
    return pages


def render(grid: Grid, form: str, width: int | None = None) -> str:
    """A table in one of FORMATS. width: see `text`; the other formats do not depend on it."""
    return text(grid, width) if form == "table" else FORMATS[form](grid)


FORMATS: Mapping[str, Callable[[Grid], str]] = {"table": text, "markdown": markdown, "latex": latex}


def _pages(grid: Grid, width: int | None) -> list[Grid]:
    if width is None or not grid.header:
        return [grid]
    columns = zip(grid.header, *grid.rows, strict=True)
    widths = [max(len(name) + HEADER_PADDING, *map(len, cells), 0) for name, *cells in columns]
    return [
        replace(
            grid,
            header=tuple(grid.header[c] for c in page),
            rows=tuple(tuple(row[c] for c in page) for row in grid.rows),
            left=frozenset(place for place, c in enumerate(page) if c in grid.left),
        )
        for page in column_pages(widths, width)
    ]


def _table(grid: Grid, form: str) -> str:
    align = ["left" if column in grid.left else "right" for column in range(len(grid.header))]
    return tabulate(grid.rows, grid.header, tablefmt=form, colalign=align, disable_numparse=True)
