"""Training of an encoder on single frames."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from vacli.files.run_directory import LAST_FILE, METRICS_FILE, WEIGHTS_FILE
from vacli.metrics import Moments
from vacli.runtime.devices import multiplies_bfloat16
from vacli.training.checkpoint import State
from vacli.training.encoder.frames import Images, prefetch_batches
from vacli.training.encoder.objective import EncoderTrainingConfig, Objective
from vacli.training.optim import layer_decay

STATE_FILE = "state.pt"
BEST_BY = "score"  # the mean CCC, or minus the loss where the frames have no labels
STEP_SEED = 1_000_003  # the seed of a step is the run's seed times this, plus the step

FrameBatch = tuple[np.ndarray, np.ndarray]  # numbers of the frames, their images


@dataclass(frozen=True)
class FrameData:
    """The training frames and the validation frames."""

    train: Images
    val: Images


class FrameTask:
    """An objective with its frames.

    Every random number of a step depends on (seed, step) only, so that a resumed run repeats it.
    """

    best_by = BEST_BY

    def __init__(self, objective: Objective, data: FrameData, config: EncoderTrainingConfig) -> None:
        self._objective = objective
        self._data = data
        self._config = config
        self._device = next(objective.parameters()).device
        names = [name for name, p in objective.named_parameters() if p.requires_grad]
        top = max(objective.layer_of(name) for name in names)
        self._lr_scale = layer_decay(objective.layer_of, top, config.layer_decay)

    @property
    def model(self) -> nn.Module:
        """The network and its objective."""
        return self._objective

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps, each of `grad_accum` batches."""
        return math.ceil(len(self._data.train.frames) / (self._config.batch_size * self._config.grad_accum))

    def lr_scale(self, name: str) -> float:
        """The factor of the learning rate of a parameter, by its layer."""
        return self._lr_scale(name)

    def epoch(self, number: int) -> Iterator[list[FrameBatch]]:
        """The batches of each step, in an order drawn from (seed, epoch)."""
        config, count = self._config, len(self._data.train.frames)
        order = np.random.default_rng((config.seed, number - 1)).permutation(count)
        batches = prefetch_batches(self._data.train, _slices(order, config.batch_size))
        first = (number - 1) * self.steps_per_epoch
        for step, group in enumerate(_groups(batches, config.grad_accum), first):
            torch.manual_seed(config.seed * STEP_SEED + step)
            yield group

    def loss(self, batch: FrameBatch) -> Tensor:
        """The objective's loss of one batch, under autocast where it is used."""
        items, images = batch
        frames = self._data.train.frames
        target = torch.from_numpy(frames.target[items]).to(self._device)
        votes = None if frames.votes is None else torch.from_numpy(frames.votes[items]).to(self._device)
        with self._autocast():
            return self._objective.loss(self._to_device(images), target, votes)

    def validate(self, model: nn.Module) -> Mapping[str, float]:
        """CCC over all validation frames at once; of frames without labels the mean loss."""
        objective = cast(Objective, model).eval()
        torch.manual_seed(self._config.seed)
        batches = _slices(np.arange(len(self._data.val.frames)), self._config.batch_size)
        if np.isfinite(self._data.val.frames.target).any():
            return self._ccc(objective, batches)
        return self._mean_loss(objective, batches)

    def export(self, model: nn.Module) -> Mapping[str, Tensor]:
        """The tensors of the encoder under the keys of its checkpoint."""
        return cast(Objective, model).export()

    def upgrade(self, state: State, folder: Path) -> State:
        """Earlier versions stored the history inside `state`, and before that the weights in a file."""
        if "state" not in state:
            return state
        net = state["net"] if "net" in state else load_file(folder / LAST_FILE)
        rows = [self._upgrade_row(dict(row)) for row in state["state"]["history"]]
        return {"data": {}, **state, "net": net, "history": rows}

    def _upgrade_row(self, row: dict[str, float]) -> dict[str, float]:
        seconds = row.pop("seconds")
        return {**row, "step": row["epoch"] * self.steps_per_epoch, "train_s": seconds, "validate_s": 0.0}

    def _ccc(self, objective: Objective, batches: list[np.ndarray]) -> dict[str, float]:
        target = self._data.val.frames.target
        preds = np.empty((len(target), 2), np.float32)
        for items, images in prefetch_batches(self._data.val, batches):
            with torch.inference_mode(), self._autocast():
                rows = objective.predict(self._to_device(images))
            preds[items] = rows.float().cpu().numpy()
        valence, arousal = (Moments.of(preds[:, d], target[:, d]).ccc for d in (0, 1))
        return {"ccc_valence": valence, "ccc_arousal": arousal, BEST_BY: (valence + arousal) / 2}

    def _mean_loss(self, objective: Objective, batches: list[np.ndarray]) -> dict[str, float]:
        losses, no_target = [], torch.empty(0)
        for _, images in prefetch_batches(self._data.val, batches):
            with torch.inference_mode(), self._autocast():
                losses.append(float(objective.loss(self._to_device(images), no_target, None)))
        mean = float(np.mean(losses))
        return {"held_loss": mean, BEST_BY: -mean}

    def _to_device(self, images: np.ndarray) -> Tensor:
        return torch.from_numpy(images).to(self._device)

    def _autocast(self) -> torch.autocast:
        """bfloat16 where it is asked for and the device multiplies it; it needs no loss scaling."""
        enabled = self._config.amp and multiplies_bfloat16(self._device)
        return torch.autocast(self._device.type, torch.bfloat16, enabled=enabled)


def remove_run(folder: Path) -> None:
    """Remove the files of a run, the training state first, so that it is never resumed in part."""
    for name in (STATE_FILE, WEIGHTS_FILE, LAST_FILE, METRICS_FILE):
        (folder / name).unlink(missing_ok=True)


def _slices(items: np.ndarray, size: int) -> list[np.ndarray]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _groups(batches: Iterator[FrameBatch], size: int) -> Iterator[list[FrameBatch]]:
    """`size` batches at a time; the last group may have fewer."""
    group: list[FrameBatch] = []
    for batch in batches:
        group.append(batch)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
