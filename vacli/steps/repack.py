"""`va repack`: write the videos of a store again in the present layout, which takes less disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from vacli.errors import StoreError, UsageError
from vacli.progress import Progress, RecordingProgress
from vacli.steps._batch import DONE, SKIPPED, Batch, run_each
from vacli.store import Store, VideoView
from vacli.store.repack import FolderSize, differing_parts, is_repacked, repack_video

NEW_STORE = "write to a new store with -o"


@dataclass(frozen=True)
class RepackSettings:
    """store: to read. out: the store to write, None to replace the videos of `store`."""

    store: Path
    out: Path | None = None


@dataclass
class RepackResult(Batch):
    """The batch, and the sizes of the store before and of the one that was written."""

    before: FolderSize = field(default_factory=lambda: FolderSize(0, 0))
    after: FolderSize = field(default_factory=lambda: FolderSize(0, 0))


def run(settings: RepackSettings, progress: Progress | None = None) -> RepackResult:
    """Write each video again; those that have the present layout, or were written before, are skipped.

    A video is replaced as a whole after its values have been compared. A damaged one is reported and stays.
    Raises StoreError if `store` is not a store, UsageError if `out` lies inside it.
    """
    progress = progress or RecordingProgress()
    store = Store.open(settings.store)
    target = store if settings.out is None else _target(store, settings.out)
    result = RepackResult(target.path, before=FolderSize.of(store.path))
    views = store.videos()

    with progress.task(f"{store.path}", len(views), "videos") as advance:

        def work(view: VideoView) -> str:
            try:
                return _repack(view, target)
            finally:
                advance(1)

        run_each(result, views, lambda view: view.id, work, progress)
    result.after = FolderSize.of(target.path)
    return result


def _target(store: Store, out: Path) -> Store:
    inner, outer = out.resolve(), store.path.resolve()
    if inner != outer and inner.is_relative_to(outer):
        raise UsageError(f"{out} lies inside the store {store.path}", hint="name another folder with -o")
    return Store.open_or_create(out)


def _repack(view: VideoView, target: Store) -> str:
    """Write one video, unless it was written before. Raises StoreError."""
    is_own = view.path.parent.resolve() == target.path.resolve()
    if not is_own and view.id in target:
        _check_equal(view, target.video(view.id))
        return SKIPPED
    if is_own and is_repacked(view):
        return SKIPPED
    repack_video(view, target)
    return DONE


def _check_equal(view: VideoView, written: VideoView) -> None:
    """Raise StoreError if the written video is of another recording or differs in a part."""
    if view.source.get("sha256") != written.source.get("sha256"):
        raise StoreError(
            f"{written.path} differs from {view.path}: it is of another recording", hint=NEW_STORE
        )
    if differing := differing_parts(view, written):
        raise StoreError(
            f"{written.path} differs from {view.path} in {', '.join(differing)}",
            hint=f"remove the folder {written.path} to write it again, or {NEW_STORE}",
        )
