"""The result of a check of `va doctor`."""

from __future__ import annotations

from dataclasses import dataclass

OK, NOTE, PROBLEM = "ok", "note", "problem"


@dataclass(frozen=True)
class Finding:
    """The result of a check: a status, what was found, and what to do next."""

    status: str
    detail: str
    advice: str = ""


def one_line(error: BaseException) -> str:
    """The text of an error, or its kind, in one line."""
    return " ".join(str(error).split()) or type(error).__name__
