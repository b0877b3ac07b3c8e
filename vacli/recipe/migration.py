"""Recipes of earlier versions, and the names that keys and presets had there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

VERSION = 2  # of recipe.json; 1 had no number
RENAMED_PRESETS = {"voice": "compact-audio"}
_TEMPORAL = {
    "depth": "n_layers",
    "width": "d_model",
    "heads": "n_heads",
    "feedforward": "dim_feedforward",
    "state": "d_state",
    "conv": "d_conv",
}
RENAMED_KEYS: dict[str, dict[str, str]] = {  # path of a table -> its old keys and their new names
    "model.temporal": _TEMPORAL,
    "model.fusion": {"presence": "availability_flags"},
    "model.head": {"squash": "tanh_output"},
    "training": {"batch_windows": "batch_size"},
    "training.loss": {"alone": "unimodal_weight", "pooled": "window_mean_weight"},
    "training.schedule": {"start": "warmup_start_factor", "floor": "min_lr_factor"},
    "training.augment": {"drop_stream": "modality_dropout", "drop_span": "time_mask"},
}


def new_name(path: str, key: str) -> str | None:
    """The present name of a key that the table at `path` had in version 1, None if it had no such key."""
    return RENAMED_KEYS.get(path, {}).get(key)


def migrate(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a recipe.json of any version, in the present names and without the version number.

    A version above VERSION is left in place, so that the reader rejects it as an unknown key.
    """
    migrated = dict(values)
    version = migrated.get("version", 1)
    if version == 1:
        migrated = _renamed(migrated)
        migrated["name"] = RENAMED_PRESETS.get(migrated.get("name", ""), migrated.get("name"))
    if version in (1, VERSION):
        migrated.pop("version", None)
    return migrated


def _renamed(values: Mapping[str, object], path: str = "") -> dict[str, Any]:
    names = RENAMED_KEYS.get(path, {})
    return {
        names.get(key, key): _renamed(value, f"{path}.{key}" if path else key)
        if isinstance(value, Mapping)
        else value
        for key, value in values.items()
    }
