"""Checks of a model recipe; each error names the key and a remedy."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from vacli.errors import UsageError
from vacli.recipe import schema as recipe


def check(model: recipe.Model) -> None:
    """Raise UsageError for the first inconsistency in `model`."""
    _check_streams(model.streams)
    for stream in model.streams:
        _check_part(stream.tcn, f"model.streams.{stream.name}.tcn")
    _check_fusion(model)
    _check_part(model.tcn, "model.tcn")
    _check_part(model.temporal, "model.temporal")
    _check_sizes(model.head, "model.head")


def _check_streams(streams: tuple[recipe.Stream, ...]) -> None:
    if not streams:
        raise UsageError("model.streams is empty", hint="name at least one stream of features")
    names = [s.name for s in streams]
    if len(set(names)) < len(names):
        raise UsageError(f"model.streams: a name twice in {', '.join(names)}", hint="give each its own name")
    for stream in streams:
        if not stream.name.isidentifier():
            raise UsageError(
                f"model.streams: {stream.name!r} is not a name", hint="use letters, digits and _"
            )
        if stream.dim < 1:
            raise UsageError(f"model.streams.{stream.name}.dim is {stream.dim}", hint="it must be at least 1")


def _check_fusion(model: recipe.Model) -> None:
    if not isinstance(model.fusion, recipe.Bdca):
        return
    widths = {s.name: s.tcn.channels[-1] if s.tcn else s.dim for s in model.streams}
    if len(widths) != 2:
        raise UsageError(
            f"fusion bdca joins two streams, the model has {len(widths)}: {', '.join(widths)}",
            hint="use --fusion concat, or name two streams",
        )
    if len(set(widths.values())) != 1:
        given = ", ".join(f"{name} {width}" for name, width in widths.items())
        raise UsageError(
            f"fusion bdca needs two streams of one width, not {given}",
            hint="give each stream a tcn that ends in the same width, for example "
            "model.streams.NAME.tcn.channels=[128]",
        )
    if not model.fusion.temperature > 0:
        raise UsageError(f"model.fusion.temperature is {model.fusion.temperature}", hint="it must be above 0")


def _check_part(part: recipe.Temporal | None, path: str) -> None:
    if part is None:
        return
    _check_sizes(part, path)
    if isinstance(part, recipe.Tcn):
        if not part.channels:
            raise UsageError(f"{path}.channels is empty", hint="give one width a block, or leave the tcn out")
        if not part.causal and part.kernel % 2 == 0:
            raise UsageError(f"{path}.kernel is {part.kernel}", hint="a centred tcn needs an odd kernel")
    if isinstance(part, recipe.Transformer) and part.d_model % part.n_heads:
        raise UsageError(
            f"{path}: {part.n_heads} heads do not divide the d_model {part.d_model}",
            hint=f"set {path}.n_heads or {path}.d_model",
        )


def _check_sizes(part: Any, path: str) -> None:
    """Whole numbers are counts of at least 1; a dropout is a probability below 1."""
    for field in fields(part):
        value = getattr(part, field.name)
        for number in value if isinstance(value, tuple) else (value,):
            if type(number) is int and number < 1:
                raise UsageError(f"{path}.{field.name} is {value}", hint="it must be at least 1")
        if field.name == "dropout" and not 0 <= value < 1:
            raise UsageError(f"{path}.dropout is {value}", hint="it must be at least 0 and below 1")
