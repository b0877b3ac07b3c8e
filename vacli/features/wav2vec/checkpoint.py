"""Checkpoints of speech models: a file of weights with the configuration files beside it.

A checkpoint is a folder of the Hugging Face format, its file of weights, or a repository of the hub, which
is named `hub:OWNER/NAME`. No code of a checkpoint is executed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vacli.errors import WeightsError
from vacli.features.downloads import (
    CHECKPOINT_CONFIGS,
    CHECKPOINT_FILES,
    checkpoint_file,
    hub_checkpoint,
    locate_record,
)
from vacli.features.weights import WEIGHTS
from vacli.progress import Progress
from vacli.spec import HUB, fingerprint

CONFIG, PREPROCESSOR = CHECKPOINT_CONFIGS
# What the encoder depends on. The other values are about training or about heads, and versions of the
# package check them differently.
ENCODER_KEYS = (
    "conv_bias", "conv_dim", "conv_kernel", "conv_stride", "conv_pos_batch_norm", "do_stable_layer_norm",
    "feat_extract_activation", "feat_extract_norm", "feat_proj_layer_norm", "hidden_act", "hidden_size",
    "intermediate_size", "layer_norm_eps", "max_bucket_distance", "num_attention_heads", "num_buckets",
    "num_conv_pos_embedding_groups", "num_conv_pos_embeddings", "num_hidden_layers",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A file of weights and its configuration.

    config: the values of config.json. normalise: each input is scaled to zero mean and unit variance.
    """

    path: Path
    config: Mapping[str, Any]
    normalise: bool

    @property
    def encoder_config(self) -> dict[str, Any]:
        """The values that the encoder depends on."""
        return {key: self.config[key] for key in ENCODER_KEYS if key in self.config}

    @property
    def config_hash(self) -> str:
        """The identity of the encoder's configuration in a feature's settings."""
        return fingerprint(self.encoder_config)


def locate_checkpoint(name: str, given: Path | None, family: str, progress: Progress) -> Checkpoint:
    """The published checkpoint `name`, fetched if it is not in the cache, or the one that is `given`.

    given: a folder, a file of weights, or `hub:OWNER/NAME`. family: the `model_type` that it must have.
    Raises WeightsError if a file is missing, damaged or unreachable, or if the model is of another family.
    """
    path = _weights_of(name, given, progress)
    config = _read_json(path.parent / CONFIG)
    found = config.get("model_type")
    if found != family:
        raise WeightsError(
            f"{path.parent / CONFIG}: model_type is {found!r}, the feature {name} needs {family!r}",
            hint="give the checkpoint to the feature of its own name",
        )
    if config.get("add_adapter"):
        raise WeightsError(
            f"{path.parent}: has an adapter, which reduces the frame rate; it is not supported"
        )
    preprocessor = path.parent / PREPROCESSOR
    normalise = _read_json(preprocessor).get("do_normalize", True) if preprocessor.is_file() else True
    return Checkpoint(path=path, config=config, normalise=bool(normalise))


def _weights_of(name: str, given: Path | None, progress: Progress) -> Path:
    if given is None:
        return locate_record(name, WEIGHTS[name], None, progress)
    if str(given).startswith(HUB):
        return locate_record(name, hub_checkpoint(str(given)), None, progress)
    if not given.is_dir():
        return locate_record(name, WEIGHTS[name], given, progress)
    if (path := checkpoint_file(given)) is None:
        raise WeightsError(
            f"{given}: has no {CONFIG} with {' or '.join(CHECKPOINT_FILES)}",
            hint="give a folder with a checkpoint of the Hugging Face format",
        )
    return path


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsError(
            f"{path}: no such file", hint="keep the configuration files of a checkpoint beside its weights"
        ) from None
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: not readable as JSON: {error}", hint="fetch it again") from None
    if not isinstance(values, dict):
        raise WeightsError(f"{path}: holds no configuration", hint="fetch it again")
    return values
