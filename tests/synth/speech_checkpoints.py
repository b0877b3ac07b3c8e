"""Small speech checkpoints with the keys of published ones and arbitrary numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from vacli.features.wav2vec.network import SpeechRegressor, build_encoder, build_regressor

LABELS = {"0": "arousal", "1": "dominance", "2": "valence"}
# The convolutions are those of wav2vec 2.0 with fewer channels, so that the frames have its times.
SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": [8] * 7,
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_stride": [5, 2, 2, 2, 2, 2, 2],
    "conv_bias": True,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}


def filled(model: nn.Module, seed: int = 0) -> nn.Module:
    """The model on the CPU with random weights that keep the size of activations."""
    model.to_empty(device="cpu").eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.ndim > 1:
                bound = (3 / value[0].numel()) ** 0.5
                value.uniform_(-bound, bound, generator=generator)
            else:
                value.uniform_(-0.1, 0.1, generator=generator)
            if "norm.weight" in name or "original0" in name:
                value.uniform_(0.8, 1.2, generator=generator)
    return model


def small_regressor(seed: int = 0) -> SpeechRegressor:
    """A regression network of the published form."""
    return filled(build_regressor(SMALL, len(LABELS)), seed)


def small_encoder(family: str, seed: int = 0) -> nn.Module:
    """An encoder without a head."""
    return filled(build_encoder(SMALL, family), seed)


def published_keys(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors under the keys of published files, which have the earlier names of weight normalisation."""
    old = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    renamed = {}
    for key, value in state.items():
        for new, name in old.items():
            key = key.replace(new, name)
        renamed[key] = value.contiguous()
    return renamed


def write_checkpoint(
    folder: Path, tensors: dict[str, torch.Tensor], *, pickled: bool = False, **config: Any
) -> Path:
    """A folder of the Hugging Face format; `config` replaces values of its config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    values = SMALL | {"model_type": "wav2vec2", "id2label": LABELS, "vocab_size": None} | config
    (folder / "config.json").write_text(json.dumps(values))
    (folder / "preprocessor_config.json").write_text(json.dumps({"do_normalize": True}))
    if pickled:
        torch.save(tensors, folder / "pytorch_model.bin")
    else:
        save_file(tensors, folder / "model.safetensors")
    return folder


def write_emotion_checkpoint(folder: Path, seed: int = 0, **options: Any) -> Path:
    """A checkpoint of the form of audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim."""
    tensors = published_keys(small_regressor(seed).state_dict())
    tensors["wav2vec2.masked_spec_embed"] = torch.zeros(SMALL["hidden_size"])
    return write_checkpoint(folder, tensors, pooling_mode="mean", **options)
