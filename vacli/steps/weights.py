"""`va weights`: list the weights of the features with their sources and licences, and fetch them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vacli.features.downloads import (
    Weights,
    cached_file,
    hub_checkpoint,
    known_sha256,
    locate_record,
)
from vacli.features.weights import WEIGHTS, locate
from vacli.packages import EXTRAS, needed_by
from vacli.progress import Progress, RecordingProgress
from vacli.spec import HUB
from vacli.steps._batch import DONE, Batch, Failure, run_each

IN_PACKAGE, CACHED, NOT_FETCHED = "in the package", "in the cache", "not fetched"


@dataclass(frozen=True, kw_only=True)
class WeightsStatus:
    """One file of weights. sha256: its first digits or all, "" where unknown. state: where it is."""

    name: str
    record: Weights
    sha256: str
    state: str


@dataclass(frozen=True, kw_only=True)
class FetchSettings:
    """names: weights of the table, speech checkpoints as `hub:OWNER/NAME`, or timm models."""

    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class FetchResult:
    """Name -> the file with its weights, and the names that failed."""

    paths: Mapping[str, Path]
    failed: tuple[Failure, ...]


def list_weights() -> tuple[WeightsStatus, ...]:
    """All weights of the table and whether they are on this machine. Nothing is fetched."""
    return tuple(_status(name, record) for name, record in WEIGHTS.items())


def run(settings: FetchSettings, progress: Progress | None = None) -> FetchResult:
    """Fetch weights and check their SHA-256. A name that fails is recorded, and the others are fetched."""
    progress, paths = progress or RecordingProgress(), dict[str, Path]()

    def work(name: str) -> str:
        with needed_by(f"the weights {name}"):
            paths[name] = _fetch(name, progress)
        return DONE

    batch = run_each(Batch(Path()), dict.fromkeys(settings.names), str, work, progress)
    return FetchResult(paths=paths, failed=tuple(batch.failed))


def _fetch(name: str, progress: Progress) -> Path:
    if name in WEIGHTS:
        return locate(name, None, progress)
    if name.startswith(HUB):
        return locate_record(name, hub_checkpoint(name), None, progress)
    from vacli.features.backbones.backbone import published_weights

    return published_weights(name, None, progress)


def _status(name: str, record: Weights) -> WeightsStatus:
    try:
        found, sha256 = cached_file(record), known_sha256(record)
    except ModuleNotFoundError as error:  # of the package that has the cache
        if (error.name or "").partition(".")[0] not in EXTRAS:
            raise
        found, sha256 = None, record.sha256
    here = IN_PACKAGE if record.source == "package" else CACHED
    return WeightsStatus(name=name, record=record, sha256=sha256, state=here if found else NOT_FETCHED)
