"""The specification of a feature, which its extractor, the store and a run share."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from vacli.errors import UsageError

VISUAL = "visual"
AUDIO = "audio"
SPEECH = "speech"  # the audio feature with the probability of speech
FEATURE_NAME = re.compile(r"\w[\w.:-]*(@\w[\w.-]*)?")
RENAMED_SETTINGS = {"every": "frame_stride"}  # names of va 0.1 -> present
RENAMED_VALUES = {("align", "past"): "causal"}  # setting and value of va 0.1 -> present
WEIGHTS_FILES = "weights_files"  # attribute of a feature: setting -> the file of weights that was given
IMPORTED = "imported"  # setting of a feature of the user's own, which no extractor makes
FOLD_TAG = "fold"  # tag of a feature whose encoder was fine-tuned for one fold, before the fold's number
HUB = "hub:"  # before OWNER/NAME, a repository of the Hugging Face hub in place of a path
TAG = "@"  # between the name of an extractor and a tag: two versions of a feature in one store


def extractor_name(feature: str) -> str:
    """The extractor of a feature: "mae-vit-l" for "mae-vit-l@pretrained"."""
    return feature.partition(TAG)[0]


def check_feature_name(feature: str) -> None:
    """Raise UsageError unless a feature's name, and its tag if it has one, can be stored."""
    if not FEATURE_NAME.fullmatch(feature):
        raise UsageError(
            f"{feature!r} is not a feature's name",
            hint="use letters, digits, '.', '_' and '-', and at most one '@' before a tag",
        )


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
    settings: Mapping[str, object] = field(default_factory=dict)

    def attributes(self) -> dict[str, object]:
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


def present_settings(settings: Mapping[str, object]) -> dict[str, object]:
    """A feature's settings in the present names, for settings of any version."""
    renamed = {RENAMED_SETTINGS.get(name, name): value for name, value in settings.items()}
    return {
        name: RENAMED_VALUES.get((name, value), value) if isinstance(value, str) else value
        for name, value in renamed.items()
    }


def fingerprint(value: object) -> str:
    """Twelve hexadecimal digits of a JSON value's SHA-256, keys sorted."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
