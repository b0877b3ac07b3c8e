"""`va extract-visual`: extract the features of every aligned face of a store with a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from vacli.errors import UsageError
from vacli.features.encoder_frames import read_encoder_frames
from vacli.features.protocols import VisualExtractor
from vacli.features.registry import create_visual, default_names, tagged_name
from vacli.files.store_folder import is_store
from vacli.progress import Progress, RecordingProgress
from vacli.runtime.executor import Channel, ExecutorChoice
from vacli.runtime.options import ExecutionOptions
from vacli.spec import VISUAL
from vacli.steps._batch import Batch, Split, run_job
from vacli.steps._feature_extraction import FeatureExtraction, VisualItem
from vacli.steps._parts import Part, PartRun, recording_name, select
from vacli.steps._provenance import given_weights
from vacli.store import Store, VideoView

PIECE_ROWS = 4096  # of a long video on a cluster: 164 s at 25 Hz, minutes of work for a large network


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
    job = _ExtractVisualJob(replace(settings, inputs=()), batch.out, PIECE_ROWS if settings.dask else None)
    with ExecutorChoice(settings.dask, device=settings.device).opened(progress) as executor:
        run_job(batch, map(_view_id, chosen), str, job, Channel(progress), executor)
    part_run.end(batch, map(_view_id, views), {view.id: "" for view in chosen})
    return batch


def _view_id(view: VideoView) -> str:
    return view.id


@dataclass(frozen=True)
class _ExtractVisualJob:
    """piece_rows: as in `FeatureExtraction`."""

    settings: ExtractVisualSettings
    store: Path
    piece_rows: int | None

    def open(self, channel: Channel) -> Callable[[VisualItem], str | Split[VisualItem]]:
        """Open the store and load the network."""
        settings, progress = self.settings, channel.progress
        extractor = _extractor(settings, progress)
        spec = replace(
            extractor.spec, settings={**extractor.spec.settings, "frame_stride": settings.frame_stride}
        )
        return FeatureExtraction(
            Store.open(self.store),
            extractor,
            spec,
            spec.attributes() | given_weights(spec, {"weights": settings.weights}),
            read_encoder_frames(settings.weights),
            settings.frame_stride,
            settings.force,
            self.piece_rows,
            progress,
        ).run


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
