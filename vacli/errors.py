"""The exceptions that `va` raises.

    VaError                 exit 1
    |- InputError           a file or folder that cannot be read in the expected format
    |- StoreError           a feature store that is missing, foreign, incomplete or of another version
    |- WeightsError         weights that are missing, corrupt or of another shape
    |- LabelError           an annotation that cannot be understood
    |- RunError             a run directory that cannot be used
    |- OutputError          a result that cannot be written; ends a run over many inputs
    |  `- ReaderGone        exit 0: the reader of the results has exited
    |- PackageMissing       an optional package that is not installed
    `- UsageError           exit 2: an invalid option, preset or key

A message names what happened and where; `hint` names what to do next. Only `cli` prints them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

DIED_HINT = "it may be damaged, or too large for the memory; the other inputs are not affected"


class VaError(Exception):
    """Base class of all errors that a user can resolve."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args, self.__dict__)

    def one_line(self) -> str:
        """The message and its hint as a single line."""
        text = f"{self}; {self.hint}" if self.hint else str(self)
        return " ".join(text.split())


def _restored(kind: type[VaError], args: tuple[Any, ...], attributes: dict[str, Any]) -> VaError:
    """An error from its pickle, without its initialiser, which may have keywords."""
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error


class InputError(VaError):
    """A file or folder that cannot be read in the expected format."""


class StoreError(VaError):
    """A feature store that is missing, foreign, incomplete or of another version."""


class WeightsError(VaError):
    """Weights that are missing, corrupt or of another shape."""


class LabelError(VaError):
    """An annotation that cannot be understood."""


class RunError(VaError):
    """A run directory that cannot be used."""


class OutputError(VaError):
    """A result that cannot be written; it ends a run over many inputs."""


class ReaderGone(OutputError):
    """The reader of the results, such as `head`, has exited, which ends the run without a failure."""

    exit_code = 0


class PackageMissing(VaError):
    """An optional package that this step needs is not installed; `package` is its import name."""

    def __init__(self, message: str, *, package: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.package = package


class UsageError(VaError):
    """An invalid option, argument, preset or key."""

    exit_code = 2


def nearest(name: str, known: Iterable[str]) -> str:
    """The hint for an unknown name: the nearest known name, or all of them."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else "known: " + ", ".join(known)
