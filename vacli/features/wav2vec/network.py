"""The networks of wav2vec 2.0, HuBERT and WavLM checkpoints, without a checkpoint's own code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import transformers
from torch import Tensor, nn

from vacli.errors import UsageError, WeightsError
from vacli.features.wav2vec.checkpoint import Checkpoint
from vacli.features.weights import load_into, load_tensors

FAMILIES: dict[str, tuple[str, str]] = {  # model_type -> classes of its configuration and network
    "wav2vec2": ("Wav2Vec2Config", "Wav2Vec2Model"),
    "hubert": ("HubertConfig", "HubertModel"),
    "wavlm": ("WavLMConfig", "WavLMModel"),
}
# Training masks time steps and features; without masks the network has no embedding of them.
INFERENCE = {"apply_spec_augment": False, "mask_time_prob": 0.0, "mask_feature_prob": 0.0, "layerdrop": 0.0}
MASK_EMBEDDING = "masked_spec_embed"
HEADS = (  # of pre-training, recognition and classification
    "classifier.", "final_proj.", "label_embs_concat", "layer_weights", "lm_head.", "objective.",
    "project_hid.", "project_q.", "projector.", "quantizer.", "tdnn.",
)  # fmt: skip
WEIGHT_NORM = {  # names of torch.nn.utils.weight_norm -> those of its successor
    "pos_conv_embed.conv.weight_g": "pos_conv_embed.conv.parametrizations.weight.original0",
    "pos_conv_embed.conv.weight_v": "pos_conv_embed.conv.parametrizations.weight.original1",
}
VARIANCE_FLOOR = 1e-7  # of Wav2Vec2FeatureExtractor.zero_mean_unit_var_norm


class RegressionHead(nn.Module):
    """Two linear layers with tanh in between: (B, D) -> (B, n_outputs).

    Source: the model card of audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim.
    """

    def __init__(self, dim: int, n_outputs: int) -> None:
        super().__init__()
        self.dense = nn.Linear(dim, dim)
        self.out_proj = nn.Linear(dim, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, D) -> (B, n_outputs)."""
        return cast(Tensor, self.out_proj(torch.tanh(self.dense(x))))


class SpeechRegressor(nn.Module):
    """A wav2vec 2.0 encoder, the mean over time and a regression head: (B, S) -> (B, n_outputs)."""

    def __init__(self, encoder: nn.Module, n_outputs: int) -> None:
        super().__init__()
        self.wav2vec2 = encoder
        self.classifier = RegressionHead(cast(Any, encoder).config.hidden_size, n_outputs)

    def forward(self, samples: Tensor) -> Tensor:
        """(B, S) normalised samples -> (B, n_outputs)."""
        return cast(Tensor, self.classifier(self.wav2vec2(samples).last_hidden_state.mean(dim=1)))


class HiddenStates(nn.Module):
    """The output of one Transformer layer, from 1; the last one includes the encoder's final norm."""

    def __init__(self, encoder: nn.Module, layer: int) -> None:
        super().__init__()
        self.encoder = encoder
        layers = cast(Any, encoder).encoder.layers
        self._is_last = layer == len(layers)
        self._states: list[Tensor] = []
        if not self._is_last:
            layers[layer - 1].register_forward_hook(self._keep)
            cast(Any, encoder).encoder.layers = layers[:layer]

    def _keep(self, module: nn.Module, inputs: object, output: Any) -> None:
        self._states = [output[0] if isinstance(output, tuple) else output]

    def forward(self, samples: Tensor) -> Tensor:
        """(B, S) normalised samples -> (B, F, D)."""
        last = self.encoder(samples).last_hidden_state
        return cast(Tensor, last) if self._is_last else self._states.pop()


def hidden_states(checkpoint: Checkpoint, family: str, layer: int | None) -> tuple[HiddenStates, int]:
    """The network of a checkpoint and the number of its layer; None is the last one.

    Raises WeightsError if the tensors do not fit, UsageError if there is no such layer.
    """
    encoder = build_encoder(checkpoint.encoder_config, family)
    n_layers = len(cast(Any, encoder).encoder.layers)
    layer = n_layers if layer is None else layer
    if not 1 <= layer <= n_layers:
        raise UsageError(
            f"{checkpoint.path}: there is no layer {layer}", hint=f"it has layers 1 to {n_layers}"
        )
    tensors = encoder_tensors(load_tensors(checkpoint.path), family, checkpoint.path)
    load_into(encoder.to_empty(device="cpu"), tensors, checkpoint.path)
    return HiddenStates(encoder, layer).eval().requires_grad_(False), layer


def speech_regressor(checkpoint: Checkpoint, n_outputs: int) -> SpeechRegressor:
    """The regression network of a checkpoint. Raises WeightsError if the tensors do not fit."""
    model = build_regressor(checkpoint.encoder_config, n_outputs)
    tensors = renamed(load_tensors(checkpoint.path))
    tensors.pop(f"wav2vec2.{MASK_EMBEDDING}", None)
    load_into(model.to_empty(device="cpu"), tensors, checkpoint.path)
    return model.eval().requires_grad_(False)


def build_regressor(encoder_config: Mapping[str, Any], n_outputs: int) -> SpeechRegressor:
    """The regression network without values, on the meta device."""
    with torch.device("meta"):
        return SpeechRegressor(build_encoder(encoder_config, "wav2vec2"), n_outputs)


def build_encoder(encoder_config: Mapping[str, Any], family: str) -> nn.Module:
    """The encoder of a family without values, on the meta device. encoder_config: see `Checkpoint`."""
    config_class, model_class = (getattr(transformers, name) for name in FAMILIES[family])
    with torch.device("meta"):
        return cast(nn.Module, model_class(config_class(**encoder_config, **INFERENCE)))


def encoder_tensors(tensors: Mapping[str, Tensor], family: str, path: Path) -> dict[str, Tensor]:
    """The encoder's tensors of a checkpoint, by the names of the network, without heads and mask embedding.

    The keys of models with a head begin with the family. Raises WeightsError for a key that is neither of the
    encoder nor of a known head.
    """
    prefix = f"{family}."
    if not any(key.startswith(prefix) for key in tensors):
        prefix = ""
    own = {key.removeprefix(prefix): x for key, x in tensors.items() if key.startswith(prefix)}
    for key in tensors:
        if not key.startswith((prefix, *HEADS)):
            raise WeightsError(f"{path}: {key} is not expected", hint="these are weights of another network")
    own = {key: x for key, x in own.items() if not key.startswith((MASK_EMBEDDING, *HEADS))}
    return renamed(own)


def renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with the present names of weight normalisation."""
    names = {}
    for key in tensors:
        old = next((old for old in WEIGHT_NORM if key.endswith(old)), None)
        names[key] = key if old is None else key.removesuffix(old) + WEIGHT_NORM[old]
    return {names[key]: x for key, x in tensors.items()}


def zero_mean_unit_variance(windows: np.ndarray) -> np.ndarray:
    """Windows (B, S) float32, each scaled as `transformers.Wav2Vec2FeatureExtractor` does."""
    mean, variance = windows.mean(axis=1, keepdims=True), windows.var(axis=1, keepdims=True)
    return (windows - mean) / np.sqrt(variance + VARIANCE_FLOOR)
