"""Recipes to and from JSON and TOML, and single values set by a dotted path.

Every error names the path of the invalid value and, for an unknown key, the nearest known key.
"""

from __future__ import annotations

import json
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

from vacli.errors import UsageError, nearest
from vacli.recipe.migration import VERSION, migrate, new_name
from vacli.recipe.schema import Recipe

T = TypeVar("T")
NONE = "none"  # None in TOML, which has no null


def to_dict(record: Any) -> dict[str, object]:
    """A record as JSON values: nested dicts, lists, numbers, strings."""
    return json.loads(json.dumps(asdict(record)))


def to_json(recipe: Recipe) -> str:
    """The text of recipe.json."""
    return json.dumps({"version": VERSION, **to_dict(recipe)}, indent=2) + "\n"


def to_toml(recipe: Recipe) -> str:
    """A recipe file with every value, so that it gives the same recipe over any preset; None is "none"."""
    return "\n".join(_toml_lines(to_dict(recipe), "")) + "\n"


def differences(recipe: Recipe, other: Recipe) -> tuple[str, ...]:
    """The values of a recipe that another one does not have, as `path=value`; descriptions are left out."""
    names = {"name", "summary", "source"}
    before = dict(_values(to_dict(other)))
    return tuple(
        f"{path}={value}"
        for path, value in _values(to_dict(recipe))
        if path not in names and before.get(path, ...) != value
    )


def _values(value: Any, path: str = "") -> Iterator[tuple[str, object]]:
    """All values with their paths; items of a list that have names are found by them."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _values(inner, f"{path}.{key}" if path else key)
    elif _is_table(value):
        for item in value:
            yield from _values(item, f"{path}.{item['name']}")
    else:
        yield path, NONE if value is None else value


def _toml_lines(table: Mapping[str, Any], path: str) -> Iterator[str]:
    """Values first, then tables under their headers, as TOML requires."""
    tables = {key: value for key, value in table.items() if _is_table(value)}
    for key, value in table.items():
        if key not in tables:
            yield f"{key} = {json.dumps(NONE if value is None else value, ensure_ascii=False)}"
    for key, value in tables.items():
        header = f"{path}{key}"
        for item in [value] if isinstance(value, Mapping) else value:
            yield f"\n[{header}]" if isinstance(value, Mapping) else f"\n[[{header}]]"
            yield from _toml_lines(item, f"{header}.")


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and any(map(_is_table, value)))


def from_json(values: Any) -> Recipe:
    """The recipe of the values of a recipe.json of any version; raises UsageError like `from_dict`."""
    return from_dict(Recipe, migrate(values) if isinstance(values, Mapping) else values)


def from_dict(kind: type[T], values: Mapping[str, object], path: str = "") -> T:
    """Build a record from JSON values; raises UsageError with the path of an invalid value."""
    if not isinstance(values, Mapping):
        raise UsageError(f"recipe: {path or 'the file'} should be a table of {kind.__name__}")
    hints = typing.get_type_hints(kind)
    known = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            where = f"{path}.{key}" if path else key
            raise UsageError(f"recipe: unknown key {where}", hint=_hint(path, key, known))
    made = {k: _convert(hints[k], v, f"{path}.{k}" if path else k) for k, v in values.items()}
    try:
        return kind(**made)
    except TypeError as error:
        raise UsageError(f"recipe: {path or kind.__name__}: {error}") from None


def _hint(path: str, key: str, known: Sequence[str]) -> str:
    if (renamed := new_name(path, key)) in known:
        return f"it is called {renamed} now"
    elsewhere = [name for name in dict.fromkeys(_paths(Recipe)) if name.split(".")[-1] == key]
    return f"did you mean {' or '.join(map(repr, elsewhere))}?" if elsewhere else nearest(key, known)


def _paths(hint: object, path: str = "") -> Iterator[str]:
    """The paths of all values below a type; NAME stands for an item of a list."""
    if is_dataclass(hint):
        for name, inner in typing.get_type_hints(hint).items():
            where = f"{path}.{name}" if path else name
            yield where
            yield from _paths(inner, where)
    elif get_origin(hint) is tuple:
        yield from _paths(get_args(hint)[0], f"{path}.NAME")
    elif get_origin(hint) in (typing.Union, types.UnionType):
        for option in get_args(hint):
            yield from _paths(option, path)


def read_toml(path: Path) -> dict[str, object]:
    """The tables of a recipe file, unchecked."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"recipe {path}: {error}", hint="it must be a TOML file") from None


def overlay(recipe: Recipe, changes: Mapping[str, object]) -> Recipe:
    """Apply nested changes to a recipe; a changed `kind` starts from the defaults of the new kind."""
    return from_dict(Recipe, _merge(to_dict(recipe), changes))


def set_values(recipe: Recipe, assignments: Sequence[str]) -> Recipe:
    """Apply `path=value` assignments in order; values are TOML, bare words are strings, `none` is None.

    Where the recipe has a value "none", such as the kind of a temporal module, `none` is that value.
    """
    for text in assignments:
        path, sign, value = text.partition("=")
        if not sign:
            raise UsageError(f"--set {text}: no '='", hint="write --set training.epochs=20")
        changes: Any = _toml_value(value.strip())
        for key in reversed(path.strip().split(".")):
            changes = {key: changes}
        recipe = overlay(recipe, changes)
    return recipe


def _toml_value(text: str) -> object:
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return NONE if text in ("None", "null") else text


def _merge(base: object, changes: object) -> Any:
    if isinstance(base, list) and isinstance(changes, Mapping):
        return _merge_items(base, changes)
    if not (isinstance(base, Mapping) and isinstance(changes, Mapping)):
        return changes
    if "kind" in changes and changes["kind"] != base.get("kind"):
        return dict(changes)
    merged = dict(base)
    for key, value in changes.items():
        merged[key] = _merge(merged.get(key), value)
    return merged


def _merge_items(base: list[object], changes: Mapping[str, object]) -> list[object]:
    """Change items of a list by number or, where they have names, by name (`streams.audio.dim`)."""
    merged = list(base)
    for key, value in changes.items():
        named = [i for i, item in enumerate(base) if isinstance(item, Mapping) and item.get("name") == key]
        index = int(key) if key.isdigit() and int(key) < len(base) else next(iter(named), None)
        if index is None:
            names = [str(item.get("name", i)) for i, item in enumerate(base) if isinstance(item, Mapping)]
            raise UsageError(f"recipe: no item {key!r}", hint=nearest(key, names))
        merged[index] = _merge(merged[index], value)
    return merged


def _convert(hint: Any, value: object, path: str) -> object:
    origin = get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _convert_union(get_args(hint), value, path)
    if origin is Literal:
        if value not in get_args(hint):
            raise UsageError(
                f"recipe: {path} is {value!r}", hint=nearest(str(value), map(str, get_args(hint)))
            )
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise UsageError(f"recipe: {path} should be a list, not {value!r}")
        return tuple(_convert(get_args(hint)[0], v, f"{path}.{i}") for i, v in enumerate(value))
    if is_dataclass(hint):
        return from_dict(hint, value, path)  # type: ignore[arg-type]
    return _convert_plain(hint, value, path)


def _convert_union(options: tuple[object, ...], value: object, path: str) -> object:
    if value in (None, NONE) and type(None) in options:
        return None
    records = [o for o in options if is_dataclass(o)]
    plain = [o for o in options if o is not type(None) and not is_dataclass(o)]
    if plain:
        return _convert(plain[0], value, path)
    if len(records) == 1:
        return _convert(records[0], value, path)
    by_kind: dict[str, Any] = {str(o.__dataclass_fields__["kind"].default): o for o in records}
    if not isinstance(value, Mapping):
        raise UsageError(f"recipe: {path} should be a table, not {value!r}", hint=f"set {path}.kind")
    kind = value.get("kind")
    if kind not in by_kind:
        raise UsageError(f"recipe: {path}.kind is {kind!r}", hint=nearest(str(kind), by_kind))
    return from_dict(by_kind[kind], value, path)


def _convert_plain(hint: type, value: object, path: str) -> object:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        raise UsageError(f"recipe: {path} should be {hint.__name__}, not {value!r}")
    return value
