"""The number of parameters of a recipe's model, by arithmetic, without importing torch.

One function per module of `build`'s tables; a test compares each with the module itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

from vacli.models.checks import check
from vacli.recipe import schema as recipe

TARGETS = 2  # valence, arousal


def count_parameters(model: recipe.Model) -> int:
    """The number of trainable parameters; UsageError if the recipe is inconsistent."""
    check(model)
    encoders = [_size(s.dim, s.tcn or recipe.NoTemporal()) for s in model.streams]
    widths = [width for _, width in encoders]
    fusion, width = FUSION[model.fusion.kind](widths, model.fusion)
    tcn, width = _size(width, model.tcn or recipe.NoTemporal())
    temporal, width = _size(width, model.temporal)
    return sum(count for count, _ in encoders) + fusion + tcn + temporal + _head(width, model.head)


def _size(in_dim: int, config: recipe.Temporal) -> tuple[int, int]:
    """Parameters and output width."""
    return (0, in_dim) if config.kind == "none" else TEMPORAL[config.kind](in_dim, config)


def _linear(in_dim: int, out_dim: int) -> int:
    return (in_dim + 1) * out_dim


def _activation(kind: recipe.Activation) -> int:
    return 1 if kind == "prelu" else 0  # one slope for all channels


def _tcn(in_dim: int, config: recipe.Tcn) -> tuple[int, int]:
    count = 0
    for before, after in pairwise((in_dim, *config.channels)):
        for inward in (before, after):
            # Weight normalisation adds a length per output channel.
            count += inward * after * config.kernel + 2 * after
        count += _linear(before, after) if before != after else 0
        count += 3 * _activation(config.activation)
    return count, config.channels[-1]


def _mamba(in_dim: int, config: recipe.Mamba) -> tuple[int, int]:
    width = config.d_model
    inner, rank = config.expand * width, math.ceil(width / 16)
    layer = (
        2 * width * inner  # in_proj
        + (config.d_conv + 1) * inner  # depthwise convolution
        + inner * (rank + 2 * config.d_state)  # x_proj
        + _linear(rank, inner)  # dt_proj
        + inner * (config.d_state + 1)  # A and D
        + inner * width  # out_proj
        + 2 * width  # layer norm
    )
    adapt = _linear(in_dim, width) if in_dim != width else 0
    project = _linear(width, width) if config.output_projection else 0
    return adapt + config.n_layers * layer + project, width


def _transformer(in_dim: int, config: recipe.Transformer) -> tuple[int, int]:
    width, between = config.d_model, config.dim_feedforward
    layer = 4 * _linear(width, width) + _linear(width, between) + _linear(between, width) + 4 * width
    return _linear(in_dim, width) + config.n_layers * layer, width


def _concat(widths: list[int], config: recipe.Concat) -> tuple[int, int]:
    return 0, sum(widths) + len(widths) * config.availability_flags


def _bdca(widths: list[int], config: recipe.Bdca) -> tuple[int, int]:
    gate = 2 if config.gate else 0  # one weight for the stream, one for what it attends to
    return sum(3 * _linear(width, width) + _linear(width, gate) for width in widths), sum(widths)


def _head(in_dim: int, config: recipe.Head) -> int:
    count = 0
    for width in config.hidden:
        norm = 2 * width if config.batch_norm else 0
        count += _linear(in_dim, width) + norm + _activation(config.activation)
        in_dim = width
    return count + _linear(in_dim, TARGETS)


TEMPORAL: dict[str, Callable[..., tuple[int, int]]] = {
    "mamba": _mamba,
    "transformer": _transformer,
    "tcn": _tcn,
}
FUSION: dict[str, Callable[..., tuple[int, int]]] = {"concat": _concat, "bdca": _bdca}
