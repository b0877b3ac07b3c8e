"""`va doctor`: check the installation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from vacli.steps._doctor_checks import CHECKS
from vacli.steps._doctor_finding import NOTE, OK, PROBLEM, Finding, one_line

__all__ = ["NOTE", "OK", "PROBLEM", "CheckResult", "run"]

REINSTALL = "install `va` again in a new environment, or upgrade the package that the message names"


@dataclass(frozen=True)
class CheckResult:
    """The result of one check.

    status: OK, NOTE or PROBLEM. advice: what to do next, "" for nothing. is_needed: `va predict` does not
    work without it.
    """

    name: str
    status: str
    detail: str
    advice: str
    is_needed: bool


def run() -> Iterator[CheckResult]:
    """Run all checks, one after another. A check that raises an error is a problem; the others are run."""
    for name, check, is_needed in CHECKS:
        found = _attempt(check)
        yield CheckResult(name, found.status, found.detail, found.advice, is_needed)


def _attempt(check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except Exception as error:
        return Finding(PROBLEM, f"{type(error).__name__}: {one_line(error)}", REINSTALL)
