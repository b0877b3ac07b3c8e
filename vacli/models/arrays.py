"""The small networks in NumPy, for prediction on a CPU: importing torch takes longer than running them.

Each function is the forward pass, in float32, of the module that it names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import cast

import numpy as np

from vacli.models.scan_loops import forward, split
from vacli.recipe import schema as recipe

NORM_EPSILON = 1e-5  # of torch's layer norm
WITHOUT_BIAS = ("in_proj", "x_proj", "out_proj")
ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "none": lambda x: x,
}

Tensors = Mapping[str, np.ndarray]


def supports(model: recipe.Model) -> bool:
    """Whether `ArrayNet` has all modules of a recipe."""
    tcn, head = model.tcn or recipe.NoTemporal(), model.head
    return (
        isinstance(model.fusion, recipe.Concat)
        and all(stream.tcn is None for stream in model.streams)
        and (tcn.kind == "none" or (tcn.kind == "tcn" and tcn.activation in ACTIVATIONS))
        and model.temporal.kind in ("mamba", "none")
        and not (head.hidden and (head.batch_norm or head.activation not in ACTIVATIONS))
    )


class _TrackedTensors(dict[str, np.ndarray]):
    """Tensors that record which of them were used."""

    def __init__(self, tensors: Tensors) -> None:
        super().__init__(tensors)
        self.used: set[str] = set()

    def __getitem__(self, name: str) -> np.ndarray:
        self.used.add(name)
        return super().__getitem__(name)


class ArrayNet:
    """`network.VaNet` of a supported recipe: streams name -> (B, T, D) and mask (B, T) to (B, T, 2).

    tensors: as given. taps: name of a convolution -> (K, C, C'), its normalised weights. `array_steps` has
    the same network frame by frame. Raises ValueError if the tensors do not fit the recipe.
    """

    def __init__(self, model: recipe.Model, tensors: Tensors) -> None:
        self.model = model
        self.tensors = _TrackedTensors({name: np.asarray(x, np.float32) for name, x in tensors.items()})
        self.taps: dict[str, np.ndarray] = {}
        self.causal = model.tcn is None or model.tcn.kind == "none" or model.tcn.causal
        try:
            self({s.name: np.zeros((1, 0, s.dim), np.float32) for s in model.streams}, np.ones((1, 0), bool))
        except KeyError as error:
            raise ValueError(f"{error.args[0]} is missing") from None
        if odd := sorted(self.tensors.keys() - self.tensors.used):
            raise ValueError(f"{odd[0]} is not expected")

    def __call__(
        self,
        streams: Mapping[str, np.ndarray],
        mask: np.ndarray,
        availability: Mapping[str, np.ndarray] | None = None,
    ) -> np.ndarray:
        """Valence and arousal (B, T, 2) of streams (B, T, D) and a mask (B, T), True for real frames.

        availability: as in `network.VaNet.forward`.
        """
        rows, present = [], []
        for stream in self.model.streams:
            x = streams[stream.name]
            there = np.isfinite(x).all(axis=-1, keepdims=True)
            weight = there.astype(np.float32)
            if availability and stream.name in availability:
                weight *= availability[stream.name][..., np.newaxis]
            rows.append(np.where(there, x, np.float32(0)) * weight)
            present.append(weight)
        fusion = cast(recipe.Concat, self.model.fusion)
        x = np.concatenate([*rows, *(present if fusion.availability_flags else ())], axis=-1)
        x = self._tcn(x * mask[..., np.newaxis], mask)
        return self._head(self._temporal(x, mask))

    def _linear(self, x: np.ndarray, name: str) -> np.ndarray:
        y = x @ self.tensors[f"{name}.weight"].reshape(-1, x.shape[-1]).T
        return y if name.endswith(WITHOUT_BIAS) else y + self.tensors[f"{name}.bias"]

    def _tcn(self, x: np.ndarray, mask: np.ndarray) -> np.ndarray:
        config, real = self.model.tcn, mask[..., np.newaxis]
        if config is None or config.kind == "none":
            return x
        act = ACTIVATIONS[config.activation]
        for number in range(len(config.channels)):
            name, dilation = f"tcn.blocks.{number}", 2**number
            y = act(self._dilated(x, f"{name}.conv1", dilation)) * real
            y = act(self._dilated(y, f"{name}.conv2", dilation))
            beside = self._linear(x, f"{name}.residual") if f"{name}.residual.weight" in self.tensors else x
            x = act(y + beside) * real
        return x

    def _dilated(self, x: np.ndarray, name: str, dilation: int) -> np.ndarray:
        """A weight-normalised convolution (B, T, C) -> (B, T, C')."""
        if name not in self.taps:
            self.taps[name] = self._normalised_taps(f"{name}.conv")
        taps = self.taps[name]
        total_padding = (len(taps) - 1) * dilation
        left = total_padding if cast(recipe.Tcn, self.model.tcn).causal else total_padding // 2
        padded = np.pad(x, ((0, 0), (left, total_padding - left), (0, 0)))
        seen = [padded[:, k * dilation : k * dilation + x.shape[1]] for k in range(len(taps))]
        return sum(map(np.matmul, seen, taps), self.tensors[f"{name}.conv.bias"])

    def _normalised_taps(self, name: str) -> np.ndarray:
        """(K, C, C') contiguous: NumPy's product is many times slower with other strides."""
        length, direction = (self.tensors[f"{name}.parametrizations.weight.original{k}"] for k in (0, 1))
        weight = direction * (length / np.sqrt(np.square(direction).sum(axis=(1, 2), keepdims=True)))
        return np.ascontiguousarray(weight.transpose(2, 1, 0))

    def _temporal(self, x: np.ndarray, mask: np.ndarray) -> np.ndarray:
        if self.model.temporal.kind == "none":
            return x
        config = cast(recipe.Mamba, self.model.temporal)
        x = x * mask[..., np.newaxis]
        if "temporal.adapt.weight" in self.tensors:
            x = self._linear(x, "temporal.adapt")
        if config.input_norm:
            x = normalised(x)
        for number in range(config.n_layers):
            y = normalised(self._mamba(x, mask, f"temporal.layers.{number}") + x)
            norm = f"temporal.norms.{number}"
            x = y * self.tensors[f"{norm}.weight"] + self.tensors[f"{norm}.bias"]
        return self._linear(x, "temporal.project") if config.output_projection else x

    def _mamba(self, x: np.ndarray, mask: np.ndarray, name: str) -> np.ndarray:
        """`mamba.Mamba` (Gu and Dao 2023, section 3)."""
        real, get = mask[..., np.newaxis], lambda key: self.tensors[f"{name}.{key}"]
        u, z = np.split(self._linear(x * real, f"{name}.in_proj"), 2, axis=-1)
        taps = get("conv1d.weight")[:, 0]
        padded = np.pad(u, ((0, 0), (taps.shape[1] - 1, 0), (0, 0)))
        length = u.shape[1]
        u = get("conv1d.bias") + sum(padded[:, k : k + length] * taps[:, k] for k in range(taps.shape[1]))
        u = silu(u) * real  # the convolution's bias would feed the state
        rank, states = math.ceil(x.shape[-1] / 16), cast(recipe.Mamba, self.model.temporal).d_state
        dt, b, c = np.split(self._linear(u, f"{name}.x_proj"), [rank, rank + states], axis=-1)
        dt = softplus(self._linear(dt, f"{name}.dt_proj"))
        y = _scanned(u, dt, -np.exp(get("A_log")), b, c)
        return self._linear((y + get("D") * u) * silu(z), f"{name}.out_proj")

    def _head(self, x: np.ndarray) -> np.ndarray:
        config, place = self.model.head, 0
        for _ in config.hidden:
            x = ACTIVATIONS[config.activation](self._linear(x, f"head.layers.{place}"))
            place += 3  # linear, activation, dropout
        x = self._linear(x, f"head.layers.{place}")
        return np.tanh(x) if config.tanh_output else x


def silu(x: np.ndarray) -> np.ndarray:
    """x times the logistic function of x."""
    with np.errstate(over="ignore"):  # exp of a very negative x; the quotient is then 0, which is right
        return x / (1 + np.exp(-x))


def softplus(x: np.ndarray) -> np.ndarray:
    """log(1 + e^x) to full precision for any x (Kahan's log1p), by NumPy's vectorised functions."""
    small = np.exp(-np.abs(x))
    above = 1 + small
    with np.errstate(divide="ignore", invalid="ignore"):
        rest = np.where(above == 1, small, np.log(above) * (small / (above - 1)))
    return np.maximum(x, 0) + rest


def normalised(x: np.ndarray) -> np.ndarray:
    """The last axis with zero mean and unit variance, as in layer norm (Ba et al. 2016)."""
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + np.float32(NORM_EPSILON))


def _scanned(x: np.ndarray, dt: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """The selective scan from an empty state: x, dt (B, T, E), a (E, N), b, c (B, T, N) -> (B, T, E)."""
    batch, length, channels = x.shape
    states = b.shape[-1]
    if a.shape != (channels, states):  # the compiled loops would read out of bounds
        raise ValueError(f"A_log is {a.shape}, not {(channels, states)}")
    if not length:
        return x
    y, h0, last = np.empty_like(x), *np.zeros((2, batch, states, channels), np.float32)
    checkpoints = np.empty((batch, 1, states, channels), np.float32)
    block, jobs = split(batch, channels, states)
    inputs = tuple(np.ascontiguousarray(v, np.float32) for v in (x, dt, a.T, b, c, h0))
    forward(inputs, (y, last), checkpoints, max(length, 1), block, 0, jobs)
    return y
