"""Build a network from the model part of a recipe.

A new temporal module or fusion is a record in recipe/schema.py, a file, a line in a table below, and its
number of parameters in size.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from vacli.errors import UsageError
from vacli.models.base import Fusion, TemporalModule
from vacli.models.bdca import Bdca, Concat
from vacli.models.checks import check
from vacli.models.heads import Head, Passthrough
from vacli.models.mamba import MambaEncoder
from vacli.models.network import VaNet
from vacli.models.tcn import Tcn
from vacli.models.transformer import TransformerEncoder
from vacli.recipe import schema as recipe

TEMPORAL: dict[str, Callable[[int, Any], TemporalModule]] = {
    "mamba": MambaEncoder,
    "transformer": TransformerEncoder,
    "tcn": Tcn,
}
FUSION: dict[str, Callable[[tuple[int, ...], Any], Fusion]] = {"concat": Concat, "bdca": Bdca}


def build(model: recipe.Model) -> VaNet:
    """The network of a recipe, freshly initialised; UsageError where the recipe is inconsistent."""
    check(model)
    _check_names(model.streams)
    encoders = {s.name: _temporal(s.dim, s.tcn or recipe.NoTemporal()) for s in model.streams}
    fusion = FUSION[model.fusion.kind](tuple(e.out_dim for e in encoders.values()), model.fusion)
    tcn = _temporal(fusion.out_dim, model.tcn or recipe.NoTemporal())
    temporal = _temporal(tcn.out_dim, model.temporal)
    return VaNet(encoders, fusion, tcn, temporal, Head(temporal.out_dim, model.head))


def _check_names(streams: tuple[recipe.Stream, ...]) -> None:
    """Raise UsageError for a name that torch's dictionary of modules cannot have, such as `train`."""
    for stream in streams:
        if hasattr(nn.ModuleDict(), stream.name):
            raise UsageError(
                f"model.streams: {stream.name!r} is a name that torch uses", hint="give it another name"
            )


def _temporal(in_dim: int, config: recipe.Temporal) -> TemporalModule:
    return Passthrough(in_dim) if config.kind == "none" else TEMPORAL[config.kind](in_dim, config)
