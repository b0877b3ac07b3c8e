"""What the user sees of the epochs: a table for a single model, one changing line for a fold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vacli.progress import Progress
from vacli.training.history import History, Row
from vacli.training.temporal.history import HEADER, SCORES, line


@contextmanager
def table_of_epochs(progress: Progress) -> Iterator[Callable[[History], None]]:
    """A function that reports the last epoch as a line of a table."""
    progress.info(HEADER)
    yield lambda history: progress.info(line(history, history.rows[-1]))


@contextmanager
def line_of_fold(
    progress: Progress, title: str, epochs: int, complete: int
) -> Iterator[Callable[[History], None]]:
    """A function that reports the last epoch as the state of a task of `epochs`.

    complete: the epochs of an interrupted training that is resumed.
    """
    with progress.task(title, epochs, "epochs") as advance:
        advance(complete)

        def report(history: History) -> None:
            row = history.rows[-1]
            progress.status(f"epoch {row.epoch} of {epochs}: {scores_of(row)}")
            advance(1)

        yield report


def scores_of(row: Row) -> str:
    """The scores of an epoch, such as "valence 0.412, arousal 0.523, mean 0.468"."""
    return ", ".join(f"{name} {row.scores[name]:.3f}" for name in SCORES)
