"""The training loop: optimiser steps, validation, early stopping, the best weights and exact resumption.

A `Task` brings the model, its batches, its loss and its validation. The trainer does everything else, so
that models of sequences and of single frames are trained, stopped and resumed in the same way.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from vacli.errors import RunError
from vacli.files.run_directory import LAST_FILE, METRICS_FILE, WEIGHTS_FILE
from vacli.progress import Progress
from vacli.recipe import schema as recipe
from vacli.training import checkpoint
from vacli.training.checkpoint import State
from vacli.training.distributed import World
from vacli.training.history import History, Row
from vacli.training.optim import adamw, load_state, set_lr
from vacli.training.schedule import lr_factor

BatchT = TypeVar("BatchT")

PROCESS_STATUS = Path("/proc/self/status")
CLEAR_PEAK = Path("/proc/self/clear_refs")


class Task(Protocol[BatchT]):
    """A model with its training batches, its loss and its validation."""

    best_by: str  # the column of the history whose highest value marks the epoch to keep

    @property
    def model(self) -> nn.Module:
        """The module whose parameters are trained."""
        ...

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps an epoch."""
        ...

    def lr_scale(self, name: str) -> float:
        """Factor on the learning rate of the parameter `name`."""
        ...

    def epoch(self, number: int) -> Iterator[Sequence[BatchT]]:
        """The batches of each optimiser step of epoch `number` (1-based).

        Seeds torch's generator from the epoch or the step, so that a resumed training draws the same
        numbers. The gradients of the batches of one step are averaged.
        """
        ...

    def loss(self, batch: BatchT) -> Tensor:
        """The training loss of a batch, ()."""
        ...

    def validate(self, model: nn.Module) -> Mapping[str, float]:
        """Scores of `model`, which is `self.model` or its moving average, on the validation set."""
        ...

    def export(self, model: nn.Module) -> Mapping[str, Tensor]:
        """The tensors of `model` that the finished run keeps."""
        ...

    def upgrade(self, state: State, folder: Path) -> State:
        """A training state of an earlier version in the form that `Trainer` writes."""
        ...


@dataclass(frozen=True, kw_only=True)
class TrainerConfig:
    """How long and how fast to train.

    `ema_decay` is the decay a step of an exponential moving average of the weights, which is then
    validated and kept (Polyak averaging); 0 keeps the weights themselves.
    """

    epochs: int
    patience_epochs: int | None
    optim: recipe.Optim
    schedule: recipe.Schedule
    ema_decay: float = 0.0


@dataclass(frozen=True, kw_only=True)
class TrainerContext:
    """Where a training runs and which files it writes.

    `on_epoch_end` is called in the main process after each epoch is on disk. `lr_option` precedes the
    learning rate on the command line. `data` holds JSON values that must be equal when training resumes.
    """

    folder: Path
    state_file: str
    world: World
    on_epoch_end: Callable[[History], None]
    lr_option: str
    data: Mapping[str, object] = field(default_factory=dict)


class Trainer(Generic[BatchT]):
    """A task in training: its optimiser, its history and its files in `context.folder`."""

    def __init__(self, task: Task[BatchT], config: TrainerConfig, context: TrainerContext) -> None:
        self.history = History(task.best_by)
        self._task = task
        self._config = config
        self._context = context
        self._optimiser = adamw(task.model, config.optim, task.lr_scale)
        self._ema = _moving_average(task.model, config.ema_decay) if config.ema_decay else None

    @property
    def eval_model(self) -> nn.Module:
        """The model that is validated and kept: the trained one, or its moving average."""
        return self._task.model if self._ema is None else self._ema.module

    def resume(self) -> int:
        """Continue after the last complete epoch in the folder. Returns: the number of complete epochs.

        Raises RunError where the data differs from that at the start.
        """
        path = self._context.folder / self._context.state_file
        if not path.is_file():
            return 0
        state = self._task.upgrade(checkpoint.read_state(path), self._context.folder)
        if state["data"] and state["data"] != dict(self._context.data):  # older ones of encoders are empty
            raise RunError(
                f"{path}: other videos, labels or features, or another split than at the training's start",
                hint="give the same options and an unchanged store, or train again into another folder",
            )
        self._task.model.load_state_dict(state["net"])
        load_state(self._optimiser, state["optimiser"])
        if self._ema is not None:
            self._ema.load_state_dict(state["mean"])
        self.history = History.from_state(state["history"], self._task.best_by)
        if self._context.world.is_main:
            self._write_metrics()  # the file may be one epoch ahead of the state
        return len(self.history.rows)

    @property
    def is_finished(self) -> bool:
        """Whether `run` would train no further epoch."""
        done = len(self.history.rows)
        return done >= self._config.epochs or self.history.stalled(self._config.patience_epochs)

    def run(self, progress: Progress) -> History:
        """Train to the last epoch or until validation has not improved for `patience_epochs`."""
        reset_peak(self._context.world.device)
        for epoch in range(len(self.history.rows) + 1, self._config.epochs + 1):
            if self.history.stalled(self._config.patience_epochs):
                progress.info(f"stopped early: no epoch was better than epoch {self.history.best.epoch}")
                break
            self.history.rows.append(self._epoch(epoch, progress))
            if self._context.world.is_main:
                self._save()
                self._context.on_epoch_end(self.history)
        return self.history

    def _epoch(self, epoch: int, progress: Progress) -> Row:
        start, first = time.perf_counter(), (epoch - 1) * self._task.steps_per_epoch
        steps = []
        self._task.model.train()
        with progress.task(f"epoch {epoch}", self._task.steps_per_epoch, "steps") as advance:
            for index, batches in enumerate(self._task.epoch(epoch)):
                steps.append(self._step(first + index, batches))
                advance(1)
        trained, step = time.perf_counter(), first + len(steps)
        scores = dict(self._task.validate(self.eval_model))
        if not all(map(math.isfinite, scores.values())):
            values = ", ".join(f"{name} {value:g}" for name, value in scores.items())
            raise self._diverged(step, f"validation {values}")
        return Row(
            epoch=epoch,
            step=step,
            loss=sum(loss for loss, _ in steps) / len(steps),
            scores=scores,
            train_s=trained - start,
            validate_s=time.perf_counter() - trained,
            grad_norm=sum(norm for _, norm in steps) / len(steps),
            lr=self._lr(step - 1),
            peak_bytes=peak_bytes(self._context.world.device),
            device=self._context.world.device.type,
        )

    def _step(self, step: int, batches: Sequence[BatchT]) -> tuple[float, float]:
        """One optimiser step. Returns: the loss, and the gradient's norm before clipping."""
        set_lr(self._optimiser, self._lr(step))
        self._optimiser.zero_grad(set_to_none=True)
        value = 0.0
        for batch in batches:
            loss = self._task.loss(batch) / len(batches)
            loss.backward()
            value += loss.item()
        max_norm = self._config.optim.clip_norm or math.inf
        norm = nn.utils.clip_grad_norm_(self._task.model.parameters(), max_norm).item()
        if not math.isfinite(value + norm):
            raise self._diverged(step, f"loss {value:g}, gradient {norm:g}")
        self._optimiser.step()
        if self._ema is not None:
            self._ema.update_parameters(self._task.model)
        return value, norm

    def _lr(self, step: int) -> float:
        config, epoch_steps = self._config, self._task.steps_per_epoch
        return config.optim.lr * lr_factor(config.schedule, step, epoch_steps, config.epochs * epoch_steps)

    def _diverged(self, step: int, values: str) -> RunError:
        return RunError(
            f"{self._context.folder}: training diverged at step {step}: {values}",
            hint=f"lower the learning rate: {self._context.lr_option}{self._config.optim.lr / 10:g}",
        )

    def _save(self) -> None:
        """Write the best weights if the last epoch was the best, the last weights, and the state."""
        folder, row, task = self._context.folder, self.history.rows[-1], self._task
        about = {"epoch": str(row.epoch)} | {name: f"{value:.6f}" for name, value in row.scores.items()}
        if self.history.best is row:
            checkpoint.write_weights(folder / WEIGHTS_FILE, task.export(self.eval_model), about)
        checkpoint.write_tensors(folder / LAST_FILE, task.model.state_dict(), about)
        self._write_metrics()
        checkpoint.write_state(folder / self._context.state_file, self._state())

    def _write_metrics(self) -> None:
        checkpoint.write_text(self._context.folder / METRICS_FILE, self.history.jsonl())

    def _state(self) -> State:
        # The weights are repeated here: two files cannot be renamed at once, and an interrupted run
        # would otherwise resume from weights and an optimiser of different epochs.
        state = {
            "data": dict(self._context.data),
            "net": self._task.model.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "history": self.history.state(),
        }
        return state if self._ema is None else {**state, "mean": self._ema.state_dict()}


def _moving_average(model: nn.Module, decay: float) -> AveragedModel:
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)


def reset_peak(device: torch.device) -> None:
    """Reset the peak of memory use: of CUDA's allocator on a GPU, of the process on Linux."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif CLEAR_PEAK.exists():
        try:
            CLEAR_PEAK.write_text("5")  # proc(5): resets the peak resident set size
        except OSError:
            return


def peak_bytes(device: torch.device) -> int | None:
    """Peak memory use since `reset_peak`; None where the system does not report it."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if not PROCESS_STATUS.exists():
        return None
    lines = dict(line.split(":", 1) for line in PROCESS_STATUS.read_text().splitlines() if ":" in line)
    return int(lines["VmHWM"].split()[0]) * 1024 if "VmHWM" in lines else None
