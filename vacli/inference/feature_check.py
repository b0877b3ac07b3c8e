"""Comparison of a run's features with those of a store or an extractor.

A run records of each feature the extractor, its version, its settings and the hashes of its weights. The
same run on features that were made in another way gives other, mostly meaningless predictions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vacli.errors import RunError, StoreError
from vacli.inference.run import Run
from vacli.spec import FeatureSpec

if TYPE_CHECKING:
    from vacli.store.reader import (
        VideoView,
    )  # it imports zarr, which a prediction of recordings does not need

# These change the precision of a feature, not its meaning.
PRECISION_SETTINGS = frozenset({"dtype", "frame_stride"})
ALLOW = "extract the feature with the settings of the run, or go on with --allow-mismatch"
MAX_CHARACTERS = 40  # of a value in a message


@dataclass(frozen=True)
class Mismatch:
    """A feature of `count` videos that differs from that of a run; `differences` are those of `example`."""

    feature: str
    example: VideoView
    count: int
    differences: tuple[str, ...]


def feature_differences(trained: Mapping[str, object], present: Mapping[str, object]) -> list[str]:
    """What differs between two records of a feature, each as "KEY TRAINED, not PRESENT".

    Records of early versions have no settings, which is no difference. PRECISION_SETTINGS are left out.
    """
    pairs = {key: (trained[key], present.get(key)) for key in ("version", "dim") if key in trained}
    if "version" in trained:
        settings, other = _comparable(trained), _comparable(present)
        pairs |= {key: (settings.get(key), other.get(key)) for key in sorted(settings.keys() | other.keys())}
    return [f"{key} {_text(a)}, not {_text(b)}" for key, (a, b) in pairs.items() if a != b]


def check_extractor(run: Run, name: str, spec: FeatureSpec) -> None:
    """Raise RunError if a feature's extractor differs from the one that the run was trained on."""
    differences = feature_differences(run.features.get(name, {}), spec.attributes())
    if differences:
        raise RunError(
            f"{run.path} was trained on {name} with {'; '.join(differences)}",
            hint=f"give the weights of the training with --weights {name}=FILE, or predict from a store",
        )


def check_stored_features(run: Run, views: Sequence[VideoView], *, allow: bool = False) -> tuple[str, ...]:
    """Compare the features of stored videos with those that a run was trained on.

    Videos without a feature, or with a damaged one, are left out: they fail where they are read. A run of an
    early version has no record; its videos are compared with the first of them.
    Returns: with `allow`, a sentence for each feature that differs. Raises RunError otherwise.
    """
    names = [name for m in run.members for s in m.model.streams for name in s.features]
    found = [m for name in dict.fromkeys(names) if (m := _mismatch(run, name, views))]
    if found and not allow:
        raise RunError(_sentence(run, found[0], len(views)), hint=ALLOW)
    return tuple(f"{_sentence(run, mismatch, len(views))} (--allow-mismatch)." for mismatch in found)


def _mismatch(run: Run, name: str, views: Iterable[VideoView]) -> Mismatch | None:
    reference = run.features.get(name, {})
    reference = reference if "version" in reference else {}
    found: list[tuple[VideoView, list[str]]] = []
    for view in views:
        stored = _stored(view, name)
        reference = reference or stored
        if differences := feature_differences(reference, stored) if stored else []:
            found.append((view, differences))
    if not found:
        return None
    example, differences = found[0]
    return Mismatch(name, example, len(found), tuple(differences))


def _stored(view: VideoView, name: str) -> dict[str, object]:
    try:
        return view.part_attrs(f"feature/{name}") if view.has(f"feature/{name}") else {}
    except StoreError:
        return {}


def _sentence(run: Run, mismatch: Mismatch, count: int) -> str:
    store: Path = mismatch.example.path.parent
    return (
        f"{run.path} was trained on {mismatch.feature} with {'; '.join(mismatch.differences)} "
        f"({mismatch.count} of {count} videos of {store}, such as {mismatch.example.id})"
    )


def _comparable(record: Mapping[str, Any]) -> dict[str, object]:
    """The settings of a record as JSON values, without those that do not change its meaning."""
    settings = json.loads(json.dumps(dict(record.get("settings", {})), default=str))
    return {key: value for key, value in settings.items() if key not in PRECISION_SETTINGS}


def _text(value: object) -> str:
    if value is None:
        return "absent"
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= MAX_CHARACTERS else f"{text[: MAX_CHARACTERS - 3]}..."
