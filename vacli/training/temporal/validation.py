"""CCC of a model over all annotated frames of the held-out videos, shared out among ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple

import torch

from vacli.inference.torch_predictor import TorchPredictor
from vacli.metrics import Moments
from vacli.sequences.base import Rows
from vacli.training.distributed import World


def validate(predictor: TorchPredictor, videos: Sequence[Rows], world: World) -> tuple[float, float]:
    """Valence and arousal CCC, each over the frames of all videos joined; every rank gets both."""
    moments = [Moments(), Moments()]
    for rows in videos[world.rank :: world.size]:
        values = predictor(rows)
        for column in range(2):
            moments[column] += Moments.of(values[:, column], rows.labels[:, column])
    valence, arousal = (sum(_all(m, world), Moments()) for m in moments)
    return valence.ccc, arousal.ccc


def _all(mine: Moments, world: World) -> list[Moments]:
    if world.size == 1:
        return [mine]
    rows = world.gather(torch.tensor(astuple(mine), dtype=torch.float64))
    return [Moments(int(row[0]), *row[1:-1].tolist(), same_sign=int(row[-1])) for row in rows]
