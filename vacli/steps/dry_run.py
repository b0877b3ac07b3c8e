"""`--dry-run` of `va align` and the extractions: what would be done. Nothing is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vacli.features.registry import tagged_name
from vacli.files.digests import file_sha256
from vacli.files.store_folder import is_store
from vacli.media.kinds import MediaInput
from vacli.progress import Progress
from vacli.steps import align, extract_audio, extract_visual
from vacli.steps._batch import Batch
from vacli.steps._parts import Part, recording_name, select
from vacli.store import Store, VideoView, schema

HAS_IT = "has it: skipped if the settings are equal, refused if not"


@dataclass(frozen=True)
class PlannedInput:
    """An input, and what would be done with it."""

    name: str
    action: str


@dataclass(frozen=True)
class Plan:
    """What a command would do. out: the store or run that it would write. failed: inputs with an error."""

    out: Path
    inputs: tuple[PlannedInput, ...]
    failed: int = 0


def plan_align(settings: align.AlignSettings, progress: Progress) -> Plan:
    """The videos and folders of faces that would be aligned. Raises UsageError as `align.run`."""
    batch = Batch(settings.store)
    stored = _stored(settings.store)
    inputs = [
        PlannedInput(str(media.path), _align_action(media, stored, settings.force))
        for media in _of_part(settings, batch, progress)
    ]
    return Plan(settings.store, tuple(inputs), len(batch.failed))


def plan_extract_visual(settings: extract_visual.ExtractVisualSettings, progress: Progress) -> Plan:
    """The videos whose feature would be extracted."""
    name = tagged_name(settings.feature, settings.tag)
    stores, others = _parted(settings.inputs)
    planned = list(_of_stores(stores, [name], settings.force, settings.part))
    batch = Batch(settings.store or stores[0])
    if others:
        first = align.AlignSettings(inputs=tuple(others), store=batch.out, part=settings.part)
        found = _of_part(first, batch, progress)
        planned += [PlannedInput(str(media.path), f"align, then extract {name}") for media in found]
    return Plan(batch.out, tuple(planned), len(batch.failed))


def plan_extract_audio(settings: extract_audio.ExtractAudioSettings, progress: Progress) -> Plan:
    """The recordings whose features would be extracted."""
    names = [tagged_name(name, settings.tag) for name in dict.fromkeys(settings.features)]
    stores, others = _parted(settings.inputs)
    batch = Batch(settings.store or stores[0])
    planned = list(_of_stores(stores, names, settings.force, settings.part))
    stored = _stored(batch.out)
    found = extract_audio.find_inputs(others, batch, progress)
    for media in select(found, settings.part, lambda media: media.path.name):
        view = _view_of(media.path, stored)
        planned.append(PlannedInput(str(media.path), _extract_action(view, names, settings.force)))
    return Plan(batch.out, tuple(planned), len(batch.failed))


def _parted(inputs: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    stores = [path for path in inputs if is_store(path)]
    return stores, [path for path in inputs if path not in stores]


def _stored(path: Path) -> Store | None:
    """A store, None if it does not exist yet. Raises StoreError if it is another folder.

    `Store.open` is not used, because it removes what dead processes have left.
    """
    if schema.can_create(path):
        return None
    schema.check_root(path)
    return Store(path)


def _of_part(settings: align.AlignSettings, batch: Batch, progress: Progress) -> list[MediaInput]:
    """What would be aligned."""
    found = align.find_recordings(settings, batch, progress)
    return [each.media for each in align.select_part(found, settings)]


def _of_stores(
    stores: Sequence[Path], names: Sequence[str], force: bool, part: Part | None
) -> Iterator[PlannedInput]:
    for path in stores:
        schema.check_root(path)
        for view in select(Store(path).videos(), part, recording_name):
            yield PlannedInput(str(view.path), _extract_action(view, names, force))


def _view_of(path: Path, stored: Store | None) -> VideoView | None:
    """The stored video of a recording with the same name and content."""
    for view in [stored.video(name) for name in stored.find_by_name(path.name)] if stored else ():
        if view.source.get("sha256") == file_sha256(path):
            return view
    return None


def _align_action(media: MediaInput, stored: Store | None, force: bool) -> str:
    if media.kind == "crops":
        return "store the aligned faces"
    view = _view_of(media.path, stored)
    if view is None or not view.has("face"):
        return "align"
    return "align again" if force else HAS_IT


def _extract_action(view: VideoView | None, names: Sequence[str], force: bool) -> str:
    absent = [name for name in names if view is None or not view.has(f"feature/{name}")]
    if force:
        return f"extract {', '.join(names)}"
    return f"extract {', '.join(absent)}" if absent else HAS_IT
