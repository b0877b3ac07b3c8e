"""Loops compiled by numba, cached on disk if a folder for that is writable."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache, cached_property
from importlib import import_module
from types import ModuleType
from typing import Any

Signature = Callable[[ModuleType], Any]  # from `numba.types` to the types of a function

# Whether numba loads SciPy's BLAS, a quarter of its import time. No loop here multiplies matrices, but code
# that imports this package may: only the command `va` sets this to False.
load_blas = True
_BLAS = "scipy.linalg.cython_blas"


def _numba() -> ModuleType:
    if not load_blas and _BLAS not in sys.modules:
        sys.modules[_BLAS] = None  # type: ignore[assignment]
        try:
            with suppress(ImportError):
                import numba.np.arraymath  # the only import of it
        finally:
            sys.modules.pop(_BLAS)
    import numba

    return numba


@cache
def import_loops(module: str) -> ModuleType | None:
    """A module that needs numba, imported at its first use; None if numba cannot be imported."""
    try:
        return import_module(module)
    except Exception:
        return None


class Compiled:
    """A function that is compiled at its first call, since importing numba takes longer than opening a video.

    With a signature it is compiled for that one only. Compiled functions may call each other.
    """

    def __init__(
        self, function: Callable[..., Any], signature: Signature | None, options: dict[str, Any]
    ) -> None:
        self._function, self._signature, self._options = function, signature, options
        self.__doc__ = function.__doc__

    def __call__(self, *arguments: Any) -> Any:
        """Call the compiled function."""
        return self.machine_code(*arguments)

    @cached_property
    def machine_code(self) -> Callable[..., Any]:
        """The function that numba made."""
        numba = _numba()
        signature = () if self._signature is None else (self._signature(numba.types),)
        options = {"error_model": "numpy"} | self._options
        try:
            return numba.njit(*signature, cache=True, **options)(self._function)
        except RuntimeError:  # numba: "no locator available", on a read-only installation without a home
            return numba.njit(*signature, **options)(self._function)

    @property
    def _numba_type_(self) -> Any:
        """The type that numba needs when another compiled function calls this one."""
        from numba import typeof

        return typeof(self.machine_code)


def compiled(signature: Signature | None = None, **options: Any) -> Callable[[Callable[..., Any]], Compiled]:
    """Decorator: numba's njit with its `options`, at the first call, cached on disk if possible."""
    return lambda function: Compiled(function, signature, options)
