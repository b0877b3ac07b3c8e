"""The search for the weights of a feature that a run was trained on, by the hashes that the run recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vacli.errors import UsageError, WeightsError, nearest
from vacli.features.downloads import checkpoint_file
from vacli.features.encoder_run import read_encoder_run
from vacli.features.weights import WEIGHTS, locate, short_hash
from vacli.files.run_directory import ENCODER_FILE
from vacli.progress import Progress
from vacli.spec import HUB, WEIGHTS_FILES, extractor_name

HASHES = ("weights", "pca")  # settings of a feature that hold the short hash of a file of weights
UNNAMED = ""  # key of a file that is given without a name: that of the single visual feature
ENCODERS = "encoders"  # folder of the weights that a run carries: encoders/FEATURE/SETTING.*
SELF_IDENTIFIED = ".onnx"  # suffix of files whose metadata has the hash; the extractor compares it


@dataclass(frozen=True, kw_only=True)
class WeightsSearch:
    """Where to look for weights, in this order; the published weights come last.

    given: name of a feature, or of its PCA ("vggish-pca") -> a file or a run of finetune-mae. run: the run,
    or one fold of it, which may carry weights. After these comes the place where they were when the feature
    was extracted.
    """

    given: Mapping[str, Path] = field(default_factory=dict)
    run: Path | None = None

    def find(self, feature: str, record: Mapping[str, Any]) -> dict[str, Path]:
        """Setting -> the file or run with its weights; settings with published weights are left out.

        Raises WeightsError if a file is missing or has another hash, or if the weights are not the published
        ones and are not found.
        """
        settings = record.get("settings", {})
        searched = {key: self._find(feature, key, record) for key in HASHES if key in settings}
        if not settings and (path := self._given(feature, "weights")):
            searched["weights"] = path  # a run of an early version has no hash to compare
        return {key: path for key, path in searched.items() if path is not None}

    def _find(self, feature: str, key: str, record: Mapping[str, Any]) -> Path | None:
        expected = str(record["settings"][key])
        for path in filter(None, (self._given(feature, key), self._carried(feature, key))):
            if not _is_repository(path):
                _check(path, feature, key, expected)
            return path
        recorded = record.get(WEIGHTS_FILES, {}).get(key)
        if recorded is None:
            _check_published(feature, key, expected)
            return None
        if _is_repository(recorded):
            return Path(recorded)
        if Path(recorded).exists() and _matches(Path(recorded), expected):
            return Path(recorded)
        raise _not_found(feature, key, f"{expected} (they were {recorded})")

    def _given(self, feature: str, key: str) -> Path | None:
        for name in (feature, extractor_name(feature)):
            if path := self.given.get(weights_name(name, key)):
                return path
        return None

    def _carried(self, feature: str, key: str) -> Path | None:
        if self.run is None:
            return None
        folders = (self.run / ENCODERS / feature, self.run.parent / ENCODERS / feature)
        found = (path for folder in folders for path in _named(folder, key))
        return next(found, None)


def named_weights(
    weights: Mapping[str, Path], records: Mapping[str, Mapping[str, object]], visual: Sequence[str]
) -> dict[str, Path]:
    """The weights that were given for features, by name.

    weights: name or UNNAMED -> file. records: feature -> its record. visual: the visual features. Raises
    UsageError for a name of none of the features, and for UNNAMED unless there is one visual feature.
    """
    known = set[str]().union(*(_weights_names(name, record) for name, record in records.items()))
    named = dict(weights)
    if unnamed := named.pop(UNNAMED, None):
        if len(visual) != 1:
            raise UsageError(
                f"--weights {unnamed}: the run has {len(visual)} visual features",
                hint=f"name the feature: --weights NAME=FILE, with one of {', '.join(sorted(known))}",
            )
        named.setdefault(visual[0], unnamed)
    for name in named:
        if name not in known:
            raise UsageError(f"--weights {name}=...: the run has no such weights", hint=nearest(name, known))
    return named


def _weights_names(feature: str, record: Mapping[str, Any]) -> set[str]:
    """The names of a feature's weights on the command line, with and without its tag."""
    settings = record.get("settings") or ("weights",)
    keys = [key for key in HASHES if key in settings]
    return {weights_name(name, key) for name in (feature, extractor_name(feature)) for key in keys}


def published_file(feature: str, key: str, progress: Progress) -> Path | None:
    """The published weights of a feature's setting, fetched if needed; None for those in the package."""
    name = weights_name(extractor_name(feature), key)
    if name in WEIGHTS:
        return None if WEIGHTS[name].source == "package" else locate(name, None, progress)
    from vacli.features.backbones.backbone import published_weights

    return published_weights(name, None, progress)


def weights_name(feature: str, key: str) -> str:
    """The name of the weights of one of a feature's settings on the command line."""
    return feature if key == "weights" else f"{feature}-{key}"


def weights_file(path: Path) -> Path:
    """A file of weights: `path`, or that of a checkpoint's folder or of a run of finetune-mae.

    Raises WeightsError if there is none.
    """
    if path.is_dir():
        return checkpoint_file(path) or read_encoder_run(path)[1]
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file", hint="check the path that --weights names")
    return path


def _named(folder: Path, key: str) -> Iterator[Path]:
    """The file of a setting's weights with any suffix, or the run of finetune-mae of that name."""
    for path in sorted(folder.glob(f"{key}*")) if folder.is_dir() else ():
        if path.stem == key and (path.is_file() or (path / ENCODER_FILE).is_file()):
            yield path


def _is_repository(path: Path | str) -> bool:
    """Whether weights are in a repository of the hub; the extractor compares their hash."""
    return str(path).startswith(HUB)


def _matches(path: Path, expected: str) -> bool:
    file = weights_file(path)
    return file.suffix == SELF_IDENTIFIED or short_hash(file) == expected


def _check(path: Path, feature: str, key: str, expected: str) -> None:
    if not _matches(path, expected):
        raise WeightsError(
            f"{path} has the SHA-256 {short_hash(weights_file(path))}..., the run was trained on "
            f"{weights_name(feature, key)} with weights {expected}",
            hint=f"give these with --weights {weights_name(feature, key)}=FILE",
        )


def _check_published(feature: str, key: str, expected: str) -> None:
    """Raise WeightsError if the published weights are known to have another hash, before they are fetched."""
    record = WEIGHTS.get(weights_name(extractor_name(feature), key))
    published = record.sha256 if record else ""
    if not (published.startswith(expected) or expected.startswith(published)):
        raise _not_found(feature, key, f"{expected}, not the published {published[:12]}")


def _not_found(feature: str, key: str, weights: str) -> WeightsError:
    return WeightsError(
        f"the run was trained on {weights_name(feature, key)} with weights {weights}",
        hint=f"give them with --weights {weights_name(feature, key)}=FILE, or predict from a store",
    )
