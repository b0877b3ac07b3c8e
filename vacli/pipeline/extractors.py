"""The extractors of a run's features, made as they were for its training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vacli.errors import PackageMissing, RunError
from vacli.features.registry import create
from vacli.inference.run import Run
from vacli.pipeline.observation import Extractors
from vacli.progress import Progress
from vacli.runtime.options import ExecutionOptions
from vacli.spec import AUDIO, VISUAL, FeatureSpec

PRECISION_SETTINGS = frozenset(
    {"dtype", "frame_stride"}
)  # they change a feature's precision, not its meaning


def build_extractors(model: Run, device: str, weights: Path | None, progress: Progress) -> Extractors:
    """Build the extractors of a run's streams.

    weights: those of the visual feature, None for its own. Audio is left out with a warning if openSMILE is
    not installed. Raises RunError if an extractor has other settings or another width than in training.
    """
    options = {"execution": ExecutionOptions(device=device), "weights": weights}
    streams = {stream.name: stream.features for stream in model.recipe.model.streams}
    visual = {name: create(name, **options) for name in streams.get(VISUAL, ())}
    audio = _audio_extractors(streams.get(AUDIO, ()), progress)
    extractors = visual | audio
    for name, extractor in extractors.items():
        check_settings(model, name, extractor.spec)
    _check_widths(model, extractors)
    return Extractors(visual, audio)


def _audio_extractors(names: tuple[str, ...], progress: Progress) -> dict[str, Any]:
    try:
        return {name: create(name) for name in names}
    except PackageMissing as error:
        if error.package != "opensmile":  # its licence may be why it is not installed
            raise
        progress.warn(f"audio is left out: {error.one_line()}")
        return {}


def check_settings(model: Run, name: str, spec: FeatureSpec) -> None:
    """Raise RunError if a feature's extractor has another version or other settings than in training."""
    trained, own = model.features.get(name, {}), json.loads(json.dumps(spec.attributes()))
    settings = trained.get("settings", {})
    shared = settings.keys() & own["settings"].keys() - PRECISION_SETTINGS
    other = sorted(key for key in shared if settings[key] != own["settings"][key])
    if trained and (other or trained["version"] != own["version"]):
        raise RunError(
            f"{model.path} was trained on {name} with other {', '.join(other) or 'version'}",
            hint="give --weights with what `va extract-visual` was given, or predict from a store",
        )


def _check_widths(model: Run, extractors: Mapping[str, Any]) -> None:
    for stream in model.recipe.model.streams:
        widths = [extractors[name].spec.dim for name in stream.features if name in extractors]
        if len(widths) == len(stream.features) > 0 and sum(widths) != stream.dim:
            raise RunError(
                f"{model.path} needs {stream.dim} columns of {stream.name}, its features have {sum(widths)}",
                hint="predict from a store with the features that it was trained on",
            )
