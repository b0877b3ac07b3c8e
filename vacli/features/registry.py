"""The table of extractors: a name on the command line -> the class that computes it.

Strings, so that names can be listed and completed without importing torch or openSMILE.
"""

from __future__ import annotations

import importlib
from typing import Any

from vacli.errors import UsageError, nearest
from vacli.packages import needed_by

EXTRACTORS: dict[str, str] = {
    "mae-vit-l": "vacli.features.backbones.backbone:MaeVitL",
    "resnet50": "vacli.features.backbones.backbone:Resnet50",
    "compact": "vacli.features.compact.extractor:Compact",
    "egemaps": "vacli.features.opensmile.lld:Egemaps",
    "egemaps-functionals": "vacli.features.opensmile.functionals:EgemapsFunctionals",
    "egemaps-v02": "vacli.features.opensmile.lld:EgemapsV02",
    "gemaps-functionals": "vacli.features.opensmile.functionals:GemapsFunctionals",
    "mfcc39": "vacli.features.opensmile.lld:Mfcc39",
    "vggish": "vacli.features.vggish.extractor:Vggish",
}


def create(name: str, **settings: Any) -> Any:
    """Build the extractor `name`; `settings` are the keyword arguments of its class.

    Raises: UsageError for an unknown name, PackageMissing or WeightsError from the class itself.
    """
    if name not in EXTRACTORS:
        raise UsageError(f"there is no feature called {name!r}", hint=nearest(name, EXTRACTORS))
    module, _, attribute = EXTRACTORS[name].partition(":")
    with needed_by(f"the feature {name}"):
        return getattr(importlib.import_module(module), attribute)(**settings)
