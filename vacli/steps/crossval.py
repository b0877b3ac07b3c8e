"""`va crossval`: cross-validate with a face encoder that is fine-tuned for each fold."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from vacli.errors import RunError, UsageError
from vacli.files.run_directory import FOLD_PREFIX, RECIPE_FILE
from vacli.progress import Progress, RecordingProgress, begin_step
from vacli.recipe.schema import Recipe
from vacli.sequences.stored import open_sequences
from vacli.spec import FOLD_TAG
from vacli.steps import extract_visual, finetune_mae, train
from vacli.steps._training_inputs import grouping_of, is_annotated, labelled_videos
from vacli.steps.finetune_mae import FinetuneMaeSettings
from vacli.steps.train import TrainResult, TrainSettings
from vacli.store import Store
from vacli.training.temporal.splits import DEFAULT_FOLDS, DataSplit, SplitRequest, make_splits

STEPS = 3  # of each fold
ENCODER_PREFIX = "encoder_"  # then the number of the fold: the folder of its encoder


@dataclass(frozen=True, kw_only=True)
class CrossvalSettings:
    """The settings of `va train` and of `va finetune-mae`.

    For each fold the encoder's stores, folder, excluded videos and subjects are replaced, and the recipe
    reads the feature of the fold's encoder, NAME@foldN, instead of NAME. force: replace features that other
    encoders have made under these names.
    """

    train: TrainSettings
    encoder: FinetuneMaeSettings
    dtype: str = "auto"
    force: bool = False


def run(settings: CrossvalSettings, progress: Progress | None = None) -> TrainResult:
    """Fine-tune, extract and train for each fold; what is complete is kept, and a killed run continues.

    No encoder is trained or stopped early on a video of its fold's held-out groups. The cost is that of
    `folds` times `va finetune-mae` and `va extract-visual`. Raises UsageError, StoreError or RunError.
    """
    progress = progress or RecordingProgress()
    recipe = train.resolve(settings.train)
    _stream_of(recipe, settings.encoder.encoder)
    results, splits = [], make_fold_splits(settings.train, recipe)
    with progress.task("total", len(splits), "folds") as advance:
        for split in splits:
            results.append(_fold(settings, recipe, split, progress))
            advance(1)
    return TrainResult(out=settings.train.out, folds=tuple(f for result in results for f in result.folds))


def make_fold_splits(settings: TrainSettings, recipe: Recipe) -> list[DataSplit]:
    """The splits of `va train`, which do not depend on features."""
    without_streams = replace(recipe.model, streams=())
    videos = open_sequences(labelled_videos(settings.store), without_streams)
    videos = [video for video in videos if is_annotated(video)]
    request = SplitRequest(settings.folds or DEFAULT_FOLDS, settings.fold)
    return make_splits(videos, grouping_of(videos, settings), request, recipe.training.seed)


def _fold(settings: CrossvalSettings, recipe: Recipe, split: DataSplit, progress: Progress) -> TrainResult:
    number, store = split.fold.number, settings.train.store
    encoder = _encoder_settings(settings, split)
    progress.info(f"{split.description}: encoder {encoder.encoder}")
    finetune_mae.run(encoder, begin_step(progress, 1, STEPS, "finetune-mae"))
    extracted = extract_visual.run(
        extract_visual.ExtractVisualSettings(
            inputs=(store,),
            feature=encoder.encoder,
            tag=f"{FOLD_TAG}{number}",
            weights=encoder.out,
            dtype=settings.dtype,
            device=encoder.device,
            force=settings.force,
        ),
        begin_step(progress, 2, STEPS, "extract-visual"),
    )
    if extracted.failed:
        first = extracted.failed[0]
        raise RunError(
            f"{len(extracted.failed)} videos have no feature of fold {number} ({first.name}: {first.reason})",
            hint="run the same command again, with --force if other encoders made the features",
        )
    folder = settings.train.out / f"{FOLD_PREFIX}{number}"
    fold_settings = replace(
        settings.train,
        folds=settings.train.folds or DEFAULT_FOLDS,
        fold=number,
        assignments=(*settings.train.assignments, _assignment(recipe, encoder.encoder, number)),
        resume=(folder / RECIPE_FILE).is_file(),
    )
    return train.run(fold_settings, begin_step(progress, 3, STEPS, "train"))


def _encoder_settings(settings: CrossvalSettings, split: DataSplit) -> FinetuneMaeSettings:
    """Fine-tuning on the training videos of the fold; an interrupted one continues."""
    out = settings.train.out / f"{ENCODER_PREFIX}{split.fold.number}"
    videos = Store.open(settings.train.store).video_ids()
    return replace(
        settings.encoder,
        stores=(settings.train.store,),
        out=out,
        exclude=tuple(video for video in videos if video not in split.fold.train),
        subjects=settings.train.subjects,
        subject_pattern=settings.train.subject_pattern,
        resume=_holds_run(out),
    )


def _holds_run(folder: Path) -> bool:
    return (folder / finetune_mae.SETTINGS).is_file()


def _stream_of(recipe: Recipe, encoder: str) -> tuple[str, tuple[str, ...]]:
    """The name and the features of the stream that reads the encoder's feature."""
    for stream in recipe.model.streams:
        if encoder in stream.features:
            return stream.name, stream.features
    raise UsageError(
        f"the recipe {recipe.name} has no stream with the feature {encoder}",
        hint=f"give --encoder, or --set 'model.streams.visual.features=[\"{encoder}\"]' and its dim",
    )


def _assignment(recipe: Recipe, encoder: str, number: int) -> str:
    """The recipe value that replaces the encoder's feature by that of the fold."""
    name, features = _stream_of(recipe, encoder)
    tagged = [f"{f}@{FOLD_TAG}{number}" if f == encoder else f for f in features]
    return f"model.streams.{name}.features={json.dumps(tagged)}"
