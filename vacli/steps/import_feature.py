"""`va import-feature`: store a user's own feature of videos, from one file of rows for each video."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vacli.datasets.feature_arrays import READERS, FeatureArray, read_array
from vacli.errors import InputError, StoreError, UsageError
from vacli.features.registry import EXTRACTORS
from vacli.files.digests import file_sha256
from vacli.progress import Progress, RecordingProgress
from vacli.spec import AUDIO, IMPORTED, VISUAL, FeatureSpec, check_feature_name, extractor_name
from vacli.steps._batch import DONE, SKIPPED, Batch, run_each
from vacli.store import Store, VideoView

SOURCE = "source_file"  # attribute of an imported feature: the file's name and SHA-256, and the rate
MAX_NAMED = 5  # files in a message


@dataclass(frozen=True, kw_only=True)
class ImportFeatureSettings:
    """The feature's name, the files and the store with their videos.

    arrays: a file, or a folder of files that are called like the videos (`datasets.feature_arrays`). rate_hz:
    the rate of rows without times; None: they are the frames. version: recorded in runs and compared with
    that of a store; a name or a number for how the feature was made.
    """

    name: str
    arrays: Path
    store: Path
    modality: Literal["visual", "audio"] = "visual"
    rate_hz: float | None = None
    version: str = "1"
    force: bool = False


def run(settings: ImportFeatureSettings, progress: Progress | None = None) -> Batch:
    """Add the feature to each video of the store that has a file; frames without a value are flagged.

    A file that fails is recorded, and the others are imported. Raises UsageError for a name that an extractor
    has, InputError if no file is called like a video.
    """
    progress = progress or RecordingProgress()
    _check(settings)
    store = Store.open(settings.store)
    files = _matched(settings.arrays, store, progress)
    importer = _Importer(settings, store)
    batch = run_each(
        Batch(store.path), files.items(), lambda item: item[1].name, lambda i: importer.work(*i), progress
    )
    if note := importer.note():
        progress.warn(note)
    if without := [name for name in store.video_ids() if name not in files]:
        progress.warn(
            f"{len(without)} videos of {store.path} have no file with {settings.name}: {_listed(without)}"
        )
    return batch


def _check(settings: ImportFeatureSettings) -> None:
    check_feature_name(settings.name)
    if extractor_name(settings.name) in EXTRACTORS:
        raise UsageError(
            f"{settings.name} is a feature of `va extract-visual` or `va extract-audio`",
            hint="give your own feature another name",
        )
    if settings.rate_hz is not None and not settings.rate_hz > 0:
        raise UsageError(f"--rate {settings.rate_hz:g}: the rate must be above 0")
    if settings.modality not in (VISUAL, AUDIO):
        raise UsageError(f"--modality {settings.modality} is unknown", hint=f"give {VISUAL} or {AUDIO}")


def _matched(arrays: Path, store: Store, progress: Progress) -> dict[str, Path]:
    """Video -> its file. Raises InputError if no file is called like a video, or two are."""
    files = _files(arrays)
    matched: dict[str, Path] = {}
    unmatched = []
    for path in files:
        video = _video_of(path, files, store)
        if video is None:
            unmatched.append(path.name)
        elif video in matched:
            raise InputError(
                f"{matched[video]} and {path} are both called like the video {video}", hint="keep one of them"
            )
        else:
            matched[video] = path
    if not matched:
        raise InputError(
            f"{arrays}: no file is called like a video of {store.path} ({_listed(unmatched)})",
            hint="name each file like its recording, such as clip.npy for clip.mp4",
        )
    if unmatched:
        progress.warn(f"{arrays}: {len(unmatched)} files have no video in {store.path}: {_listed(unmatched)}")
    return matched


def _video_of(path: Path, files: Sequence[Path], store: Store) -> str | None:
    """The video that a file is called like: its recording, or its name in the store; None if there is none.

    Raises InputError if several recordings have that name, unless each has a file with its name in the store.
    """
    videos = store.find_by_name(path.stem) or [name for name in store.video_ids() if name == path.stem]
    if len(videos) < 2:
        return next(iter(videos), None)
    if path.stem in videos and {file.stem for file in files} >= set(videos):
        return path.stem
    raise InputError(
        f"{path}: {len(videos)} videos are called {path.stem}: {_listed(videos)}",
        hint="give a file for each, called like the video in the store",
    )


def _files(arrays: Path) -> list[Path]:
    if not arrays.exists():
        raise InputError(f"no such file or folder: {arrays}", hint="check the path")
    named = sorted(arrays.iterdir()) if arrays.is_dir() else [arrays]
    files = [path for path in named if path.suffix.lower() in READERS and not path.name.startswith(".")]
    if not files:
        raise InputError(f"{arrays} has no features", hint=f"give files with {', '.join(READERS)}")
    return files


def _listed(names: Iterable[str]) -> str:
    names = sorted(names)
    return ", ".join(names[:MAX_NAMED]) + (", ..." if len(names) > MAX_NAMED else "")


class _Importer:
    """Imports one file after the other; all must have the columns of the first."""

    def __init__(self, settings: ImportFeatureSettings, store: Store) -> None:
        self._settings, self._store = settings, store
        self._first: FeatureArray | None = None
        self._n_rows = self._n_partly = 0
        self._missing: Counter[str] = Counter()  # values of rows with others, by column

    def note(self) -> str:
        """A sentence about rows that have only some of the values, "" without any."""
        if not self._n_partly:
            return ""
        (column, count), *_ = self._missing.most_common(1)
        return (
            f"{self._n_partly} of {self._n_rows} rows of {self._settings.name} count as missing, because "
            f"they lack some of their values (column {column}: {count})"
        )

    def work(self, video: str, path: Path) -> str:
        """Return DONE, or SKIPPED if the same file has been imported with the same settings."""
        array = read_array(path)
        self._check_columns(array)
        view = self._store.video(video)
        spec = self._spec(array)
        source = {"name": path.name, "sha256": file_sha256(path), "rate_hz": self._settings.rate_hz}
        if self._is_complete(view, spec, source):
            return SKIPPED
        self._count(array)
        if self._settings.rate_hz is not None:
            array = array.at_rate(self._settings.rate_hz)
        values, flags = array.on_frames(view.times_s)
        self._store.put_feature(video, {**spec.attributes(), SOURCE: source}, values, flags)
        return DONE

    def _count(self, array: FeatureArray) -> None:
        missing = array.partly_missing()
        self._n_rows += len(missing)
        self._n_partly += int(missing.any(axis=1).sum())
        names = array.columns or [str(number) for number in range(missing.shape[1])]
        counts = missing.sum(axis=0).tolist()
        self._missing.update({name: n for name, n in zip(names, counts, strict=True) if n})

    def _check_columns(self, array: FeatureArray) -> None:
        first = self._first = self._first or array
        if (array.values.shape[1], array.columns) != (first.values.shape[1], first.columns):
            raise InputError(
                f"{array.path} has other columns ({array.values.shape[1]}) than {first.path} "
                f"({first.values.shape[1]})",
                hint="give all files the same columns",
            )

    def _spec(self, array: FeatureArray) -> FeatureSpec:
        return FeatureSpec(
            name=self._settings.name,
            version=self._settings.version,
            modality=self._settings.modality,
            dim=array.values.shape[1],
            columns=array.columns,
            settings={IMPORTED: True},
        )

    def _is_complete(self, view: VideoView, spec: FeatureSpec, source: Mapping[str, object]) -> bool:
        part = f"feature/{spec.name}"
        if self._settings.force or not view.has(part):
            return False
        stored = view.part_attrs(part)
        if (stored.get(SOURCE), stored.get("version"), stored.get("modality")) != (
            source,
            spec.version,
            spec.modality,
        ):
            raise StoreError(
                f"{view.path} has {spec.name} from another file or with other settings",
                hint="use --force to replace it",
            )
        return True
