"""Sections of a model card: the small part of Markdown that the cards of `va` use."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup, escape

HEADING = re.compile(r"^## +(.+?)\s*$", re.MULTILINE)
RULE = re.compile(r"^[|\-: ]+$")


@dataclass(frozen=True)
class Block:
    """A paragraph (one line), a list (a line for each item) or a table (a row of cells for each line)."""

    kind: Literal["paragraph", "list", "table"]
    lines: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def section(card: str, title: str) -> list[Block]:
    """The blocks of the section of that title, empty if the card has none."""
    parts = HEADING.split(card)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    return list(_blocks(sections.get(title, "")))


def inline(text: str) -> Markup:
    """Text as HTML: `code` and **bold** are marked up, everything else is escaped."""
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text)))
    return Markup(re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", marked))


def _blocks(text: str) -> Iterator[Block]:
    for chunk in re.split(r"\n\s*\n", text.strip()):
        lines = chunk.splitlines()
        if chunk.startswith("|"):
            yield Block("table", rows=tuple(_cells(line) for line in lines if not RULE.match(line)))
        elif chunk.startswith("- "):
            yield Block("list", tuple(_items(lines)))
        elif chunk:
            yield Block("paragraph", (_joined(lines),))


def _items(lines: Sequence[str]) -> Iterator[str]:
    """The items of a list, each as one line."""
    starts = [i for i, line in enumerate(lines) if line.startswith("- ")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield _joined([lines[start][2:], *lines[start + 1 : end]])


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in line.strip().strip("|").split("|"))


def _joined(lines: Sequence[str]) -> str:
    return " ".join(line.strip() for line in lines)
