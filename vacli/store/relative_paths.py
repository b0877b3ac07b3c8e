"""Paths of recordings and weights in attributes: relative to the store's folder, absolute for the steps.

So a store has no names of home folders, and is valid where it is moved together with its recordings.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from vacli.files.object_path import ObjectPath, is_url
from vacli.spec import HUB, WEIGHTS_FILES

PATH = "path"  # attribute of a source


def relative_attributes(attributes: Mapping[str, Any], store: Path) -> dict[str, Any]:
    """Attributes as they are stored: absolute paths become relative to the folder `store`.

    A path on another drive (Windows), and a local path in a store that is not, becomes the name of its file.
    URLs are kept.
    """
    return _map_paths(attributes, lambda path: _relative(path, store))


def absolute_attributes(attributes: Mapping[str, Any], store: Path) -> dict[str, Any]:
    """Stored attributes as the steps use them. Absolute paths, of earlier stores, are kept."""
    return _map_paths(attributes, lambda path: _absolute(path, store))


def has_absolute_path(attributes: Mapping[str, Any]) -> bool:
    """Whether stored attributes have an absolute path, as in earlier stores."""
    found: list[str] = []

    def keep(path: str) -> str:
        found.append(path)
        return path

    _map_paths(attributes, keep)
    return any(map(_is_absolute, found))


def _map_paths(attributes: Mapping[str, Any], convert: Callable[[str], str]) -> dict[str, Any]:
    mapped = dict(attributes)
    source, weights = mapped.get("source"), mapped.get(WEIGHTS_FILES)
    if isinstance(source, Mapping) and source.get(PATH):
        mapped["source"] = {**source, PATH: convert(str(source[PATH]))}
    if isinstance(weights, Mapping):
        mapped[WEIGHTS_FILES] = {
            key: str(path) if str(path).startswith(HUB) else convert(str(path))
            for key, path in weights.items()
        }
    return mapped


def _is_absolute(path: str) -> bool:
    return PurePosixPath(path).is_absolute() or PureWindowsPath(path).is_absolute()


def _relative(path: str, store: Path) -> str:
    if is_url(path) or not _is_absolute(path):
        return path
    if isinstance(store, ObjectPath):
        return PureWindowsPath(path).name
    try:
        return Path(os.path.relpath(path, os.path.realpath(store))).as_posix()
    except ValueError:  # another drive
        return PureWindowsPath(path).name


def _absolute(path: str, store: Path) -> str:
    if is_url(path) or _is_absolute(path):
        return path
    if isinstance(store, ObjectPath):  # uploaded with its recordings, or it has only their names
        key = posixpath.normpath(f"{store.key}/{path}")
        is_beside = "/" in path and not key.startswith("..")
        return f"{store.parts[0]}//{store.parts[1]}/{key}" if is_beside else path
    return os.path.normpath(os.path.join(os.path.realpath(store), path))
