"""Waiting for the writes of Zarr that outlive an error."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def all_ended() -> Iterator[None]:
    """Wait for all writes of Zarr before an error is passed on.

    Zarr makes several writes at a time and raises the error of the first while the others go on: these would
    make a removed folder again.
    """
    try:
        yield
    except BaseException:
        if "zarr" in sys.modules:
            _wait()
        raise


def _wait() -> None:
    from zarr.core.sync import sync

    async def wait() -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)

    sync(wait())
