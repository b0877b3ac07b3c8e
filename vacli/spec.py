"""The specification of a feature, which its extractor, the store and a run share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

VISUAL = "visual"
AUDIO = "audio"
RENAMED_SETTINGS = {"every": "frame_stride"}  # names of va 0.1 -> present
RENAMED_VALUES = {("align", "past"): "causal"}  # setting and value of va 0.1 -> present


@dataclass(frozen=True, kw_only=True)
class FeatureSpec:
    """Identity of a feature: exactly the settings that change its values.

    `columns` names the `dim` values of a row where they have names; `units` is free text;
    `settings` holds JSON values (options, weights' sha256).
    """

    name: str
    version: str
    modality: str  # VISUAL or AUDIO
    dim: int
    columns: tuple[str, ...] = ()
    units: str = ""
    licence: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    def attributes(self) -> dict[str, Any]:
        """The JSON form that is stored beside the array."""
        return {**asdict(self), "columns": list(self.columns), "settings": dict(self.settings)}

    def fingerprint(self) -> str:
        """A short hash; two extractions with equal hashes give equal values."""
        return fingerprint(
            {
                "name": self.name,
                "version": self.version,
                "dim": self.dim,
                "settings": dict(self.settings),
            }
        )


def present_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A feature's settings in the present names, for settings of any version."""
    renamed = {RENAMED_SETTINGS.get(name, name): value for name, value in settings.items()}
    return {
        name: RENAMED_VALUES.get((name, value), value) if isinstance(value, str) else value
        for name, value in renamed.items()
    }


def fingerprint(value: Any) -> str:
    """Twelve hexadecimal digits of a JSON value's SHA-256, keys sorted."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
