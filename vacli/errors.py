"""Everything that `va` raises on purpose.

    VaError                 exit 1
    |- InputError           a file or folder that cannot be read as what it should be
    |- StoreError           a feature store that is missing, foreign, incomplete or of another version
    |- WeightsError         weights that are missing, corrupt or of another shape
    |- LabelError           an annotation that cannot be understood
    |- RunError             a run directory that cannot be used
    |- OutputError          a result that cannot be written where it should go; ends a run over many inputs
    |  `- ReaderGone        exit 0: the reader of the results has had enough
    |- PackageMissing       an optional package that this step needs
    `- UsageError           exit 2: a request that makes no sense, an unknown preset or key

A message says what happened and where; `hint` says what to do next. Only `cli` prints them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class VaError(Exception):
    """Base of all errors that a user can do something about."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint

    def one_line(self) -> str:
        """The message and its hint as a single line."""
        text = f"{self}; {self.hint}" if self.hint else str(self)
        return " ".join(text.split())


class InputError(VaError):
    """A file or folder that cannot be read as what it should be."""


class StoreError(VaError):
    """A feature store that is missing, foreign, incomplete or of another version."""


class WeightsError(VaError):
    """Weights that are missing, corrupt or of another shape."""


class LabelError(VaError):
    """An annotation that cannot be understood."""


class RunError(VaError):
    """A run directory that cannot be used."""


class OutputError(VaError):
    """A result that cannot be written where it should go; it ends a run over many inputs."""


class ReaderGone(OutputError):
    """The reader of the results, such as `head`, has had enough: no failure, but the end of the run."""

    exit_code = 0


class PackageMissing(VaError):
    """An optional package that this step needs is not installed; `package` is its import name."""

    def __init__(self, message: str, *, package: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.package = package


class UsageError(VaError):
    """A request that makes no sense as it was given."""

    exit_code = 2


def nearest(name: str, known: Iterable[str]) -> str:
    """The tail of a message about an unknown name: the nearest known one, or all of them."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else "known: " + ", ".join(known)
