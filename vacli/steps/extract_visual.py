"""`va extract-visual`: extract the features of every aligned face of a store with a network."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vacli.clock import interpolate
from vacli.errors import StoreError, UsageError
from vacli.features.encoder_frames import EncoderFrames, read_encoder_frames
from vacli.features.flags import INTERPOLATED, MISSING
from vacli.features.protocols import VisualExtractor
from vacli.features.registry import create_visual, default_names, tagged_name
from vacli.files import scratch
from vacli.files.store_folder import is_store
from vacli.progress import Progress, RecordingProgress
from vacli.runtime.executor import Channel, ExecutorChoice
from vacli.runtime.options import ExecutionOptions
from vacli.sequences.grouping import identity
from vacli.spec import VISUAL, FeatureSpec
from vacli.steps._batch import DONE, SKIPPED, Batch, run_job
from vacli.steps._parts import Part, PartRun, recording_name, select
from vacli.steps._provenance import given_weights, has_feature, is_audio_only
from vacli.store import Store, VideoView

BLOCK_BATCHES = 4  # batches that are decoded together while the previous block is computed
FILL_ROWS = 1024  # rows that are interpolated together


@dataclass(frozen=True, kw_only=True)
class ExtractVisualSettings:
    """The faces, the network and its settings.

    inputs: stores, or videos, which are aligned into `store` first. feature: a visual extractor or any timm
    model. tag: two versions of a feature with different tags lie in one store, as `mae-vit-l@pretrained`.
    weights: a checkpoint, or the folder of a fine-tuned run. frame_stride: one of every so many
    frames is embedded; the others are interpolated and flagged. normalise: "model", "paper" or "per-channel".
    part, dask: as in `align.AlignSettings`.
    """

    inputs: tuple[Path, ...]
    store: Path | None = None
    feature: str = default_names(VISUAL)[0]
    tag: str | None = None
    weights: Path | None = None
    normalise: str | None = None
    frame_stride: int = 1
    dtype: str = "auto"
    batch_size: int | None = None
    device: str = "auto"
    force: bool = False
    part: Part | None = None
    dask: str | None = None


def run(settings: ExtractVisualSettings, progress: Progress | None = None) -> Batch:
    """Add a visual feature to every video of a store; frames without a face are NaN and have a flag."""
    progress = progress or RecordingProgress()
    if settings.frame_stride < 1:
        raise UsageError(f"--frame-stride {settings.frame_stride}: the stride must be 1 or more")
    batch = _aligned(settings, progress)
    feature = tagged_name(settings.feature, settings.tag)
    part_run = PartRun(f"extract-visual {feature}", settings.part, batch.out)
    views = Store.open(batch.out).videos()
    chosen = select(views, settings.part, recording_name)
    job = _ExtractVisualJob(replace(settings, inputs=()), batch.out)
    with ExecutorChoice(settings.dask, device=settings.device).opened(progress) as executor:
        run_job(batch, map(_view_id, chosen), str, job, Channel(progress), executor)
    part_run.end(batch, map(_view_id, views), {view.id: "" for view in chosen})
    return batch


def _view_id(view: VideoView) -> str:
    return view.id


@dataclass(frozen=True)
class _ExtractVisualJob:
    settings: ExtractVisualSettings
    store: Path

    def open(self, channel: Channel) -> Callable[[str], str]:
        """Open the store and load the network."""
        settings, progress = self.settings, channel.progress
        store = Store.open(self.store)
        extractor = _extractor(settings, progress)
        frames = read_encoder_frames(settings.weights)
        spec = replace(
            extractor.spec, settings={**extractor.spec.settings, "frame_stride": settings.frame_stride}
        )
        attributes = spec.attributes() | given_weights(spec, {"weights": settings.weights})

        def work(video_id: str) -> str:
            view = store.video(video_id)

            def is_needed() -> bool:
                return not has_feature(store.video(video_id), spec, settings.force)

            if is_audio_only(view):
                missing = scratch.missing_rows(len(view.times_s), spec.dim)
                store.put_feature(view.id, attributes, missing, np.full(len(missing), MISSING, np.uint8))
                return DONE
            if _is_complete(view, spec, settings.force):
                return SKIPPED
            values, flags = _features(view, extractor, settings.frame_stride, progress)
            flags, used = _encoder_use(view, flags, frames)
            made = {**attributes, **used}
            store.put_feature(view.id, made, values, flags, made_from=view, is_needed=is_needed)
            return DONE

        return work


def plan_rows(usable: np.ndarray, track: np.ndarray, stride: int) -> np.ndarray:
    """The rows to compute, so that every usable row is between two computed rows of the same face.

    usable: (N,) bool, True if the row has a face. track: (N,) int track of the face. Returns ascending rows:
    of each contiguous run of one face the first, every `stride`-th after it, and the last.
    """
    rows = np.flatnonzero(usable)
    if stride == 1 or not len(rows):
        return rows
    runs = np.split(rows, _run_starts(rows, track))
    return np.concatenate([np.union1d(run[::stride], run[-1:]) for run in runs])


def fill_skipped(
    values: np.ndarray, computed: np.ndarray, usable: np.ndarray, times_s: np.ndarray
) -> np.ndarray:
    """Fill usable rows of `values` (N, D) linearly in time between computed rows; returns (N,) flags."""
    flags = np.where(usable, 0, MISSING).astype(np.uint8)
    rows = np.setdiff1d(np.flatnonzero(usable), computed)
    if not len(rows):
        return flags
    places = np.searchsorted(computed, rows)  # a run begins and ends with a computed row
    for first in range(0, len(rows), FILL_ROWS):
        some = slice(first, first + FILL_ROWS)
        near = computed[max(places[some][0] - 1, 0) : places[some][-1] + 1]
        values[rows[some]] = interpolate(times_s[rows[some]], times_s[near], values[near])
        scratch.release(values)
    flags[rows] = INTERPOLATED
    return flags


def _run_starts(rows: np.ndarray, track: np.ndarray) -> np.ndarray:
    """The positions in `rows` at which a new run begins: after a gap, or at another face."""
    return np.flatnonzero((np.diff(rows) != 1) | (np.diff(track[rows]) != 0)) + 1


def _features(
    view: VideoView, extractor: VisualExtractor, stride: int, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    usable = view.read("face/crop_size") > 0
    track = view.read("face/track") if view.has("face/track") else np.zeros(len(usable), np.int32)
    computed = plan_rows(usable, track, stride)
    values = scratch.missing_rows(len(usable), extractor.spec.dim)
    with progress.task(view.id, len(computed), "frames") as advance:
        for rows, crops in _crop_blocks(view, computed, extractor.batch_size * BLOCK_BATCHES):
            values[rows] = extractor.extract(crops)
            scratch.release(values)
            advance(len(rows))
    return values, fill_skipped(values, computed, usable, view.times_s)


def _encoder_use(
    view: VideoView, flags: np.ndarray, frames: EncoderFrames | None
) -> tuple[np.ndarray, dict[str, object]]:
    """The flags with the training frames of the encoder marked, and how the encoder used the video.

    The attributes are no part of the feature's identity: they do not change its values.
    """
    if frames is None:
        return flags, {}
    one = identity(view)
    used = frames.attributes(view.id, one.sha256, one.subject)
    return frames.mark(flags, view.id, one.sha256), used


def _crop_blocks(view: VideoView, rows: np.ndarray, block: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield blocks of rows with their crops; the next block is decoded while the current one is computed."""
    parts = [rows[start : start + block] for start in range(0, len(rows), block)]

    def read(part: np.ndarray) -> np.ndarray:
        return np.stack([crop for crop in view.crops(part.tolist()) if crop is not None])

    with ThreadPoolExecutor(1) as pool:
        pending = deque(pool.submit(read, part) for part in parts[:1])
        for number, part in enumerate(parts, 1):
            crops = pending.popleft().result()
            pending.extend(pool.submit(read, following) for following in parts[number : number + 1])
            yield part, crops


def _is_complete(view: VideoView, spec: FeatureSpec, force: bool) -> bool:
    if not view.has_crops():
        raise StoreError(f"{view.path} has no face crops", hint="run `va align` on its video first")
    return has_feature(view, spec, force)


def _extractor(settings: ExtractVisualSettings, progress: Progress) -> VisualExtractor:
    execution = ExecutionOptions(device=settings.device, dtype=settings.dtype, batch_size=settings.batch_size)
    options: dict[str, object] = {"weights": settings.weights, "execution": execution, "progress": progress}
    if settings.normalise is not None:
        options["normalise"] = settings.normalise
    return create_visual(tagged_name(settings.feature, settings.tag), options)


def _aligned(settings: ExtractVisualSettings, progress: Progress) -> Batch:
    """The batch of the store to write to; videos are aligned into it first, and failed ones are recorded."""
    stores = [path for path in settings.inputs if is_store(path)]
    clips = tuple(path for path in settings.inputs if path not in stores)
    target = settings.store or (stores[0] if stores else None)
    if target is None:
        raise UsageError("no store is given to write to", hint="give one with -o")
    if any(path.resolve() != target.resolve() for path in stores):
        raise UsageError(
            f"{stores[0]}: visual features are stored with their faces",
            hint="omit -o, or give one store",
        )
    batch = Batch(target)
    if clips:
        from vacli.steps import align

        chosen = align.AlignSettings(inputs=clips, store=target, part=settings.part, dask=settings.dask)
        batch.failed += align.run(chosen, progress).failed
    return batch
