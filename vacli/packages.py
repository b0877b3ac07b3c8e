"""Packages that not every installation has: which extra brings each, and how its absence is said."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

from vacli.errors import PackageMissing

EXTRAS: dict[str, str] = {
    "torch": "train",
    "torchvision": "train",
    "timm": "train",
    "huggingface_hub": "train",
    "tensorboard": "train",
    "mamba_ssm": "mamba",
    "decord": "decord",
}


def installed(package: str) -> bool:
    """Whether a package can be found; it is not imported."""
    return importlib.util.find_spec(package) is not None


@contextmanager
def needed_by(what: str) -> Iterator[None]:
    """Turn a failed import of an optional package into PackageMissing, which says what needs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if told := missing(error, what):
            raise told from error
        raise


def missing(error: ModuleNotFoundError, what: str) -> PackageMissing | None:
    """The error to show for a failed import, None where no extra brings the module."""
    package = (error.name or "").partition(".")[0]
    if package not in EXTRAS:
        return None
    return PackageMissing(f"{what} needs {package}, which is not installed", hint=install_hint(package))


def install_hint(package: str) -> str:
    """How to install an optional package."""
    return f"`pip install 'vacli[{EXTRAS[package]}]'`"
