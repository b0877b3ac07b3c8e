"""The table of feature extractors: a new one is a class and one entry here.

Nothing heavy is imported before an extractor is created, so that the command line can list the table.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vacli.errors import UsageError, nearest
from vacli.features.protocols import AudioExtractor, VisualExtractor
from vacli.packages import needed_by
from vacli.spec import AUDIO, TAG, VISUAL, check_feature_name, extractor_name


@dataclass(frozen=True, kw_only=True)
class EmotionColumns:
    """The columns of a feature that estimate valence and arousal, each from 0 to 1.

    std: (valence, arousal) standard deviation of the error, where 0 to 1 is mapped to -1 to 1.
    """

    valence: int
    arousal: int
    std: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An extractor. `help` is one line; a `default` one is used when none is named.

    emotion: for a feature that can be used as a speech model of `va predict`.
    """

    path: str  # module:class
    modality: str  # VISUAL or AUDIO
    help: str
    licence: str
    default: bool = False
    emotion: EmotionColumns | None = None


# Not measured here. The labels of MSP-Podcast are from 1 to 7; the network maps them to 0 to 1, `va` to -1
# to 1. The published concordance on its test set is 0.638 for valence and 0.745 for arousal (Wagner et al.
# 2023). By definition the mean squared error is (1 - CCC) x (the two variances + the squared bias): errors
# of 0.34 and 0.29 for standard deviations of 0.4. Windows of 3 s of other recordings are harder: x 1.4.
MSP_DIM_STD = (0.48, 0.4)
OPENSMILE_LICENCE = "audEERING openSMILE licence: research and private use"

EXTRACTORS: dict[str, Entry] = {
    "compact": Entry(
        path="vacli.features.compact.extractor:Compact",
        modality=VISUAL,
        help="the bundled face network, fast on a CPU: 128 values",
        licence="see the card beside the file",
        default=True,
    ),
    "mae-vit-l": Entry(
        path="vacli.features.backbones.backbone:MaeVitL",
        modality=VISUAL,
        help="masked autoencoder, ViT-L (He et al. 2022): 1024 values",
        licence="CC-BY-NC-4.0",
    ),
    "resnet50": Entry(
        path="vacli.features.backbones.backbone:Resnet50",
        modality=VISUAL,
        help="ResNet-50 trained on ImageNet: 2048 values",
        licence="Apache-2.0",
    ),
    "egemaps": Entry(
        path="vacli.features.opensmile.lld:Egemaps",
        modality=AUDIO,
        help="low-level descriptors of eGeMAPSv01b: 23 values",
        licence=OPENSMILE_LICENCE,
        default=True,
    ),
    "mfcc39": Entry(
        path="vacli.features.opensmile.lld:Mfcc39",
        modality=AUDIO,
        help="13 MFCCs with first and second differences: 39 values",
        licence=OPENSMILE_LICENCE,
        default=True,
    ),
    "speech": Entry(
        path="vacli.features.speech_activity.extractor:SpeechActivity",
        modality=AUDIO,
        help="the probability of speech (Silero VAD 6): 1 value",
        licence="MIT",
        default=True,
    ),
    "vggish": Entry(
        path="vacli.features.vggish.extractor:Vggish",
        modality=AUDIO,
        help="VGGish of 0.96 s (Hershey et al. 2017): 128 values",
        licence="Apache-2.0",
    ),
    "egemaps-v02": Entry(
        path="vacli.features.opensmile.lld:EgemapsV02",
        modality=AUDIO,
        help="low-level descriptors of eGeMAPSv02: 25 values",
        licence=OPENSMILE_LICENCE,
    ),
    "gemaps-functionals": Entry(
        path="vacli.features.opensmile.functionals:GemapsFunctionals",
        modality=AUDIO,
        help="GeMAPSv01b functionals, sliding window: 62 values",
        licence=OPENSMILE_LICENCE,
    ),
    "egemaps-functionals": Entry(
        path="vacli.features.opensmile.functionals:EgemapsFunctionals",
        modality=AUDIO,
        help="eGeMAPSv02 functionals, sliding window: 88 values",
        licence=OPENSMILE_LICENCE,
    ),
    "wav2vec2-msp-dim": Entry(
        path="vacli.features.wav2vec.extractor:Wav2vec2MspDim",
        modality=AUDIO,
        help="arousal, dominance, valence (Wagner et al. 2023): 3 values",
        licence="CC-BY-NC-SA-4.0: not for commercial use",
        emotion=EmotionColumns(valence=2, arousal=0, std=MSP_DIM_STD),
    ),
    "wav2vec2": Entry(
        path="vacli.features.wav2vec.extractor:Wav2vec2",
        modality=AUDIO,
        help="hidden states of wav2vec 2.0, base or --weights: 768 values",
        licence="Apache-2.0",
    ),
    "hubert": Entry(
        path="vacli.features.wav2vec.extractor:Hubert",
        modality=AUDIO,
        help="hidden states of HuBERT, base or --weights: 768 values",
        licence="Apache-2.0",
    ),
    "wavlm": Entry(
        path="vacli.features.wav2vec.extractor:WavLM",
        modality=AUDIO,
        help="hidden states of WavLM, base+ or --weights: 768 values",
        licence="MIT",
    ),
}
TIMM_MODEL = "vacli.features.backbones.backbone:TimmBackbone"  # for visual features that are not in the table


def names(modality: str) -> tuple[str, ...]:
    """The extractors of a modality, in the order of the table."""
    return tuple(name for name, entry in EXTRACTORS.items() if entry.modality == modality)


def default_names(modality: str) -> tuple[str, ...]:
    """The extractors of a modality that are used when none is named."""
    return tuple(name for name in names(modality) if EXTRACTORS[name].default)


def speech_models() -> tuple[str, ...]:
    """The features that can be used as a speech model of `va predict`."""
    return tuple(name for name, entry in EXTRACTORS.items() if entry.emotion)


def create(name: str, **options: object) -> Any:
    """Build the extractor `name`, with or without a tag; `options` are the keyword arguments of its class.

    Raises: UsageError for an unknown name, PackageMissing or WeightsError from the class itself.
    """
    entry = EXTRACTORS.get(extractor_name(name))
    if entry is None:
        raise UsageError(f"there is no feature called {name!r}", hint=nearest(name, EXTRACTORS))
    with needed_by(f"the feature {name}"):
        return _tagged(_load(entry.path)(**options), name)


def create_visual(name: str, options: Mapping[str, object]) -> VisualExtractor:
    """Build a visual extractor of the table, or a timm model; the name may have a tag.

    Raises: UsageError for an audio feature or an option that the extractor does not have, and as `create`.
    """
    check_feature_name(name)
    entry = EXTRACTORS.get(extractor_name(name))
    if entry is not None and entry.modality != VISUAL:
        raise UsageError(f"{name} is an audio feature", hint="use `va extract-audio`")
    with needed_by(f"the feature {name}"):
        if entry is None:
            return _tagged(_load(TIMM_MODEL)(extractor_name(name), **options), name)
        build = _load(entry.path)
    for option in options:
        if not _has_option(build, option):
            raise UsageError(f"the feature {name} has no option {option}", hint=f"leave out --{option}")
    return create(name, **options)


def tagged_name(name: str, tag: str | None) -> str:
    """The name under which a feature is stored; UsageError if the name has a tag already."""
    if tag is None:
        return name
    if TAG in name:
        raise UsageError(f"{name} has a tag already", hint=f"leave out --tag {tag}")
    return f"{name}{TAG}{tag}"


def create_audio(name: str, options: Mapping[str, object]) -> AudioExtractor:
    """Build an audio extractor with those of `options` that it has; the name may have a tag.

    Raises: UsageError for a name that is no audio feature, and as `create`.
    """
    check_feature_name(name)
    base = extractor_name(name)
    if base not in names(AUDIO):
        raise UsageError(f"there is no audio feature called {name!r}", hint=nearest(base, names(AUDIO)))
    with needed_by(f"the feature {name}"):
        build = _load(EXTRACTORS[base].path)
    return create(name, **_options_of(build, options))


def recreate(
    name: str, settings: Mapping[str, object], weights: Mapping[str, Path], options: Mapping[str, object]
) -> Any:
    """Build the extractor of a stored feature again, from the settings that the store or a run has of it.

    settings, weights: see `protocols.Extractor`. options: further keyword arguments, of which those that the
    class has are used. A visual feature that is not in the table is a timm model. Raises as `create`.
    """
    base = extractor_name(name)
    with needed_by(f"the feature {name}"):
        build = _load(EXTRACTORS[base].path if base in EXTRACTORS else TIMM_MODEL)
        own = build.options_from(settings, weights) if hasattr(build, "options_from") else {}
        given = {**_options_of(build, options), **own}
        return _tagged(build(**given) if base in EXTRACTORS else build(base, **given), name)


def _tagged(extractor: Any, name: str) -> Any:
    """The extractor with the tag of `name` in the name of its feature."""
    _, sign, tag = name.partition(TAG)
    if sign:
        extractor.spec = replace(extractor.spec, name=f"{extractor.spec.name}{TAG}{tag}")
    return extractor


def _options_of(build: object, options: Mapping[str, object]) -> dict[str, object]:
    """Those of `options` that a class has."""
    return {key: value for key, value in options.items() if _has_option(build, key)}


def _load(path: str) -> Any:
    """The class at `module:class`."""
    module, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _has_option(build: Any, option: str) -> bool:
    """Whether a class, or a function in its place, takes a keyword argument."""
    parameters = inspect.signature(build).parameters.values()
    return any(p.name == option or p.kind is p.VAR_KEYWORD for p in parameters)
