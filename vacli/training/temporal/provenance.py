"""Settings of the feature extractors of a run, so that its users can extract the same features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields

from vacli.errors import StoreError
from vacli.recipe.schema import Model
from vacli.spec import WEIGHTS_FILES, FeatureSpec
from vacli.store.reader import VideoView

Features = Mapping[str, Mapping[str, object]]


def describe_features(views: Sequence[VideoView], model: Model) -> dict[str, dict[str, object]]:
    """Feature -> its stored settings and fingerprint; StoreError where they differ between videos."""
    names = [name for stream in model.streams for name in stream.features]
    return {name: _same(views, name) for name in names}


def _same(views: Sequence[VideoView], name: str) -> dict[str, object]:
    first = _describe(views[0], name)
    for view in views[1:]:
        other = _describe(view, name)
        if other["fingerprint"] != first["fingerprint"]:
            raise StoreError(
                f"feature {name!r} of {view.path} has other settings than that of {views[0].path.name} "
                f"({other['fingerprint']}, {first['fingerprint']})",
                hint="extract it again with --force, with one set of options for all videos",
            )
    return first


def _describe(view: VideoView, name: str) -> dict[str, object]:
    stored = view.part_attrs(f"feature/{name}")
    spec = FeatureSpec(**{f.name: stored[f.name] for f in fields(FeatureSpec) if f.name in stored})
    given = {WEIGHTS_FILES: stored[WEIGHTS_FILES]} if WEIGHTS_FILES in stored else {}
    return {**spec.attributes(), "fingerprint": spec.fingerprint(), **given}
