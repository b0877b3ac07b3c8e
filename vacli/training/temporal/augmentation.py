"""Augmentation of training windows: missing streams, masked spans, noise and offsets."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from vacli.recipe.schema import Augment

MAX_MASK = 0.5  # longest masked span, as a fraction of a window


def augment_windows(
    streams: Mapping[str, Tensor], augment: Augment, generator: torch.Generator
) -> dict[str, Tensor]:
    """Streams (B, T, D) of z-scores with missing rows (NaN), noise and offsets, drawn for each window.

    `modality_dropout`: probability that a window loses one of its streams; a single stream is kept.
    `time_mask`: probability that a stream of a window loses a span of up to MAX_MASK. `noise`: standard
    deviation of Gaussian noise on every value. `shift`: standard deviation of a Gaussian offset of each
    feature, the same in a whole window, as another room, microphone or speaker gives it. The generator is on
    the streams' device.
    """
    changed = dict(streams)
    if augment.noise:
        changed = {n: x + augment.noise * _normal(x, generator) for n, x in changed.items()}
    if augment.shift:
        changed = {n: x + augment.shift * _normal(x[:, :1], generator) for n, x in changed.items()}
    if augment.modality_dropout and len(changed) > 1:
        changed = _drop_modality(changed, augment.modality_dropout, generator)
    if augment.time_mask:
        changed = {n: _mask_time(x, augment.time_mask, generator) for n, x in changed.items()}
    return changed


def _drop_modality(streams: dict[str, Tensor], p: float, generator: torch.Generator) -> dict[str, Tensor]:
    first = next(iter(streams.values()))
    dropped = _uniform(len(first), first, generator) < p
    which = (_uniform(len(first), first, generator) * len(streams)).long()
    return {
        name: x.masked_fill((dropped & (which == number))[:, None, None], torch.nan)
        for number, (name, x) in enumerate(streams.items())
    }


def _mask_time(x: Tensor, p: float, generator: torch.Generator) -> Tensor:
    windows, frames = x.shape[:2]
    dropped = _uniform(windows, x, generator) < p
    length = _uniform(windows, x, generator) * MAX_MASK * frames
    start = _uniform(windows, x, generator) * (frames - length)
    at = torch.arange(frames, device=x.device)
    inside = (at >= start[:, None]) & (at < (start + length)[:, None])
    return x.masked_fill((inside & dropped[:, None])[:, :, None], torch.nan)


def _uniform(count: int, like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator, device=like.device)


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, device=like.device, dtype=like.dtype)
