"""Progress, messages and tables for the user. The only module that imports rich."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from vacli.cli.streams import printable, put
from vacli.progress import Advance

if TYPE_CHECKING:
    from rich.console import Console as RichConsole

PLAIN_EVERY_S = 10.0  # interval of progress lines in a log file


class Console:
    """Progress and messages on stderr: a live bar on a terminal, plain lines elsewhere.

    rows: stdout gets rows at the same time, so that no bar is shown if both are a terminal. is_news: returns
    False for messages that are left out. Control characters are escaped.
    """

    def __init__(self, rows: bool = False, is_news: Callable[[str], bool] = lambda message: True) -> None:
        self._is_news = is_news
        self._live = sys.stderr.isatty()
        self._mute = rows and self._live and sys.stdout.isatty()
        self._rich: RichConsole | None = None

    @contextmanager
    def task(self, title: str, total: float | None, unit: str) -> Iterator[Advance]:
        """A bar with rate and time left; see `progress.Progress`."""
        if self._mute:
            yield lambda amount: None
            return
        title = printable(title)
        bar = self._bar(title, total, unit) if self._live else self._lines(title, total, unit)
        with bar as advance:
            yield advance

    def info(self, message: str) -> None:
        """A line on stderr."""
        if self._is_news(message):
            self._print(message)

    def warn(self, message: str) -> None:
        """A line on stderr that stands out on a terminal."""
        if self._is_news(message):
            self._print(message, "yellow")

    def _print(self, message: str, style: str = "") -> None:
        message = printable(message)
        with suppress(OSError):  # stderr is closed; the work continues
            if self._live:
                self._stderr().print(message, style=style, markup=False, highlight=False, soft_wrap=True)
            else:
                sys.stderr.write(f"{message}\n")  # one call, because threads write too
                sys.stderr.flush()

    def _stderr(self) -> RichConsole:
        if self._rich is None:
            from rich.console import Console as RichConsole

            self._rich = RichConsole(stderr=True)
        return self._rich

    @contextmanager
    def _bar(self, title: str, total: float | None, unit: str) -> Iterator[Advance]:
        from rich import progress as rp

        columns = (
            rp.TextColumn("{task.description}", markup=False),
            rp.BarColumn(bar_width=None),
            rp.TextColumn("{task.fields[rate]}", markup=False),
            rp.TimeRemainingColumn(compact=True),
        )
        with rp.Progress(*columns, console=self._stderr(), transient=True, expand=True) as bar:
            task = bar.add_task(_fit(title), total=total, rate="")

            def advance(amount: float) -> None:
                bar.advance(task, amount)
                speed = bar.tasks[0].speed
                bar.update(task, rate=f"{speed:.3g} {unit}/s" if speed else "")

            yield advance

    @contextmanager
    def _lines(self, title: str, total: float | None, unit: str) -> Iterator[Advance]:
        start = last_s = time.monotonic()
        count = 0.0

        def advance(amount: float) -> None:
            nonlocal count, last_s
            count += amount
            now = time.monotonic()
            if now - last_s >= PLAIN_EVERY_S:
                last_s = now
                of = f" of {total:g}" if total else ""
                self._print(f"{title}: {count:g}{of} {unit}, {count / (now - start):.3g} {unit}/s")

        yield advance


def _fit(title: str, width: int = 30) -> str:
    return title if len(title) <= width else title[: width - 3] + "..."


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on stdout: ruled on a terminal, tab-separated in a pipe."""
    if not sys.stdout.isatty():
        put("".join("\t".join(row) + "\n" for row in (header, *rows)))
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console as RichConsole
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in header:
        table.add_column(name, overflow="fold", no_wrap=not table.columns)  # names are not wrapped
    for row in rows:
        table.add_row(*map(printable, row))
    RichConsole().print(table, markup=False)
