"""Loops as machine code (numba), kept on disk where there is a place for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(*signature: Any, **options: Any) -> Callable[[Callable], Callable]:
    """njit, cached on disk where there is a folder for that; with a signature it compiles at once."""
    options = {"error_model": "numpy"} | options

    def decorate(function: Callable) -> Callable:
        try:
            return njit(*signature, cache=True, **options)(function)
        except RuntimeError:  # numba: "no locator available", on a read-only installation without a home
            return njit(*signature, **options)(function)

    return decorate
