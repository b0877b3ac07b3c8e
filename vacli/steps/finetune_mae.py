"""`va finetune-mae`: train a face encoder on single labelled frames, or pre-train one without labels."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from vacli.errors import RunError, UsageError
from vacli.files import atomic
from vacli.progress import Progress, Quiet
from vacli.recipe import schema as recipe
from vacli.store import Store, VideoView

SETTINGS = "finetune.json"
NOT_COMPARED = ("out", "device", "resume", "force")  # what may change between a run and its resumption


@dataclass(frozen=True, kw_only=True)
class FinetuneMaeSettings:
    """What to train, on which frames of which stores, and how; None takes the encoder's own default.

    `encoder` is `mae-vit-l`, `compact` or any timm vision transformer; `weights` a checkpoint to
    start from. `freeze_blocks` counts blocks from the image on. `validation` are patterns on video ids.
    """

    stores: tuple[Path, ...]
    out: Path
    encoder: str = "mae-vit-l"
    objective: Literal["va", "reconstruct"] = "va"
    weights: Path | None = None
    from_scratch: bool = False
    freeze_blocks: int | None = None
    normalise: Literal["paper", "per-channel", "model"] = "paper"
    every: int = 1
    most_per_video: int | None = None
    validation: tuple[str, ...] = ()
    validation_share: float = 0.1
    epochs: int | None = None
    batch_size: int | None = None
    accumulate: int | None = None
    lr: float | None = None
    weight_decay: float | None = None
    layer_decay: float | None = None
    warmup_epochs: float | None = None
    patience_epochs: int | None = None
    average: float = 0.0
    amp: bool = True
    seed: int = 42
    device: str = "auto"
    resume: bool = False
    force: bool = False


@dataclass(frozen=True)
class FinetuneMaeResult:
    """The run directory and how far it came. `best` is the score of `best_epoch`: mean CCC, or minus
    the reconstruction loss."""

    out: Path
    epochs: int
    best_epoch: int
    best: float
    line: dict[str, float]


def run(settings: FinetuneMaeSettings, progress: Progress = Quiet()) -> FinetuneMaeResult:
    """Train an encoder into the directory `out`; UsageError, StoreError, WeightsError or RunError."""
    import torch

    from vacli.runtime.devices import pick_device
    from vacli.training.encoder.registry import learner
    from vacli.training.encoder.trainer import Fit

    device = pick_device(settings.device)
    _check_claim(settings)
    torch.manual_seed(settings.seed)  # of what is not taken from weights
    made = learner(_learner_request(settings), progress)
    made.task.to(device)
    plan = _plan(settings, made.plan)
    data = _data(settings, made.task, progress)
    frozen = sum(p.numel() for p in made.task.parameters() if not p.requires_grad)
    trained = sum(p.numel() for p in made.task.parameters() if p.requires_grad)
    progress.say(f"{len(data.train.frames)} frames to learn from, {len(data.held.frames)} held back")
    progress.say(f"{frozen / 1e6:.1f}M parameters frozen, {trained / 1e6:.1f}M trained")
    fit = Fit(made.task, data, plan, settings.out)
    if settings.resume:
        fit.resume()
        progress.say(f"{settings.out}: {fit.state.epoch} epochs are done, going on from there")
    else:
        _claim(settings)
    made.record.write(settings.out)
    state = fit.run(progress)
    best = state.history[state.best_epoch - 1]
    _write_card(settings, best, len(data.train.frames))
    return FinetuneMaeResult(settings.out, state.epoch, state.best_epoch, state.best, best)


def _learner_request(settings: FinetuneMaeSettings) -> Any:
    from vacli.training.encoder.learner import Request

    return Request(
        encoder=settings.encoder,
        objective=settings.objective,
        weights=settings.weights,
        from_scratch=settings.from_scratch,
        freeze_blocks=settings.freeze_blocks,
        normalise=settings.normalise,
    )


def _plan(settings: FinetuneMaeSettings, plan: Any) -> Any:
    """The encoder's own plan with what the user asked for laid over it."""

    def given(**values: Any) -> dict[str, Any]:
        return {k: v for k, v in values.items() if v is not None}

    optim = replace(plan.optim, **given(lr=settings.lr, weight_decay=settings.weight_decay))
    schedule: recipe.Schedule = replace(plan.schedule, **given(warmup_epochs=settings.warmup_epochs))
    return replace(
        plan,
        optim=optim,
        schedule=schedule,
        average=settings.average,
        amp=settings.amp,
        seed=settings.seed,
        **given(
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            accumulate=settings.accumulate,
            layer_decay=settings.layer_decay,
            patience_epochs=settings.patience_epochs,
        ),
    )


def _data(settings: FinetuneMaeSettings, task: Any, progress: Progress) -> Any:
    import os

    from vacli.training.encoder.frames import Images, Sampling, in_memory, sample, split_videos
    from vacli.training.encoder.trainer import Data

    views = [view for path in settings.stores for view in Store.open(path).videos()]
    labelled = settings.objective == "va"
    views = [view for view in views if _serves(view, labelled)]
    if not views:
        wanted = "face crops and labels" if labelled else "face crops"
        names = ", ".join(str(path) for path in settings.stores)
        raise UsageError(
            f"{names}: no video has {wanted}", hint="run `va align` and `va import-labels` first"
        )
    train, held = split_videos(views, settings.validation_share, settings.validation, settings.seed)
    sampling = Sampling(every=settings.every, most=settings.most_per_video, labelled=labelled)
    parts = [sample(part, sampling) for part in (train, held)]
    if task.reduce is None:
        return Data(*map(Images, parts))
    return Data(*(in_memory(part, task.reduce, os.cpu_count() or 1, progress) for part in parts))


def _serves(view: VideoView, labelled: bool) -> bool:
    return view.has_crops() and (not labelled or view.has("label/valence"))


def _check_claim(settings: FinetuneMaeSettings) -> None:
    """RunError unless the run directory is fresh, is given by force, or holds the run to go on with."""
    path = settings.out / SETTINGS
    if settings.resume:
        _check_same(path, _stated(settings))
    elif path.exists() and not settings.force:
        raise RunError(
            f"{settings.out} holds a run already",
            hint="give --resume to go on with it, --force to start it anew",
        )


def _claim(settings: FinetuneMaeSettings) -> None:
    """Take the run directory; of a run that was there before, what it would be resumed from goes first."""
    from vacli.training.encoder.trainer import forget

    forget(settings.out)
    atomic.write_text(settings.out / SETTINGS, json.dumps(_stated(settings), indent=2) + "\n")


def _stated(settings: FinetuneMaeSettings) -> dict[str, Any]:
    """The settings as JSON values."""
    return json.loads(json.dumps(asdict(settings), default=str))


def _check_same(path: Path, stated: dict[str, Any]) -> None:
    try:
        before = json.loads(path.read_text())
    except (OSError, ValueError):
        raise RunError(f"{path.parent} holds no run to resume", hint="leave out --resume") from None
    defaults = {field.name: field.default for field in fields(FinetuneMaeSettings)}
    for key, value in stated.items():
        begun = before.get(key, defaults[key])  # by a version that did not have the setting
        if key not in NOT_COMPARED and begun != value:
            raise RunError(
                f"{path.parent} was begun with {key} {begun!r}, not {value!r}",
                hint="resume with the same settings, or start another run",
            )


def _write_card(settings: FinetuneMaeSettings, best: dict[str, float], frames: int) -> None:
    measured = "\n".join(f"- {key}: {value:.4g}" for key, value in best.items())
    stores = ", ".join(path.name for path in settings.stores)
    text = (
        f"# {settings.out.name}\n\nEncoder `{settings.encoder}`, objective `{settings.objective}`, "
        f"trained on {frames} single frames of {stores}.\n\n"
        f"Measured on its held-back videos at the best epoch:\n\n{measured}\n\n"
        "Use it with `va extract-visual --weights` and this folder. It describes faces as its training\n"
        "data shows them and inherits the licence of the weights that it started from and of that data.\n"
    )
    atomic.write_text(settings.out / "card.md", text)
