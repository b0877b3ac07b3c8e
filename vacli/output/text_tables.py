"""Tables of texts for a terminal, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Grid:
    """A table of strings; the first column names the row, `left` are the left-aligned columns."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    left: frozenset[int] = frozenset({0})


def text(grid: Grid) -> str:
    """Aligned columns."""
    widths = [max(len(row[c]) for row in (grid.header, *grid.rows)) for c in range(len(grid.header))]
    lines = [
        "  ".join(
            cell.ljust(w) if c in grid.left else cell.rjust(w)
            for c, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (grid.header, *grid.rows)
    ]
    rule = "-" * max(map(len, lines))
    return "\n".join([grid.title, lines[0], rule, *lines[1:], *grid.notes]) + "\n"


def markdown(grid: Grid) -> str:
    """A pipe table."""
    rule = [":--" if c in grid.left else "--:" for c in range(len(grid.header))]
    rows = [
        "| " + " | ".join(_escaped(cell, {"|": "\\|"}) for cell in row) + " |"
        for row in (grid.header, rule, *grid.rows)
    ]
    return "\n".join([f"**{grid.title}**", "", *rows, *(f"\n{note}" for note in grid.notes)]) + "\n"


LATEX = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$"} | {
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def latex(grid: Grid) -> str:
    """A table environment with booktabs rules."""
    columns = "".join("l" if c in grid.left else "r" for c in range(len(grid.header)))
    lines = [" & ".join(_escaped(c, LATEX) for c in row) + r" \\" for row in (grid.header, *grid.rows)]
    caption = ". ".join(part.rstrip(".") for part in (grid.title, *grid.notes))
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_escaped(caption, LATEX)}.}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


FORMATS: Mapping[str, Callable[[Grid], str]] = {"table": text, "markdown": markdown, "latex": latex}


def _escaped(cell: str, special: Mapping[str, str]) -> str:
    return "".join(special.get(letter, letter) for letter in cell)
