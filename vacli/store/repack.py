"""Writing a video again in the present layout, in its store or into another one.

A video is replaced as a whole, after its new arrays have been compared with the old ones byte by byte, so
that a process which is killed leaves the old video or the new one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import zarr

from vacli.errors import StoreError
from vacli.files.object_path import ObjectPath
from vacli.files.store_folder import METADATA_FILE
from vacli.spec import WEIGHTS_FILES
from vacli.store import schema, seal
from vacli.store.array import OLD_TIME
from vacli.store.content import feature_content
from vacli.store.layout import ArrayLayout
from vacli.store.migration import present_name
from vacli.store.reader import EDITION, VideoView
from vacli.store.relative_paths import has_absolute_path, relative_attributes
from vacli.store.writer import Store

GROUPED = ("feature", "flag")  # folders of parts; other folders of a video are parts
KNOWN = {METADATA_FILE, schema.TIME, "face", "label", *GROUPED}
COMPARE_BYTES = 16 << 20  # of an array in memory at once


@dataclass(frozen=True)
class FolderSize:
    """The files of a folder. size_bytes: sum of their lengths."""

    size_bytes: int
    files: int

    @classmethod
    def of(cls, folder: Path) -> FolderSize:
        """The size of all files in a folder and below it; of objects, in an object store."""
        if isinstance(folder, ObjectPath):
            objects = [facts.size_bytes for _, facts in folder.bucket.list_all(folder.key)]
            return cls(sum(objects), len(objects))
        sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
        return cls(sum(sizes), len(sizes))


def is_repacked(view: VideoView) -> bool:
    """Whether a video has the present layout, in which no axis is called "frame" and no path is absolute.

    Raises StoreError if the video is damaged.
    """
    names = arrays_of(view)
    if any(OLD_TIME in view.array(name).dims for name in names):
        return False
    nodes = [view.path, *(view.path / name for name in names)]
    return not any(has_absolute_path(seal.read(node)["attributes"]) for node in nodes)


def repack_video(view: VideoView, target: Store) -> None:
    """Write a video into `target`, which may be its own store.

    Raises StoreError if it is damaged, changes meanwhile, or its folder has files that are not of `va`;
    OutputError if `target` cannot be written.
    """
    own = view.path.parent.resolve() == target.path.resolve()
    foreign = sorted(path.name for path in view.path.iterdir() if path.name not in KNOWN)
    if foreign:
        raise StoreError(f"{view.path} has {foreign[0]}, which is not of va", hint="move it elsewhere")
    names = arrays_of(view)

    def is_unchanged() -> bool:
        return view.is_current() and arrays_of(view) == names and (own or view.id not in target)

    with target.rewrite(view.id, is_unchanged) as folder:
        group = schema.create_group(folder, relative_attributes(view.attrs, target.path))
        _copy(view, schema.TIME, group, target.path)
        seal.seal(folder)  # before other members are there, as in a new video
        for part in parts_of(view):
            _copy_part(view, part, group, target.path)
            seal.seal(folder / part)
        written = VideoView(folder)
        for name in names:
            _compare(view, written, name)


def arrays_of(view: VideoView) -> list[str]:
    """Present names of all arrays of a video. Raises StoreError if one is lost."""
    return [schema.TIME, *(name for part in parts_of(view) for name in _members(view, part))]


def parts_of(view: VideoView) -> list[str]:
    """The parts of a video: "face", "label", and "feature/NAME" and "flag/NAME" of each feature."""
    single = [part for part in ("face", "label") if view.has(part)]
    return single + [f"{kind}/{name}" for kind in GROUPED for name in view.feature_names()]


def _members(view: VideoView, part: str) -> list[str]:
    """Present names of the arrays of a part: of a feature its own."""
    view.part_attrs(part)  # raises StoreError for lost members
    if part.startswith(GROUPED):
        return [part]
    folders = (path.parent for path in (view.path / part).glob(f"*/{METADATA_FILE}"))
    return sorted(present_name(f"{part}/{folder.name}") for folder in folders)


def _copy_part(view: VideoView, part: str, group: zarr.Group, store: Path) -> None:
    if part.startswith(GROUPED):
        group.require_group(part.partition("/")[0])
    else:
        group.create_group(part, attributes=relative_attributes(view.part_attrs(part), store))
    for name in _members(view, part):
        _copy(view, name, group, store)


def _copy(view: VideoView, name: str, group: zarr.Group, store: Path) -> None:
    length = view.array(name).shape[0]
    layout = _layout(view, name, store)
    array = layout.create(group, name, length, layout.rows_per_file(length))
    step = (array.shards or array.chunks)[0]
    for start in range(0, length, step):
        array[start : start + step] = view.read(name, slice(start, start + step))


def _layout(view: VideoView, name: str, store: Path) -> ArrayLayout:
    dims = view.array(name).dims
    if dims and dims[0].endswith("_byte"):
        return ArrayLayout.of_images(dims[0])
    is_time = name == schema.TIME
    attributes = schema.TIME_ATTRIBUTES if is_time else relative_attributes(view.part_attrs(name), store)
    row = view.read(name, slice(0, 1))
    return ArrayLayout.of_rows(row, (schema.TIME, *dims[1:]), attributes, raw=name.startswith("feature/"))


def differing_parts(old: VideoView, new: VideoView) -> list[str]:
    """The parts that a video or its copy lacks, or that have other content in the two.

    Features are compared by their editions and checksums, crops by the lengths of their images, all else by
    attributes and values. Raises StoreError if one of the videos is damaged.
    """
    names, copied = arrays_of(old), arrays_of(new)
    common = [part for part in parts_of(old) if part in parts_of(new)]
    differing = {schema.part_of(name) for name in set(names) ^ set(copied)}
    differing.update(part for part in common if _attributes(old, part) != _attributes(new, part))
    differing.update(
        schema.part_of(name) for name in names if name in copied and not _has_same_content(old, new, name)
    )
    return sorted(differing)


def _attributes(view: VideoView, part: str) -> dict[str, object]:
    """The attributes of a part without its edition, and without paths, which another store may shorten."""
    return {k: v for k, v in view.part_attrs(part).items() if k not in (EDITION, WEIGHTS_FILES)}


def _has_same_content(old: VideoView, new: VideoView, name: str) -> bool:
    """Whether an array and its copy have equal values, as `differing_parts` compares them."""
    if name == "face/crop":  # crop_start and crop_size are compared
        return True
    kind, _, feature = name.partition("/")
    if kind in GROUPED and set(feature_content(old, feature)) & set(feature_content(new, feature)):
        return True
    return _is_equal(old, new, name)


def _compare(old: VideoView, new: VideoView, name: str) -> None:
    """Raise StoreError unless an array has the same values in two videos, bit by bit."""
    if not _is_equal(old, new, name):
        raise StoreError(f"{old.path / name} differs from its copy", hint="check the disk and run it again")


def _is_equal(old: VideoView, new: VideoView, name: str) -> bool:
    """Whether an array has the same values in two videos, bit by bit."""
    shape, dtype = old.array(name).shape, old.array(name).dtype
    if (shape, dtype) != (new.array(name).shape, new.array(name).dtype):
        return False
    step = max(1, COMPARE_BYTES // (math.prod(shape[1:]) * dtype.itemsize))
    blocks = (slice(start, start + step) for start in range(0, shape[0], step))
    return all(old.read(name, rows).tobytes() == new.read(name, rows).tobytes() for rows in blocks)
