"""Progress, messages and tables for the user. The only module that imports rich."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from vacli.cli.open_tasks import OpenTask, OpenTasks, left_text
from vacli.cli.streams import printable, put
from vacli.progress import Advance

if TYPE_CHECKING:
    from rich.console import Console as RichConsole

WRAPPED_FROM = 30  # characters; longer cells are wrapped where the terminal is narrow
GAP, EDGES = 3, 2  # characters between the columns of a ruled table, and at both of its edges
PLAIN_EVERY_S = 10.0  # interval of progress lines in a log file


class Console:
    """Progress and messages on stderr: live bars on a terminal, plain lines elsewhere.

    rows: stdout gets rows at the same time, so that no bar is shown if both are a terminal. bars: False for
    none at all. is_news: returns False for messages that are left out. Control characters are escaped.
    """

    def __init__(
        self,
        rows: bool = False,
        is_news: Callable[[str], bool] = lambda message: True,
        bars: bool = True,
    ) -> None:
        self._is_news = is_news
        self._live = sys.stderr.isatty()
        self._mute = not bars or (rows and self._live and sys.stdout.isatty())
        self._rich: RichConsole | None = None
        self._tasks = OpenTasks()
        self._bars: _Bars | None = None
        self._last_line_s = 0.0

    @contextmanager
    def task(self, title: str, total: float | None, unit: str) -> Iterator[Advance]:
        """A bar with rate and time left; see `progress.Progress`."""
        if self._mute:
            yield lambda amount: None
            return
        if not self._tasks:
            self._last_line_s = time.monotonic()
        task = self._tasks.open(printable(title), total, unit)
        self._show(task)

        def advance(amount: float) -> None:
            task.advance(amount)
            self._show(task)

        try:
            yield advance
        finally:
            self._tasks.close(task)
            self._remove(task)

    def status(self, message: str) -> None:
        """A text beside the innermost task that has items; a line at most every PLAIN_EVERY_S in a log."""
        task = self._tasks.innermost_counted()
        if task is not None:
            task.note = printable(message)
            self._show(task)

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
                self.stderr().print(message, style=style, markup=False, highlight=False, soft_wrap=True)
            else:
                sys.stderr.write(f"{message}\n")  # one call, because threads write too
                sys.stderr.flush()

    def stderr(self) -> RichConsole:
        """The terminal of all messages: what else is drawn there must use it too."""
        if self._rich is None:
            from rich.console import Console as RichConsole

            self._rich = RichConsole(stderr=True)
        return self._rich

    def _show(self, task: OpenTask) -> None:
        if self._live:
            if self._bars is None:
                self._bars = _Bars(self.stderr(), self._tasks)
            self._bars.update(task)
            return
        now_s = time.monotonic()
        if now_s - self._last_line_s >= PLAIN_EVERY_S:
            self._last_line_s = now_s
            self._print(self._tasks.line(task))

    def _remove(self, task: OpenTask) -> None:
        if self._bars is not None:
            self._bars.remove(task)
            if not self._tasks:
                self._bars.stop()
                self._bars = None


class _Bars:
    """Live bars of all open tasks; they disappear when they are done."""

    def __init__(self, console: RichConsole, tasks: OpenTasks) -> None:
        from rich import progress as rp

        columns = (
            rp.TextColumn("{task.description}", markup=False),
            rp.BarColumn(bar_width=None),
            rp.TextColumn("{task.fields[text]}", markup=False),
        )
        self._tasks = tasks
        self._ids: dict[OpenTask, rp.TaskID] = {}
        self._lock = threading.Lock()
        # rich would draw what is written to stdout above the bars, although stdout may be a file.
        self._display = rp.Progress(
            *columns, console=console, transient=True, expand=True, redirect_stdout=sys.stdout.isatty()
        )
        self._display.start()

    def update(self, task: OpenTask) -> None:
        """Show the present state of a task and of those that it is an item of."""
        shown: OpenTask | None = task
        while shown is not None:
            with self._lock:
                if shown not in self._ids:
                    self._ids[shown] = self._display.add_task(_fit(shown.title), total=1.0, text="")
                fraction = self._tasks.fraction(shown)
                texts = (self._tasks.count_text(shown), shown.note, left_text(self._tasks.left_s(shown)))
                self._display.update(
                    self._ids[shown],
                    completed=fraction or 0.0,
                    total=None if shown.total is None else 1.0,
                    text=", ".join(filter(None, texts)),
                )
            shown = shown.parent

    def remove(self, task: OpenTask) -> None:
        """Remove the bar of a task."""
        with self._lock:
            if task in self._ids:
                self._display.remove_task(self._ids.pop(task))

    def stop(self) -> None:
        """Remove all bars."""
        self._display.stop()


def _fit(title: str, width: int = 30) -> str:
    return title if len(title) <= width else title[: width - 3] + "..."


def terminal_width(wide: bool) -> int | None:
    """The width of the terminal on stdout; None for any width: of a pipe or a file, and with --wide."""
    return None if wide or not sys.stdout.isatty() else shutil.get_terminal_size().columns


def print_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], width: int | None, keys: int = 1
) -> None:
    """A table on stdout: ruled on a terminal, tab-separated in a pipe.

    width: of the terminal; a wider table is printed in pages of columns. None for all columns side by side.
    keys: the number of first columns that each page has.
    """
    if not sys.stdout.isatty():
        put("".join("\t".join(row) + "\n" for row in (header, *rows)))
        return
    from rich.cells import cell_len

    from vacli.output.text_tables import column_pages

    texts = [[printable(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(cell_len, column)) for column in zip(*texts, strict=True)]
    narrowed = [widths[0], *(min(one, WRAPPED_FROM) for one in widths[1:])]
    pages = [list(range(len(widths)))] if width is None else column_pages(narrowed, width - EDGES, GAP, keys)
    for page in pages:
        columns = [[row[column] for column in page] for row in texts]
        _print_page(columns, width or sum(widths) + GAP * len(widths))


def _print_page(texts: Sequence[Sequence[str]], width: int) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console as RichConsole
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in texts[0]:
        table.add_column(name, overflow="fold", no_wrap=not table.columns)  # names are not wrapped
    for row in texts[1:]:
        table.add_row(*row)
    RichConsole(width=width).print(table, markup=False)
