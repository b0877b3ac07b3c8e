"""Fitting a model: epochs, validation, the best kept, and a state from which it goes on bit by bit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from vacli.errors import RunError
from vacli.files.run_directory import LAST_FILE, METRICS_FILE, WEIGHTS_FILE
from vacli.progress import Progress
from vacli.recipe import schema as recipe
from vacli.sequences.dataset import Batch
from vacli.training import checkpoint
from vacli.training.distributed import World, parallel, total
from vacli.training.losses import batch_loss
from vacli.training.optim import adamw, set_lr
from vacli.training.schedule import lr_factor
from vacli.training.temporal import memory
from vacli.training.temporal.history import History, Row


class Batches(Protocol):
    """The training windows of this process, in an order that depends on the epoch alone."""

    def __len__(self) -> int:
        """Batches an epoch."""
        ...

    def epoch(self, number: int) -> Iterator[Batch]:
        """The batches of epoch `number` (1-based), ready for the network."""
        ...


@dataclass(frozen=True)
class Around:
    """What a fit needs beside the model and its data.

    `validate` gives valence and arousal CCC over all validation frames; `tell` hears of each epoch in
    the first process; `data` is what a resumed fit must share with its beginning (JSON values).
    """

    folder: Path
    world: World
    validate: Callable[[], tuple[float, float]]
    tell: Callable[[History], None]
    data: Mapping[str, Any]


class Trainer:
    """A model and all that changes while it is fitted."""

    def __init__(self, net: nn.Module, training: recipe.Training, batches: Batches, around: Around) -> None:
        self.history = History()
        self._net = net
        self._training = training
        self._batches = batches
        self._around = around
        self._optimiser = adamw(net, training.optim)
        self._parallel = parallel(net, around.world)

    @property
    def parameters(self) -> int:
        """How many numbers are trained."""
        return sum(p.numel() for p in self._net.parameters() if p.requires_grad)

    def resume(self) -> None:
        """Go back to the end of the last complete epoch; raises RunError where the data differs."""
        path = self._around.folder / checkpoint.STATE
        state = checkpoint.read_state(path)
        if state["data"] != dict(self._around.data):
            raise RunError(
                f"{path}: the store holds other videos or features than when training began",
                hint="train afresh into another folder",
            )
        self._net.load_state_dict(state["net"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.history = History.from_state(state["history"])

    def run(self, progress: Progress) -> History:
        """Train up to the last epoch or until validation has not improved for `patience_epochs`."""
        memory.reset_peak(self._around.world.device)
        for epoch in range(len(self.history.rows) + 1, self._training.epochs + 1):
            if self.history.stalled(self._training.patience_epochs):
                progress.say(f"no better epoch since {self.history.best.epoch}: stopped early")
                break
            self.history.add(self._epoch(epoch, progress))
            if self._around.world.first:
                self._keep()
                self._around.tell(self.history)
        return self.history

    def _epoch(self, epoch: int, progress: Progress) -> Row:
        began, first = time.perf_counter(), (epoch - 1) * len(self._batches)
        steps = []
        torch.manual_seed(self._around.world.seed(self._training.seed, epoch))  # dropout, resumed or not
        self._net.train()
        with progress.task(f"epoch {epoch}", len(self._batches), "batches") as advance:
            for index, batch in enumerate(self._batches.epoch(epoch)):
                steps.append(self._step(first + index, batch))
                advance(1)
        trained = time.perf_counter()
        valence, arousal = self._around.validate()
        if not math.isfinite(valence + arousal):
            raise self._diverged(first + len(steps), f"validation CCC {valence:g} and {arousal:g}")
        return Row(
            epoch=epoch,
            step=first + len(steps),
            loss=sum(loss for loss, _ in steps) / len(steps),
            grad_norm=sum(norm for _, norm in steps) / len(steps),
            lr=self._lr(first + len(steps) - 1),
            valence=valence,
            arousal=arousal,
            train_s=trained - began,
            validate_s=time.perf_counter() - trained,
            peak_bytes=memory.peak_bytes(self._around.world.device),
        )

    def _step(self, step: int, batch: Batch) -> tuple[float, float]:
        """One optimiser step. Returns: the loss, and the gradient's norm before it was clipped."""
        optim = self._training.optim
        set_lr(self._optimiser, self._lr(step))
        self._optimiser.zero_grad(set_to_none=True)
        with torch.autocast(self._around.world.device.type, torch.bfloat16, enabled=self._training.amp):
            predicted = self._parallel(batch.streams, batch.mask)
        loss = batch_loss(predicted, batch, self._training.loss, total)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self._net.parameters(), optim.clip_norm or math.inf)
        values = loss.item(), norm.item()
        if not all(map(math.isfinite, values)):
            raise self._diverged(step, f"loss {values[0]:g}, gradient {values[1]:g}")
        self._optimiser.step()
        return values

    def _lr(self, step: int) -> float:
        epoch_steps = len(self._batches)
        total_steps = self._training.epochs * epoch_steps
        return self._training.optim.lr * lr_factor(self._training.schedule, step, epoch_steps, total_steps)

    def _diverged(self, step: int, what: str) -> RunError:
        return RunError(
            f"{self._around.folder}: training diverged at step {step}: {what}",
            hint=f"lower the rate: --set training.optim.lr={self._training.optim.lr / 10:g}",
        )

    def _keep(self) -> None:
        """Write what the last epoch changed: best weights if it was the best, last weights, state."""
        folder, row = self._around.folder, self.history.rows[-1]
        weights, about = self._net.state_dict(), {"epoch": str(row.epoch), "ccc": f"{row.mean:.6f}"}
        if self.history.best is row:
            checkpoint.write_weights(folder / WEIGHTS_FILE, weights, about)
        checkpoint.write_tensors(folder / LAST_FILE, weights, about)
        checkpoint.write_text(folder / METRICS_FILE, self.history.jsonl())
        checkpoint.write_state(folder / checkpoint.STATE, self._state())

    def _state(self) -> dict[str, Any]:
        # The weights are in here too although last.safetensors has them: two files cannot be renamed
        # at once, and a run cut off in between would go on from halves that do not belong together.
        return {
            "data": dict(self._around.data),
            "net": self._net.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "history": self.history.state(),
        }
