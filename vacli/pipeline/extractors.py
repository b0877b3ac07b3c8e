"""The extractors of a run's features, made as they were for its training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vacli.errors import PackageMissing, RunError
from vacli.features.registry import EXTRACTORS, create, recreate
from vacli.features.weights_search import WeightsSearch, named_weights
from vacli.inference.feature_check import check_extractor
from vacli.inference.run import Run
from vacli.pipeline.observation import Extractors
from vacli.progress import Progress
from vacli.runtime.options import ExecutionOptions
from vacli.spec import AUDIO, IMPORTED, VISUAL, extractor_name

SPEECH = "speech"  # the feature that has the probability of speech


@dataclass(frozen=True)
class _Feature:
    """A feature of a run, VISUAL or AUDIO, and the record of how it was extracted."""

    name: str
    modality: str
    record: Mapping[str, Any]


def build_extractors(model: Run, device: str, weights: Mapping[str, Path], progress: Progress) -> Extractors:
    """Build the extractors of a run's streams from the settings that the run recorded.

    weights: name of a feature -> its weights, UNNAMED for those of the single visual feature; the others
    are searched (`WeightsSearch`). Audio is left out with a warning if openSMILE is not installed. If there
    are audio features, SPEECH is one of them. Raises RunError if an extractor differs from that of the
    training or if a feature was imported, WeightsError if weights are not found, UsageError for the name of
    no feature.
    """
    features = _features(model)
    visual_names = [feature.name for feature in features if feature.modality == VISUAL]
    given = named_weights(weights, {feature.name: feature.record for feature in features}, visual_names)
    search = WeightsSearch(given=given, run=model.path)
    options = {"execution": ExecutionOptions(device=device), "progress": progress}

    def build(modality: str) -> dict[str, Any]:
        return {f.name: _build(model, f, search, options) for f in features if f.modality == modality}

    visual, audio = build(VISUAL), _without_opensmile(lambda: build(AUDIO), progress)
    _check_widths(model, visual | audio)
    if audio and SPEECH not in audio:
        audio[SPEECH] = create(SPEECH)
    return Extractors(visual, audio)


def _features(model: Run) -> list[_Feature]:
    """The features of a run's streams. Raises RunError for an imported one, which has no extractor."""
    features = []
    for stream in model.recipe.model.streams:
        for name in stream.features:
            record = model.features.get(name, {})
            if IMPORTED in record.get("settings", {}):
                raise RunError(
                    f"{model.path} uses the feature {name}, which was imported with `va import-feature`",
                    hint="give a store that has the feature, instead of recordings",
                )
            entry = EXTRACTORS.get(extractor_name(name))
            known = entry.modality if entry else record.get("modality", stream.name)
            features.append(_Feature(name, str(known), record))
    return features


def _build(model: Run, feature: _Feature, search: WeightsSearch, options: Mapping[str, Any]) -> Any:
    found = search.find(feature.name, feature.record)
    extractor = recreate(feature.name, feature.record.get("settings", {}), found, options)
    check_extractor(model, feature.name, extractor.spec)
    return extractor


def _without_opensmile(build: Callable[[], dict[str, Any]], progress: Progress) -> dict[str, Any]:
    """The audio extractors; none, with a warning, if openSMILE is not installed."""
    try:
        return build()
    except PackageMissing as error:
        if error.package != "opensmile":  # its licence may be why it is not installed
            raise
        progress.warn(f"audio is left out: {error.one_line()}")
        return {}


def _check_widths(model: Run, extractors: Mapping[str, Any]) -> None:
    for stream in model.recipe.model.streams:
        widths = [extractors[name].spec.dim for name in stream.features if name in extractors]
        if len(widths) == len(stream.features) > 0 and sum(widths) != stream.dim:
            raise RunError(
                f"{model.path} needs {stream.dim} columns of {stream.name}, its features have {sum(widths)}",
                hint="predict from a store with the features that it was trained on",
            )
