"""Training of a sequence model on windows of features."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from vacli.recipe import schema as recipe
from vacli.sequences.dataset import Batch
from vacli.training.checkpoint import State
from vacli.training.distributed import World, all_reduce_sum, parallel
from vacli.training.losses import batch_loss
from vacli.training.temporal.history import BEST_BY, MEAN

Validate = Callable[[nn.Module], tuple[float, float]]  # valence and arousal CCC over the validation set


class Batches(Protocol):
    """The training windows of this process, in an order that depends on the epoch only."""

    def __len__(self) -> int:
        """Batches an epoch."""
        ...

    def epoch(self, number: int) -> Iterator[Batch]:
        """The batches of epoch `number` (1-based), ready for the network."""
        ...


class SequenceTask:
    """A network over windows, the CCC loss over all processes' frames, and the validation CCC."""

    def __init__(
        self, net: nn.Module, training: recipe.Training, batches: Batches, validate: Validate, world: World
    ) -> None:
        self.best_by = BEST_BY[training.keep]
        self._net = net
        self._training = training
        self._batches = batches
        self._validate = validate
        self._world = world
        self._parallel = parallel(net, world)

    @property
    def model(self) -> nn.Module:
        """The network."""
        return self._net

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch, of this process."""
        return len(self._batches)

    def lr_scale(self, name: str) -> float:
        """1 for every parameter: all have the recipe's learning rate."""
        return 1.0

    def epoch(self, number: int) -> Iterator[tuple[Batch]]:
        """Each step takes one batch; dropout is seeded once an epoch, per process."""
        torch.manual_seed(self._world.seed(self._training.seed, number))
        for batch in self._batches.epoch(number):
            yield (batch,)

    def loss(self, batch: Batch) -> Tensor:
        """The loss of a batch over the frames of all processes."""
        with torch.autocast(self._world.device.type, torch.bfloat16, enabled=self._training.amp):
            preds = self._parallel(batch.streams, batch.mask)
        return batch_loss(preds, batch, self._training.loss, all_reduce_sum)

    def validate(self, model: nn.Module) -> Mapping[str, float]:
        """CCC of valence, of arousal and their mean on the held-out videos."""
        valence, arousal = self._validate(model)
        return {"valence": valence, "arousal": arousal, MEAN: 0.5 * (valence + arousal)}

    def export(self, model: nn.Module) -> Mapping[str, Tensor]:
        """The network's tensors."""
        return model.state_dict()

    def upgrade(self, state: State, folder: Path) -> State:
        """Earlier versions did not store the mean CCC of a row."""
        rows = [{MEAN: 0.5 * (row["valence"] + row["arousal"]), **row} for row in state["history"]]
        return {**state, "history": rows}
