"""AdamW over parameter groups with their own weight decay and learning rate."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from vacli.recipe import schema as recipe

LayerScale = Callable[[str], float]


def adamw(net: nn.Module, optim: recipe.Optim, scale: LayerScale = lambda name: 1.0) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019) over the trainable parameters of `net`.

    `scale` maps a parameter's name to a factor on the learning rate; `set_lr` keeps it.
    """
    groups = parameter_groups(net.named_parameters(), optim.weight_decay, scale)
    return torch.optim.AdamW(groups, lr=optim.lr, eps=optim.eps, fused=_is_fused(net))


def _is_fused(net: nn.Module) -> bool | None:
    """Whether a step is one pass over memory, as it can be on a CPU since torch 2.4; None: torch decides."""
    version = tuple(map(int, torch.__version__.split(".")[:2]))
    on_cpu = all(parameter.device.type == "cpu" for parameter in net.parameters())
    return True if on_cpu and version >= (2, 4) else None


def load_state(optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load an optimiser's state, also one from another kind of device or from another version of torch."""
    fused = optimiser.defaults.get("fused")
    optimiser.load_state_dict(state)
    for group in optimiser.param_groups:
        group["fused"] = fused


def n_trainable(model: nn.Module) -> int:
    """How many parameters of a model are trained."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def parameter_groups(
    named: Iterable[tuple[str, nn.Parameter]], weight_decay: float, scale: LayerScale = lambda name: 1.0
) -> list[dict[str, object]]:
    """Groups by (learning-rate scale, decayed or not), in a fixed order; frozen parameters are left out."""
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in named:
        if parameter.requires_grad:
            groups.setdefault((scale(name), decays(name, parameter)), []).append(parameter)
    return [
        {"params": groups[key], "scale": key[0], "weight_decay": weight_decay if key[1] else 0.0}
        for key in sorted(groups)
    ]


def decays(name: str, parameter: nn.Parameter) -> bool:
    """Whether a parameter is decayed: not vectors, gains of weight norm or tagged tensors.

    Modules tag parameters that must not shrink (Mamba's A_log and D) with a `_no_weight_decay` attribute.
    """
    if getattr(parameter, "_no_weight_decay", False) or name.endswith("parametrizations.weight.original0"):
        return False
    return parameter.ndim >= 2


def layer_decay(layer_of: Callable[[str], int], top: int, decay: float) -> LayerScale:
    """Learning-rate factor decay^(top - layer): 1 at the top, smaller towards the input (ELECTRA, 2020)."""
    return lambda name: decay ** (top - layer_of(name))


def set_lr(optimiser: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of every group to `lr` times its scale."""
    for group in optimiser.param_groups:
        group["lr"] = lr * group["scale"]
