"""The tasks of a step: one for each input, or several for an input that is split into pieces.

The task of a long input returns a `Split`. Its pieces are then the next tasks, and the join is the last one.
The input has one status: that of the join, or of the first piece that failed.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from vacli.runtime.executor import Completed, Message, Task
from vacli.steps._journal import FAILED, InputStatus

Item = TypeVar("Item")


@dataclass(frozen=True)
class Split(Generic[Item]):
    """The result of a task whose input is processed in pieces, in place of a status.

    pieces: items of the job, in any order. join: the item that completes the input after all pieces.
    """

    pieces: Sequence[Item]
    join: Item


@dataclass(frozen=True)
class Entry(Generic[Item]):
    """An item with its name and its key, which is the same in every process that runs the same command."""

    key: str
    name: str
    item: Item


class TaskQueue(Generic[Item]):
    """Numbers the tasks of inputs, and holds the pieces that have not begun; they precede further inputs."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._open: dict[int, tuple[int, Entry[Item]]] = {}  # task -> number of its input
        self._split: dict[int, _SplitInput[Item]] = {}  # by the number of the input
        self._waiting: deque[tuple[int, Entry[Item]]] = deque()

    def begin(self, number: int, entry: Entry[Item], exclusive: bool = False) -> Task[Entry[Item]]:
        """The task of input `number`."""
        task = Task(next(self._numbers), entry, exclusive)
        self._open[task.number] = number, entry
        return task

    def pieces(self) -> Iterator[Task[Entry[Item]]]:
        """The pieces and joins that can begin now, including those that are added meanwhile."""
        while self._waiting:
            yield self.begin(*self._waiting.popleft())

    def rest(self) -> Iterator[Task[Entry[Item]] | None]:
        """The tasks that follow the last input; None while there is none until another one has completed."""
        while self._open or self._waiting:
            yield self.begin(*self._waiting.popleft()) if self._waiting else None

    def end(self, completed: Completed[InputStatus | Split[Item]]) -> Completed[InputStatus] | None:
        """Take the result of a task; the result of its input if that has ended with it."""
        number, entry = self._open.pop(completed.number)
        result = completed.result
        if isinstance(result, Split):
            self._split[number] = _SplitInput(replace(entry, item=result.join))
            self._waiting.extend((number, replace(entry, item=piece)) for piece in result.pieces)
        elif number not in self._split:
            return Completed(number, result, completed.messages, completed.values, completed.died)
        return self._end_of_split(number, completed)

    def _end_of_split(
        self, number: int, completed: Completed[InputStatus | Split[Item]]
    ) -> Completed[InputStatus] | None:
        split = self._split[number]
        split.messages += completed.messages
        split.values += completed.values
        status = None if isinstance(completed.result, Split) else completed.result
        if completed.died or (status is not None and status.kind == FAILED):
            split.failure = split.failure or completed
            split.join = None
            self._waiting = deque(one for one in self._waiting if one[0] != number)
        if any(one[0] == number for one in itertools.chain(self._open.values(), self._waiting)):
            return None
        if split.join is not None:
            self._waiting.appendleft((number, split.join))
            split.join = None
            return None
        del self._split[number]
        last = split.failure or completed
        assert not isinstance(last.result, Split)  # an input with a Split has a join
        return Completed(number, last.result, split.messages, split.values, last.died)


@dataclass
class _SplitInput(Generic[Item]):
    """An input whose pieces are in progress. join: None if it has begun or a piece has failed."""

    join: Entry[Item] | None
    messages: tuple[Message, ...] = ()
    values: tuple[object, ...] = ()
    failure: Completed[Any] | None = None
