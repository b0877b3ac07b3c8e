"""Training on single frames: one loop for every task in `tasks` and `vit_tasks`.

Every random draw of a step comes from (seed, step) alone, so that a resumed run takes the same path.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from vacli.errors import RunError
from vacli.files.run_directory import LAST_FILE, METRICS_FILE, WEIGHTS_FILE
from vacli.metrics import Moments
from vacli.progress import Progress
from vacli.recipe import schema as recipe
from vacli.runtime.devices import multiplies_bfloat16
from vacli.training.checkpoint import read_state, write_state, write_tensors, write_text, write_weights
from vacli.training.encoder.compact_task import Task
from vacli.training.encoder.frames import Images, ahead
from vacli.training.optim import adamw, layer_decay, set_lr
from vacli.training.schedule import lr_factor

STATE_FILE = "state.pt"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long, how fast and in what portions.

    A step takes `accumulate` portions of `batch_size` frames; the CCC is that of a portion, so portions
    should be as large as memory allows. `layer_decay` multiplies the learning rate once a layer
    from the top down (BEiT's and MAE's recipe). `average` is the decay a step of a running mean of the
    weights, which is then what is judged and kept (Polyak averaging); 0 keeps the weights themselves.
    """

    epochs: int = 20
    batch_size: int = 64
    accumulate: int = 1
    layer_decay: float = 0.75
    patience_epochs: int | None = 5
    average: float = 0.0
    amp: bool = True
    seed: int = 42
    loss: recipe.Loss = recipe.Loss()
    optim: recipe.Optim = recipe.Optim(lr=2.5e-4, weight_decay=0.05)
    schedule: recipe.Schedule = recipe.Schedule(warmup_epochs=2.0)


@dataclass
class State:
    """Where a run stands after whole epochs."""

    epoch: int = 0
    step: int = 0
    best: float = -math.inf
    best_epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Data:
    """Frames to learn from and frames to judge by."""

    train: Images
    held: Images


class Fit:
    """A task in training: its optimiser, its place in the plan, its files in `folder`."""

    def __init__(self, task: Task & nn.Module, data: Data, plan: Plan, folder: Path) -> None:  # type: ignore[operator]
        self.task = task
        self.data = data
        self.plan = plan
        self.folder = folder
        self.device = next(task.parameters()).device
        names = [name for name, p in task.named_parameters() if p.requires_grad]
        top = max(task.layer_of(name) for name in names)
        self.optimiser = adamw(task, plan.optim, layer_decay(task.layer_of, top, plan.layer_decay))
        self.epoch_steps = math.ceil(len(data.train.frames) / (plan.batch_size * plan.accumulate))
        self.state = State()
        mean = get_ema_multi_avg_fn(plan.average)
        self.mean = AveragedModel(task, multi_avg_fn=mean, use_buffers=True) if plan.average else None

    @property
    def judged(self) -> Task & nn.Module:  # type: ignore[operator]
        """What is validated and kept: the task, or the running mean of it."""
        return self.task if self.mean is None else self.mean.module

    def resume(self) -> None:
        """Go on from the last whole epoch in the folder; from the beginning where none is done yet."""
        if not (self.folder / STATE_FILE).is_file():
            return
        stored = read_state(self.folder / STATE_FILE)
        # Versions before kept the weights in a file of their own only.
        self.task.load_state_dict(stored["net"] if "net" in stored else load_file(self.folder / LAST_FILE))
        self.optimiser.load_state_dict(stored["optimiser"])
        if self.mean is not None:
            self.mean.load_state_dict(stored["mean"])
        self.state = State(**stored["state"])
        self._write_metrics()

    def run(self, progress: Progress) -> State:
        """Train to the end of the plan or until `patience_epochs` bring nothing better."""
        with progress.task("epochs", self.plan.epochs, "epochs") as advance:
            advance(self.state.epoch)
            while self.state.epoch < self.plan.epochs and not self._stale():
                line = self._epoch()
                advance(1)
                progress.say(" ".join(f"{k} {v:.4g}" for k, v in line.items()))
        return self.state

    def _stale(self) -> bool:
        patience = self.plan.patience_epochs
        return patience is not None and self.state.epoch - self.state.best_epoch >= patience

    def _epoch(self) -> dict[str, float]:
        began = time.perf_counter()
        self.task.train()
        losses = [self._step(portions) for portions in self._steps()]
        self.state.epoch += 1
        line = {"epoch": self.state.epoch, "loss": float(np.mean(losses)), **self.validate()}
        line["seconds"] = time.perf_counter() - began
        self._keep(line)
        return line

    def _steps(self) -> Iterator[list[tuple[np.ndarray, np.ndarray]]]:
        """The portions of each step of one epoch, in an order drawn from (seed, epoch)."""
        frames, size = self.data.train.frames, self.plan.batch_size
        order = np.random.default_rng((self.plan.seed, self.state.epoch)).permutation(len(frames))
        batches = [order[s : s + size] for s in range(0, len(order), size)]
        waiting: list[tuple[np.ndarray, np.ndarray]] = []
        for number, batch in enumerate(ahead(self.data.train, batches), 1):
            waiting.append(batch)
            if len(waiting) == self.plan.accumulate or number == len(batches):
                yield waiting
                waiting = []

    def _step(self, portions: list[tuple[np.ndarray, np.ndarray]]) -> float:
        plan, step = self.plan, self.state.step
        torch.manual_seed(plan.seed * 1_000_003 + step)
        total = self.epoch_steps * plan.epochs
        set_lr(self.optimiser, plan.optim.lr * lr_factor(plan.schedule, step, self.epoch_steps, total))
        value = 0.0
        for items, images in portions:
            with self._precision():
                loss = self.task.loss(*self._tensors(items, images)) / len(portions)
            loss.backward()
            value += float(loss.detach())
        if not math.isfinite(value):
            raise RunError(f"{self.folder}: the loss is {value} at step {step}", hint="lower --lr")
        trained = [p for p in self.task.parameters() if p.requires_grad]
        nn.utils.clip_grad_norm_(trained, plan.optim.clip_norm)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        if self.mean is not None:
            self.mean.update_parameters(self.task)
        self.state.step += 1
        return value

    def _tensors(self, items: np.ndarray, images: np.ndarray) -> tuple[Tensor, Tensor, Tensor | None]:
        frames = self.data.train.frames
        target = torch.from_numpy(frames.target[items])
        votes = None if frames.votes is None else torch.from_numpy(frames.votes[items]).to(self.device)
        return torch.from_numpy(images).to(self.device), target.to(self.device), votes

    def _precision(self) -> torch.autocast:
        """bfloat16 where it is asked for and the device multiplies it; it needs no loss scaling."""
        enabled = self.plan.amp and multiplies_bfloat16(self.device)
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled)

    def validate(self) -> dict[str, float]:
        """CCC over all held-back frames at once, and `score`, which the best epoch is chosen by."""
        self.judged.eval()
        frames, size = self.data.held.frames, self.plan.batch_size
        batches = [np.arange(s, min(s + size, len(frames))) for s in range(0, len(frames), size)]
        torch.manual_seed(self.plan.seed)
        if not np.isfinite(frames.target).any():
            return self._validate_unlabelled(batches)
        predicted = np.empty((len(frames), 2), np.float32)
        for items, images in ahead(self.data.held, batches):
            with torch.inference_mode(), self._precision():
                rows = self.judged.predict(torch.from_numpy(images).to(self.device))
            predicted[items] = rows.float().cpu().numpy()
        valence, arousal = (Moments.of(predicted[:, d], frames.target[:, d]).ccc for d in (0, 1))
        return {"ccc_valence": valence, "ccc_arousal": arousal, "score": (valence + arousal) / 2}

    def _validate_unlabelled(self, batches: list[np.ndarray]) -> dict[str, float]:
        losses, unused = [], torch.empty(0)
        for _, images in ahead(self.data.held, batches):
            with torch.inference_mode(), self._precision():
                loss = self.judged.loss(torch.from_numpy(images).to(self.device), unused, None)
            losses.append(float(loss))
        return {"held_loss": float(np.mean(losses)), "score": -float(np.mean(losses))}

    def _keep(self, line: dict[str, float]) -> None:
        state = self.state
        state.history.append(line)
        if line["score"] > state.best:
            state.best, state.best_epoch = line["score"], state.epoch
            write_weights(self.folder / WEIGHTS_FILE, saved(self.judged))
        write_tensors(self.folder / LAST_FILE, self.task.state_dict())
        self._write_metrics()
        write_state(self.folder / STATE_FILE, self._progress())

    def _write_metrics(self) -> None:
        write_text(self.folder / METRICS_FILE, "".join(json.dumps(h) + "\n" for h in self.state.history))

    def _progress(self) -> dict[str, Any]:
        """All that `resume` needs, in one file: two cannot change at once."""
        stored = {
            "net": self.task.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "state": vars(self.state),
        }
        return stored if self.mean is None else {**stored, "mean": self.mean.state_dict()}


def forget(folder: Path) -> None:
    """Remove the files of a run, first the one that a resumed run would believe."""
    for name in (STATE_FILE, WEIGHTS_FILE, LAST_FILE, METRICS_FILE):
        (folder / name).unlink(missing_ok=True)


def saved(task: nn.Module) -> dict[str, Any]:
    """What the finished run keeps: the bundled face network under its own keys, others as they are."""
    inner = getattr(task, "face", None)
    return dict((inner or task).state_dict())
