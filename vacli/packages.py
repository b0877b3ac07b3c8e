"""Optional packages: the extra that installs each, and the error if it is missing."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

from vacli.errors import PackageMissing

EXTRAS: dict[str, str] = {
    "torch": "train",
    "torchvision": "train",
    "timm": "train",
    "onnx": "train",
    "huggingface_hub": "train",
    "tensorboard": "train",
    "transformers": "speech",
    "mamba_ssm": "mamba",
    "decord": "decord",
    "pillow_heif": "heic",
    "pyarrow": "parquet",
    "openpyxl": "xlsx",
    "dask": "cluster",
    "distributed": "cluster",
    "obstore": "objects",
    "pylsl": "lsl",
}


def installed(package: str) -> bool:
    """Whether a package can be found; it is not imported."""
    return importlib.util.find_spec(package) is not None


def require(package: str, user: str, otherwise: str = "") -> None:
    """Raise PackageMissing if an optional package is not installed; `otherwise` names an alternative."""
    if not installed(package):
        raise _absent(package, user, otherwise)


@contextmanager
def needed_by(user: str) -> Iterator[None]:
    """Turn failed imports of optional packages into PackageMissing, which names `user`.

    A package that is installed may fail too, such as one that was built for another version of NumPy.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        raise _absent(package, user) from error
    except ImportError as error:
        if (error.name or "").partition(".")[0] == __package__:
            raise
        line = " ".join(str(error).split())
        raise PackageMissing(
            f"{user} needs a package that cannot be imported: {line}",
            package=error.name or "",
            hint="upgrade the packages that the message names",
        ) from error


def _absent(package: str, user: str, otherwise: str = "") -> PackageMissing:
    hint = f"pip install 'vacli[{EXTRAS[package]}]'"
    return PackageMissing(
        f"{user} needs {package}, which is not installed",
        package=package,
        hint=f"{hint}, or {otherwise}" if otherwise else hint,
    )
