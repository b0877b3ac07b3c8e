"""The weights of a run's features, copied into the run (`va train --bundle-encoder`)."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vacli.errors import WeightsError
from vacli.features.encoder_frames import FRAMES_FILE
from vacli.features.encoder_run import read_encoder_run
from vacli.features.weights import short_hash
from vacli.features.weights_search import (
    ENCODERS,
    HASHES,
    WeightsSearch,
    named_weights,
    published_file,
    weights_file,
)
from vacli.files import atomic, digests
from vacli.files.run_directory import WEIGHTS_FILE
from vacli.progress import Progress
from vacli.recipe.schema import Model
from vacli.spec import VISUAL


@dataclass(frozen=True, kw_only=True)
class EncoderFile:
    """The weights of one of a feature's settings: a file, or a run of finetune-mae."""

    feature: str
    key: str
    path: Path
    sha256: str  # first digits

    def copy_into(self, run: Path) -> None:
        """Copy the weights to encoders/FEATURE/KEY.* of a run; a run of finetune-mae becomes a folder.

        Raises WeightsError if they have changed since they were found, OutputError.
        """
        folder = run / ENCODERS / self.feature
        if self.path.is_dir():
            target = folder / self.key
            record, weights = read_encoder_run(self.path)
            target.mkdir(parents=True, exist_ok=True)
            with digests.staged_file(target / WEIGHTS_FILE, weights.stat().st_size) as part:
                self._copy(weights, part)
            record.write(target)
            if (self.path / FRAMES_FILE).is_file():
                digests.write(target / FRAMES_FILE, (self.path / FRAMES_FILE).read_bytes())
            return
        folder.mkdir(parents=True, exist_ok=True)
        with atomic.staged_file(folder / f"{self.key}{self.path.suffix}", self.path.stat().st_size) as part:
            self._copy(self.path, part)

    def _copy(self, source: Path, target: Path) -> None:
        shutil.copyfile(source, target)
        if short_hash(target) != self.sha256:
            raise WeightsError(f"{source} has changed while the model was trained", hint="train it again")


def encoder_files(
    model: Model, features: Mapping[str, Mapping[str, object]], given: Mapping[str, Path], progress: Progress
) -> tuple[EncoderFile, ...]:
    """The files of weights that the features of a model were extracted with.

    features: feature -> its record. given: name of a feature, or "" -> a file or a run of finetune-mae. The
    weights in the package are left out. Raises WeightsError if some are not found, UsageError for a name of
    no feature.
    """
    visual = [name for stream in model.streams if stream.name == VISUAL for name in stream.features]
    search = WeightsSearch(given=named_weights(given, features, visual))
    return tuple(file for name, record in features.items() for file in _files(name, record, search, progress))


def _files(
    feature: str, record: Mapping[str, Any], search: WeightsSearch, progress: Progress
) -> Iterator[EncoderFile]:
    settings, found = record.get("settings", {}), search.find(feature, record)
    for key in HASHES:
        path = found.get(key) or (published_file(feature, key, progress) if key in settings else None)
        if path is None:
            continue
        sha256 = short_hash(weights_file(path))
        if key not in found and sha256 != settings[key]:
            raise WeightsError(
                f"{feature} was extracted with weights {settings[key]}, the published ones are {sha256}",
                hint=f"give them with --weights {feature}=FILE",
            )
        yield EncoderFile(feature=feature, key=key, path=path, sha256=sha256)


def copy_encoders(files: Iterable[EncoderFile], run: Path, progress: Progress) -> None:
    """Copy weights into a run; raises as `EncoderFile.copy_into`."""
    for file in files:
        file.copy_into(run)
        progress.info(f"{run}: the weights of {file.feature} were copied from {file.path}")
