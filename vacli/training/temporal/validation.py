"""CCC of a model over all annotated frames of the validation videos, distributed over ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple

import torch

from vacli.inference.torch_predictor import TorchPredictor
from vacli.metrics import Moments
from vacli.sequences.base import FeatureRows, labels_of
from vacli.training.distributed import World


def validate(predictor: TorchPredictor, videos: Sequence[FeatureRows], world: World) -> tuple[float, float]:
    """Valence and arousal CCC over the joined frames of all videos, the same on every rank."""
    moments = [Moments(), Moments()]
    for rows in videos[world.rank :: world.size]:
        preds, target = predictor(rows), labels_of(rows)
        for column in range(2):
            moments[column] += Moments.of(preds[:, column], target[:, column])
    valence, arousal = (sum(_all(m, world), Moments()) for m in moments)
    return valence.ccc, arousal.ccc


def _all(mine: Moments, world: World) -> list[Moments]:
    if world.size == 1:
        return [mine]
    rows = world.gather(torch.tensor(astuple(mine), dtype=torch.float64))
    return [_moments(row.tolist()) for row in rows]


def _moments(values: list[float]) -> Moments:
    count, mean_x, mean_y, xx, yy, xy, squared_error, same_sign = values
    return Moments(int(count), mean_x, mean_y, xx, yy, xy, squared_error, int(same_sign))
