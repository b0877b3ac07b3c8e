"""`arrays.ArrayNet` frame by frame: several trained networks of one recipe and several sequences at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np

from vacli.models.arrays import ACTIVATIONS, ArrayNet, normalised, silu, softplus
from vacli.recipe import schema as recipe

State = dict[str, np.ndarray]  # name of a layer -> (M, B, ...), all zeros before the first frame


class ArrayStepper:
    """The causal networks of M models of one recipe, for B sequences a call.

    Memory and time of a step are constant. The outputs of T steps equal those of `ArrayNet` for T frames.
    """

    def __init__(self, nets: Sequence[ArrayNet]) -> None:
        first = nets[0]
        self._model = first.model
        self._tensors = {
            name: np.stack([net.tensors[name] for net in nets])
            for name in first.tensors
            if "parametrizations" not in name
        }
        self._matrices = {
            name: np.ascontiguousarray(x.reshape(len(nets), x.shape[1], -1).swapaxes(1, 2))
            for name, x in self._tensors.items()
            if name.endswith(".weight") and x.ndim >= 3 and "conv1d" not in name
        }
        self._taps = {name: np.stack([net.taps[name] for net in nets]) for name in first.taps}
        self._rates = {n: -np.exp(x) for n, x in self._tensors.items() if n.endswith("A_log")}
        self._n_models = len(nets)

    def initial_state(self, batch: int) -> State:
        """The state before the first frame of `batch` sequences."""
        state: State = {}
        for name, taps in self._taps.items():
            past = (taps.shape[1] - 1) * _dilation(name)
            state[name] = np.zeros((self._n_models, batch, past, taps.shape[2]), np.float32)
        for name, rates in self._rates.items():
            layer, (channels, states) = name.removesuffix(".A_log"), rates.shape[1:]
            kernel = self._tensors[f"{layer}.conv1d.weight"].shape[-1]
            state[f"{layer}.conv1d"] = np.zeros((self._n_models, batch, kernel - 1, channels), np.float32)
            state[layer] = np.zeros((self._n_models, batch, channels, states), np.float32)
        return state

    def step(
        self, streams: Mapping[str, np.ndarray], availability: Mapping[str, np.ndarray], state: State
    ) -> tuple[np.ndarray, State]:
        """One frame after `state`: valence and arousal (M, B, 2), and the state after it.

        streams: name -> (M, B, D) float32, NaN where missing. availability: name -> (B,), as in
        `network.VaNet.forward`.
        """
        rows, present = [], []
        for stream in self._model.streams:
            x = streams[stream.name]
            there = np.isfinite(x).all(axis=-1, keepdims=True)
            weight = there.astype(np.float32)
            if stream.name in availability:
                weight = weight * availability[stream.name].astype(np.float32)[:, np.newaxis]
            rows.append(np.where(there, x, np.float32(0)) * weight)
            present.append(weight)
        fusion = cast(recipe.Concat, self._model.fusion)
        x = np.concatenate([*rows, *(present if fusion.availability_flags else ())], axis=-1)
        after: State = {}
        x = self._temporal(self._tcn(x, state, after), state, after)
        return self._head(x), after

    def _linear(self, x: np.ndarray, name: str) -> np.ndarray:
        y = x @ self._matrices[f"{name}.weight"]
        bias = self._tensors.get(f"{name}.bias")
        return y if bias is None else y + bias[:, np.newaxis]

    def _tcn(self, x: np.ndarray, state: State, after: State) -> np.ndarray:
        config = self._model.tcn
        if config is None or config.kind == "none":
            return x
        act = ACTIVATIONS[config.activation]
        for number in range(len(config.channels)):
            name = f"tcn.blocks.{number}"
            y = act(self._dilated(x, f"{name}.conv1", state, after))
            y = act(self._dilated(y, f"{name}.conv2", state, after))
            beside = self._linear(x, f"{name}.residual") if f"{name}.residual.weight" in self._matrices else x
            x = act(y + beside)
        return x

    def _dilated(self, x: np.ndarray, name: str, state: State, after: State) -> np.ndarray:
        taps = self._taps[name]
        seen = np.concatenate([state[name], x[:, :, np.newaxis]], axis=2)
        after[name] = seen[:, :, 1:]
        inputs = seen[:, :, :: _dilation(name)].reshape(*x.shape[:2], -1)
        y = inputs @ taps.reshape(self._n_models, -1, taps.shape[-1])
        return y + self._tensors[f"{name}.conv.bias"][:, np.newaxis]

    def _temporal(self, x: np.ndarray, state: State, after: State) -> np.ndarray:
        if self._model.temporal.kind == "none":
            return x
        config = cast(recipe.Mamba, self._model.temporal)
        if "temporal.adapt.weight" in self._matrices:
            x = self._linear(x, "temporal.adapt")
        if config.input_norm:
            x = normalised(x)
        for number in range(config.n_layers):
            y = normalised(self._mamba(x, f"temporal.layers.{number}", state, after) + x)
            weight, bias = (self._tensors[f"temporal.norms.{number}.{part}"] for part in ("weight", "bias"))
            x = y * weight[:, np.newaxis] + bias[:, np.newaxis]
        return self._linear(x, "temporal.project") if config.output_projection else x

    def _mamba(self, x: np.ndarray, name: str, state: State, after: State) -> np.ndarray:
        """One step of `mamba.Mamba` (Gu and Dao 2023, section 3)."""
        u, z = np.split(self._linear(x, f"{name}.in_proj"), 2, axis=-1)
        seen = np.concatenate([state[f"{name}.conv1d"], u[:, :, np.newaxis]], axis=2)
        after[f"{name}.conv1d"] = seen[:, :, 1:]
        taps = self._tensors[f"{name}.conv1d.weight"][:, :, 0].swapaxes(1, 2)[:, np.newaxis]
        u = silu((seen * taps).sum(axis=2) + self._tensors[f"{name}.conv1d.bias"][:, np.newaxis])
        rates = self._rates[f"{name}.A_log"][:, np.newaxis]
        n_states = rates.shape[-1]
        projected = self._linear(u, f"{name}.x_proj")
        dt, b, c = np.split(projected, [-2 * n_states, -n_states], axis=-1)
        dt = softplus(self._linear(dt, f"{name}.dt_proj"))[..., np.newaxis]
        h = np.exp(dt * rates) * state[name] + dt * u[..., np.newaxis] * b[:, :, np.newaxis]
        after[name] = h
        y = (h @ c[..., np.newaxis])[..., 0] + self._tensors[f"{name}.D"][:, np.newaxis] * u
        return self._linear(y * silu(z), f"{name}.out_proj")

    def _head(self, x: np.ndarray) -> np.ndarray:
        config, place = self._model.head, 0
        for _ in config.hidden:
            x = ACTIVATIONS[config.activation](self._linear(x, f"head.layers.{place}"))
            place += 3  # linear, activation, dropout
        x = self._linear(x, f"head.layers.{place}")
        return np.tanh(x) if config.tanh_output else x


def select(state: State, slots: Sequence[int | None]) -> State:
    """The state of other sequences: slot k gets that of sequence `slots[k]`, the initial one for None."""
    kept = np.array([slot is not None for slot in slots])
    from_ = np.array([0 if slot is None else slot for slot in slots], np.int64)
    chosen = {name: x[:, from_] for name, x in state.items()}
    for x in chosen.values():
        x[:, ~kept] = 0
    return chosen


def _dilation(name: str) -> int:
    """Of a convolution, tcn.blocks.N.conv1 or conv2."""
    return 2 ** int(name.split(".")[2])
