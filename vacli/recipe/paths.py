"""The dotted paths of a recipe's values, such as `training.optim.lr`, and the values that they may have."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Any, Literal, get_args, get_origin

from vacli.recipe.schema import Recipe, Stream
from vacli.spec import AUDIO, VISUAL

DESCRIPTIONS = ("name", "summary", "source")
ITEMS = (VISUAL, AUDIO)  # names of the items of a list, which are streams


def value_choices() -> dict[str, tuple[str, ...]]:
    """Path of each value of a recipe -> the texts that it may have; () for numbers, lists and free texts."""
    found: dict[str, tuple[str, ...]] = {}
    for path, choices in _values(Recipe, ""):
        found[path] = (*found.get(path, ()), *(c for c in choices if c not in found.get(path, ())))
    return {path: choices for path, choices in found.items() if path not in DESCRIPTIONS}


def _values(hint: Any, path: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    if is_dataclass(hint):
        for name, inner in typing.get_type_hints(hint).items():
            if not (hint is Stream and name == "name"):
                yield from _values(inner, f"{path}.{name}" if path else name)
    elif get_origin(hint) is tuple and is_dataclass(get_args(hint)[0]):
        for name in ITEMS:
            yield from _values(get_args(hint)[0], f"{path}.{name}")
    elif get_origin(hint) in (typing.Union, types.UnionType):
        for option in get_args(hint):
            yield from [(path, ("none",))] if option is type(None) else _values(option, path)
    elif get_origin(hint) is Literal:
        yield path, tuple(map(str, get_args(hint)))
    else:
        yield path, ("true", "false") if hint is bool else ()
