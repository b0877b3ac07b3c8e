"""`va finetune-mae`: train a face encoder on labelled frames, or pre-train one without labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vacli.errors import RunError
from vacli.features.encoder_frames import FRAMES_FILE
from vacli.files import atomic
from vacli.files.run_directory import METRICS_FILE, WEIGHTS_FILE
from vacli.progress import Progress, RecordingProgress
from vacli.steps._finetune_settings import difference, frames_of, to_text
from vacli.steps._run_folder import sole_training

if TYPE_CHECKING:
    from vacli.training.encoder.objective import (
        EncoderRequest,
        EncoderSetup,
        EncoderTrainingConfig,
        Objective,
    )
    from vacli.training.encoder.selection import SelectedFrames
    from vacli.training.encoder.task import FrameBatch, FrameData
    from vacli.training.history import History, Row
    from vacli.training.trainer import Trainer

SETTINGS, CARD = "finetune.json", "card.md"


@dataclass(frozen=True, kw_only=True)
class FinetuneMaeSettings:
    """The encoder, the stores with its training frames, and the training; None: the encoder's default.

    `encoder` is `mae-vit-l`, `compact` or any timm model; all layers are trained if it is no vision
    transformer. `weights` is a checkpoint to start from instead of the published or bundled weights;
    `from_scratch` starts from random ones. `freeze_blocks` counts blocks from the input. `normalise` is
    `paper` by default; `compact` has no choice.
    `validation` and `exclude` are patterns of video ids; excluded videos and subjects are not used.
    `subjects` (a CSV) or `subject_pattern` replace the subjects of the labels. `frame_list`: a CSV of the
    training frames (`read_frame_list`).
    """

    stores: tuple[Path, ...]
    out: Path
    encoder: str = "mae-vit-l"
    objective: Literal["va", "reconstruct"] = "va"
    weights: Path | None = None
    from_scratch: bool = False
    freeze_blocks: int | None = None
    normalise: Literal["paper", "per-channel", "model", "signed"] | None = None
    frame_stride: int = 1
    max_frames_per_video: int | None = None
    validation: tuple[str, ...] = ()
    validation_share: float = 0.1
    exclude: tuple[str, ...] = ()
    exclude_subjects: tuple[str, ...] = ()
    subjects: Path | None = None
    subject_pattern: str | None = None
    frame_list: Path | None = None
    epochs: int | None = None
    batch_size: int | None = None
    grad_accum: int | None = None
    lr: float | None = None
    weight_decay: float | None = None
    layer_decay: float | None = None
    warmup_epochs: float | None = None
    patience_epochs: int | None = None
    ema_decay: float = 0.0
    amp: bool = True
    seed: int = 42
    device: str = "auto"
    resume: bool = False
    force: bool = False


@dataclass(frozen=True, kw_only=True)
class FinetuneMaeResult:
    """The run directory, the number of trained epochs and the best of them.

    `best` is the score of `best_epoch`: the mean CCC, or minus the reconstruction loss. `scores` are all
    its validation scores.
    """

    out: Path
    epochs: int
    best_epoch: int
    best: float
    scores: Mapping[str, float]


def run(settings: FinetuneMaeSettings, progress: Progress | None = None) -> FinetuneMaeResult:
    """Train an encoder into the directory `out`; a run that is complete with the same settings is skipped.

    Raises UsageError, StoreError, WeightsError or RunError.
    """
    progress = progress or RecordingProgress()
    if not settings.resume and not settings.force and is_complete(settings):
        progress.info(f"{settings.out}: complete with the same settings, skipped")
        return _result(settings, _read_history(settings.out))
    import torch

    from vacli.runtime.devices import pick_device
    from vacli.steps._encoder_data import images, select
    from vacli.training.encoder.registry import encoder_factory
    from vacli.training.encoder.task import STATE_FILE

    device = pick_device(settings.device)
    _check_claim(settings)
    selected = select(settings)  # before the weights, which may have to be fetched
    torch.manual_seed(settings.seed)  # for parameters that are not loaded
    setup = encoder_factory(_encoder_request(settings), progress)
    setup.objective.to(device)
    data = images(selected, setup.objective, progress)
    _report_sizes(selected, setup.objective, progress)
    trainer = _trainer(settings, setup, data, selected, progress)
    with sole_training(settings.out, STATE_FILE, SETTINGS, FRAMES_FILE):
        if settings.resume:
            progress.info(f"{settings.out}: resuming after {trainer.resume()} complete epochs")
        else:
            _claim(settings, selected)
        setup.record.write(settings.out)
        selected.record.write(settings.out)
        history = trainer.run(progress)
    _write_card(settings, history.best, selected)
    return _result(settings, history)


def _result(settings: FinetuneMaeSettings, history: History) -> FinetuneMaeResult:
    best = history.best
    return FinetuneMaeResult(
        out=settings.out,
        epochs=len(history.rows),
        best_epoch=best.epoch,
        best=best.scores[history.best_by],
        scores=best.scores,
    )


def is_complete(settings: FinetuneMaeSettings) -> bool:
    """Whether the folder has a complete run of the same settings on the same frames, labels and faces.

    Its card is written last. A run of an earlier version, which has no record of them, counts as one.
    Raises as `run` where the frames cannot be selected.
    """
    path, card = settings.out / SETTINGS, settings.out / CARD
    if not path.is_file() or not card.is_file() or difference(path, settings) is not None:
        return False
    frames = frames_of(path)
    if frames is None:
        return True
    from vacli.steps._encoder_data import select

    return frames == select(settings).digests()


def _read_history(folder: Path) -> History:
    from vacli.training.encoder.task import BEST_BY
    from vacli.training.history import History

    return History.from_jsonl((folder / METRICS_FILE).read_text(encoding="utf-8"), BEST_BY)


def _trainer(
    settings: FinetuneMaeSettings,
    setup: EncoderSetup,
    data: FrameData,
    selected: SelectedFrames,
    progress: Progress,
) -> Trainer[FrameBatch]:
    from vacli.training.distributed import World
    from vacli.training.encoder.task import STATE_FILE, FrameTask
    from vacli.training.trainer import Trainer, TrainerConfig, TrainerContext

    config = _training_config(settings, setup.config)
    context = TrainerContext(
        folder=settings.out,
        state_file=STATE_FILE,
        world=World(device=next(setup.objective.parameters()).device),
        on_epoch_end=lambda history: progress.info(_line(history.rows[-1])),
        lr_option="--lr ",
        data=selected.digests(),
    )
    trainer_config = TrainerConfig(
        epochs=config.epochs,
        patience_epochs=config.patience_epochs,
        optim=config.optim,
        schedule=config.schedule,
        ema_decay=config.ema_decay,
    )
    return Trainer(FrameTask(setup.objective, data, config), trainer_config, context)


def _line(row: Row) -> str:
    values = {"loss": row.loss, **row.scores, "seconds": row.train_s + row.validate_s}
    return f"epoch {row.epoch} " + " ".join(f"{name} {value:.4g}" for name, value in values.items())


def _report_sizes(selected: SelectedFrames, objective: Objective, progress: Progress) -> None:
    from vacli.training.optim import n_trainable

    trained = n_trainable(objective)
    frozen = sum(p.numel() for p in objective.parameters()) - trained
    progress.info(selected.description)
    if selected.warning:
        progress.warn(selected.warning)
    progress.info(f"{len(selected.train)} training frames, {len(selected.val)} validation frames")
    progress.info(f"{frozen / 1e6:.1f}M parameters frozen, {trained / 1e6:.1f}M trained")


def _encoder_request(settings: FinetuneMaeSettings) -> EncoderRequest:
    from vacli.training.encoder.objective import EncoderRequest

    return EncoderRequest(
        encoder=settings.encoder,
        objective=settings.objective,
        weights=settings.weights,
        from_scratch=settings.from_scratch,
        freeze_blocks=settings.freeze_blocks,
        normalise=settings.normalise,
    )


def _training_config(settings: FinetuneMaeSettings, default: EncoderTrainingConfig) -> EncoderTrainingConfig:
    """The encoder's default configuration, changed where a setting is given."""

    def given(**values: object) -> dict[str, Any]:
        return {k: v for k, v in values.items() if v is not None}

    return replace(
        default,
        optim=replace(default.optim, **given(lr=settings.lr, weight_decay=settings.weight_decay)),
        schedule=replace(default.schedule, **given(warmup_epochs=settings.warmup_epochs)),
        ema_decay=settings.ema_decay,
        amp=settings.amp,
        seed=settings.seed,
        **given(
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            grad_accum=settings.grad_accum,
            layer_decay=settings.layer_decay,
            patience_epochs=settings.patience_epochs,
        ),
    )


def _check_claim(settings: FinetuneMaeSettings) -> None:
    """Raise RunError unless the run directory is new, may be overwritten, or holds the run to resume."""
    path = settings.out / SETTINGS
    if settings.resume:
        _check_same(path, settings)
    elif (settings.out / WEIGHTS_FILE).exists() and not settings.force:
        if path.is_file() and (settings.out / CARD).is_file() and difference(path, settings) is None:
            raise RunError(
                f"{settings.out} holds a run with these settings on other frames, labels or faces",
                hint="give --force to replace it, or another folder with --out",
            )
        raise RunError(
            f"{settings.out} already holds a run",
            hint="give --resume to continue it, or --force to replace it",
        )


def _claim(settings: FinetuneMaeSettings, selected: SelectedFrames) -> None:
    """Write the settings and the frames' digests into the run directory; an earlier run is removed first."""
    from vacli.training.encoder.task import remove_run

    (settings.out / CARD).unlink(missing_ok=True)
    remove_run(settings.out)
    atomic.write_text(settings.out / SETTINGS, to_text(settings, selected.digests()))


def _check_same(path: Path, settings: FinetuneMaeSettings) -> None:
    if changed := difference(path, settings):
        raise RunError(
            f"{path.parent} was started with {changed}",
            hint="resume with the same settings, or start another run",
        )


def _write_card(settings: FinetuneMaeSettings, best: Row, selected: SelectedFrames) -> None:
    values = {"epoch": best.epoch, "loss": best.loss, **best.scores}
    measured = "\n".join(f"- {name}: {value:.4g}" for name, value in values.items())
    stores = ", ".join(path.name for path in settings.stores)
    text = (
        f"# {settings.out.name}\n\nEncoder `{settings.encoder}`, objective `{settings.objective}`, "
        f"trained on {len(selected.train)} single frames of {stores}.\n\n"
        f"{selected.description}. {selected.warning}\n\n"
        f"Scores on the validation videos at the best epoch:\n\n{measured}\n\n"
        "Use the encoder with `va extract-visual --weights` and this folder. The licences of its initial\n"
        "weights and of its training data apply.\n"
    )
    atomic.write_text(settings.out / CARD, text)
