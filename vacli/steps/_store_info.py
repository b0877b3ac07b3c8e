"""`va info` of a feature store. The metadata and the frame times are read, not the features."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vacli.clock import duration_s
from vacli.datasets.subject_name import subject_name
from vacli.errors import StoreError
from vacli.features.registry import EXTRACTORS, default_names
from vacli.files.store_folder import METADATA_FILE
from vacli.spec import AUDIO, IMPORTED, TAG, VISUAL, extractor_name
from vacli.steps._info_record import Info, Missing, Row, named
from vacli.steps._provenance import is_audio_only
from vacli.store import Store, VideoView, seal
from vacli.store.repack import FolderSize

SHORT_SETTINGS = 40  # characters of the settings of a feature in a table


@dataclass
class _Contents:
    """What the videos of a store have. features: name -> video -> attributes."""

    frames: int = 0
    duration_s: float = 0.0
    aligned: list[str] = field(default_factory=list)
    with_faces: int = 0
    with_crops: list[str] = field(default_factory=list)
    audio_only: list[str] = field(default_factory=list)
    features: dict[str, dict[str, Mapping[str, Any]]] = field(default_factory=dict)
    labels: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def store_info(path: Path, *, check: bool = False) -> Info:
    """Describe a store. check: also compare all data with their checksums, which reads every byte.

    Raises StoreError if it is no store of this version.
    """
    store = Store.open(path)
    contents, views = _Contents(), store.videos()
    for view in views:
        try:
            _add(contents, view)
            if check:
                contents.problems += dict.fromkeys(_damaged_arrays(view))
        except StoreError as error:
            contents.problems.append(error.one_line())
    return Info(
        kind="store",
        path=path,
        values={
            "videos": len(views),
            "frames": contents.frames,
            "duration_s": round(contents.duration_s, 3),
            "size_bytes": FolderSize.of(path).size_bytes,
            "videos_with_faces": contents.with_faces,
            "videos_with_crops": len(contents.with_crops),
            "audio_only_recordings": len(contents.audio_only),
            **_label_values(contents),
            "checked": "all data" if check else "metadata (--check for all data)",
        },
        tables={"features": [_feature_row(name, made) for name, made in sorted(contents.features.items())]},
        missing=list(_missing(path, [view.id for view in views], contents)),
        problems=contents.problems,
    )


def _add(contents: _Contents, view: VideoView) -> None:
    """Add what a video has. Raises StoreError at the first damaged part."""
    times_s = view.times_s
    contents.frames += len(times_s)
    contents.duration_s += duration_s(times_s)
    if is_audio_only(view):
        contents.audio_only.append(view.id)
    if view.has("face"):
        contents.aligned.append(view.id)
        contents.with_faces += view.part_attrs("face").get("people") != 0
        if view.has_crops():
            contents.with_crops.append(view.id)
    for name in view.feature_names():
        attributes = view.part_attrs(f"feature/{name}")
        view.part_attrs(f"flag/{name}")
        contents.features.setdefault(name, {})[view.id] = attributes
    if view.has("label"):
        contents.labels[view.id] = view.part_attrs("label")


def _damaged_arrays(view: VideoView) -> Iterator[str]:
    """Compare the arrays of a video with their checksums, which also name the chunks that may be absent."""
    for file in sorted(view.path.glob(f"**/{METADATA_FILE}")):
        name = file.parent.relative_to(view.path).as_posix()
        try:
            if _is_array(file.parent, name):
                view.check(name)
        except StoreError as error:
            yield error.one_line()


def _is_array(folder: Path, name: str) -> bool:
    """Whether metadata are those of an array. Its chunks do not tell: they may be lost, or never written."""
    try:
        return seal.read(folder).get("node_type") == "array"
    except (OSError, ValueError):
        return "/" in name  # the check says what is wrong with them


def _label_values(contents: _Contents) -> dict[str, Any]:
    splits = Counter(str(a.get("split") or "none") for a in contents.labels.values())
    subjects = {subject_name(str(a["subject"])) for a in contents.labels.values() if a.get("subject")}
    return {
        "labelled_videos": len(contents.labels),
        "splits": dict(sorted(splits.items())),
        "subjects": len(subjects),
    }


def _feature_row(name: str, made: Mapping[str, Mapping[str, Any]]) -> Row:
    variants = Counter(
        (str(a.get("version")), int(a.get("dim", 0)), _settings(a.get("settings", {}))) for a in made.values()
    )
    (version, dim, settings), _ = variants.most_common(1)[0]
    return {
        "feature": name,
        "modality": _modality(name, made),
        "values": dim,
        "videos": len(made),
        "version": version,
        "settings": settings,
        "variants": len(variants) if len(variants) > 1 else None,
    }


def _settings(settings: Mapping[str, Any]) -> str:
    text = ", ".join(f"{k}={v}" for k, v in sorted(settings.items()) if not isinstance(v, dict | list))
    return text if len(text) <= SHORT_SETTINGS else f"{text[: SHORT_SETTINGS - 3]}..."


def _missing(path: Path, videos: list[str], contents: _Contents) -> Iterator[Missing]:
    store = shlex.quote(str(path))
    if not videos:
        yield Missing("the store has no video", f"va align VIDEOS -o {store}")
        return
    pictures = [video for video in videos if video not in contents.audio_only]
    if pictures:
        yield from _missing_in(contents.aligned, pictures, "faces", f"va align VIDEOS -o {store}")
    for modality, possible in ((VISUAL, pictures), (AUDIO, videos)):
        yield from _missing_features(contents, modality, possible, store)
    yield from _missing_in(list(contents.labels), videos, "labels", f"va import-labels ANNOTATIONS {store}")
    unknown = [video for video, attributes in contents.labels.items() if not attributes.get("subject")]
    if unknown:
        command = f"va import-labels ANNOTATIONS {store} --subjects people.csv"
        yield Missing(f"the subject of {len(unknown)} labelled videos ({named(unknown)})", command)


def _missing_features(
    contents: _Contents, modality: str, possible: list[str], store: str
) -> Iterator[Missing]:
    step = "extract-visual" if modality == VISUAL else "extract-audio"
    features = {n: m for n, m in contents.features.items() if _modality(n, m) == modality}
    if possible and not features:
        names = ", ".join(default_names(modality))
        yield Missing(f"{modality} features, such as {names}", f"va {step} {store}")
    for name, made in sorted(features.items()):
        command = f"va {step} {store} --feature {extractor_name(name)}"
        if TAG in name:
            command += f" --tag {name.partition(TAG)[2]}"
        if any(attributes.get("settings", {}).get(IMPORTED) for attributes in made.values()):
            command = f"va import-feature {name} ARRAYS {store}"
        yield from _missing_in(list(made), possible, f"the feature {name}", command)


def _modality(name: str, made: Mapping[str, Mapping[str, Any]]) -> str:
    entry = EXTRACTORS.get(extractor_name(name))
    return entry.modality if entry else str(next(iter(made.values())).get("modality", VISUAL))


def _missing_in(present: list[str], wanted: list[str], what: str, command: str) -> Iterator[Missing]:
    has = set(present)
    absent = [video for video in wanted if video not in has]
    if absent:
        where = "all videos" if len(absent) == len(wanted) else f"{len(absent)} of {len(wanted)} videos"
        yield Missing(f"{what} in {where} ({named(absent)})", command)
