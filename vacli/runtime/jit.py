"""Loops as machine code (numba), kept on disk where there is a place for it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from types import ModuleType
from typing import Any

Signature = Callable[[ModuleType], Any]  # from `numba.types` to the types of a function

# Whether numba is to know SciPy's BLAS, a quarter of its import. No loop here multiplies matrices, but those
# of others who import this package may: only `va`, whose process is its own, does without.
wants_blas = True
_BLAS = "scipy.linalg.cython_blas"


def _numba() -> ModuleType:
    if not wants_blas and _BLAS not in sys.modules:
        sys.modules[_BLAS] = None  # type: ignore[assignment] - an import that fails, as numba expects it may
        try:
            with suppress(ImportError):
                import numba.np.arraymath  # the one place that asks for it
        finally:
            sys.modules.pop(_BLAS)
    import numba

    return numba


class Compiled:
    """A function that is compiled when it is first called: numba takes longer to import than a video to open.

    With a signature it is compiled for that one alone. Compiled functions may call each other.
    """

    def __init__(self, function: Callable, signature: Signature | None, options: dict[str, Any]) -> None:
        self._function, self._signature, self._options = function, signature, options
        self.__doc__ = function.__doc__

    def __call__(self, *arguments: Any) -> Any:
        return self.machine_code(*arguments)

    @cached_property
    def machine_code(self) -> Callable:
        """numba's own function."""
        numba = _numba()
        signature = () if self._signature is None else (self._signature(numba.types),)
        options = {"error_model": "numpy"} | self._options
        try:
            return numba.njit(*signature, cache=True, **options)(self._function)
        except RuntimeError:  # numba: "no locator available", on a read-only installation without a home
            return numba.njit(*signature, **options)(self._function)

    @property
    def _numba_type_(self) -> Any:
        """Where numba looks when another compiled function calls this one."""
        from numba import typeof

        return typeof(self.machine_code)


def compiled(signature: Signature | None = None, **options: Any) -> Callable[[Callable], Compiled]:
    """njit with numba's `options`, at the first call, cached on disk where there is a folder for that."""
    return lambda function: Compiled(function, signature, options)
