"""Exchange of the temporal module, the fusion and the feature names of a model."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from vacli.errors import UsageError, nearest
from vacli.recipe.schema import Bdca, Concat, Fusion, Mamba, Model, NoTemporal, Tcn, Temporal, Transformer
from vacli.spec import FOLD_TAG, TAG

# Names for `--temporal` (from a depth and a width) and `--fusion`.
TEMPORAL: dict[str, Callable[[int, int], Temporal]] = {
    "mamba": lambda depth, width: Mamba(n_layers=depth, d_model=width),
    "transformer": lambda depth, width: Transformer(n_layers=depth, d_model=width, dim_feedforward=width),
    "tcn": lambda depth, width: Tcn(channels=(width,) * depth),
    "none": lambda depth, width: NoTemporal(),
}
FUSION: dict[str, Fusion] = {"concat": Concat(), "bdca": Bdca()}


def with_temporal(model: Model, kind: str) -> Model:
    """The model with another temporal module of the same width and depth; UsageError if unknown."""
    if kind == model.temporal.kind:
        return model
    if kind not in TEMPORAL:
        raise UsageError(f"no temporal module {kind!r}", hint=nearest(kind, TEMPORAL))
    depth, width = _size(model.temporal)
    return replace(model, temporal=TEMPORAL[kind](depth, width))


def with_fusion(model: Model, kind: str) -> Model:
    """The model with another fusion; BDCA gets streams of equal width, by one TCN a stream if needed.

    These TCNs have four blocks of width 128, as in [B], with the kernel and dropout of the TCN behind the
    fusion, which they replace. Raises UsageError for an unknown fusion.
    """
    if kind == model.fusion.kind:
        return model
    if kind not in FUSION:
        raise UsageError(f"no fusion {kind!r}", hint=nearest(kind, FUSION))
    model = replace(model, fusion=FUSION[kind])
    if kind != "bdca" or len({s.tcn.channels[-1] if s.tcn else s.dim for s in model.streams}) == 1:
        return model
    tcn = replace(model.tcn or Tcn(), channels=(128,) * 4)
    return replace(model, tcn=None, streams=tuple(replace(s, tcn=tcn) for s in model.streams))


def _size(temporal: Temporal) -> tuple[int, int]:
    if isinstance(temporal, NoTemporal):
        return 4, 256
    if isinstance(temporal, Tcn):
        return len(temporal.channels), temporal.channels[-1]
    return temporal.n_layers, temporal.d_model


def without_fold_tags(model: Model) -> Model:
    """The model with the names of features that `va crossval` made for one fold without the fold's tag."""
    tag = re.compile(rf"{TAG}{FOLD_TAG}\d+$")
    streams = (replace(s, features=tuple(tag.sub("", f) for f in s.features)) for s in model.streams)
    return replace(model, streams=tuple(streams))
