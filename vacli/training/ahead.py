"""Reading what comes next while the network works."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Ready = TypeVar("Ready")

AHEAD = 2  # items that are read while one is used


def ahead(read: Callable[[Item], Ready], items: Iterable[Item]) -> Iterator[Ready]:
    """`map(read, items)` in order, with threads that stay AHEAD items in front.

    An error of `read` is raised where its result would have come.
    """
    items = iter(items)
    with ThreadPoolExecutor(AHEAD) as pool:
        coming = deque(pool.submit(read, item) for item in islice(items, AHEAD))
        while coming:
            ready = coming.popleft().result()
            coming.extend(pool.submit(read, item) for item in islice(items, 1))
            yield ready
