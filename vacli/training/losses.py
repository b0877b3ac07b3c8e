"""Concordance as a training loss, in the covariance form.

The form with a correlation and two standard deviations has NaN gradients at constant predictions;
this one, 2 cov / (var + var + (difference of means)^2) with 1/n throughout (Lin 1989), has finite ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from vacli.recipe import schema as recipe
from vacli.sequences.dataset import Batch

Reduce = Callable[[Tensor], Tensor]

TINY = 1e-12  # smallest denominator; far below the variance of any annotation


def identity_reduce(sums: Tensor) -> Tensor:
    """The sums of a single process, unchanged."""
    return sums


def batch_loss(preds: Tensor, batch: Batch, loss: recipe.Loss, reduce: Reduce = identity_reduce) -> Tensor:
    """`ccc_loss` over a batch's annotated frames, plus its weighted unimodal and window-mean terms.

    `loss.unimodal_weight` times the loss over the frames with one stream, and `loss.window_mean_weight`
    times the loss over the means of windows.
    """
    masks = [(1.0, batch.label_mask)]
    if loss.unimodal_weight:
        masks += [(loss.unimodal_weight, batch.label_mask & only) for only in _one_stream(batch.streams)]
    terms = [weight * ccc_loss(preds, batch.labels, mask, loss, reduce) for weight, mask in masks]
    total = sum(terms[1:], start=terms[0])
    if loss.window_mean_weight:
        total = total + loss.window_mean_weight * _pooled(preds, batch, loss, reduce)
    return total


def _pooled(preds: Tensor, batch: Batch, loss: recipe.Loss, reduce: Reduce) -> Tensor:
    """`ccc_loss` where every window counts once, by the means of its annotated frames."""
    mask = batch.label_mask
    return ccc_loss(_means(preds, mask), _means(batch.labels, mask), mask.any(dim=1), loss, reduce)


def _means(x: Tensor, mask: Tensor) -> Tensor:
    """(B, 2) float32: means of (B, T, 2) over the frames where the mask (B, T) is True."""
    total = torch.where(mask[..., None], x.float(), 0.0).sum(dim=1)
    return total / mask.sum(dim=1, keepdim=True).clamp_min(1)


def _one_stream(streams: Mapping[str, Tensor]) -> Iterator[Tensor]:
    """For every stream (B, T, D), NaN where missing: (B, T) True where it is there and no other is."""
    there = torch.stack([x.isfinite().all(-1) for x in streams.values()])
    yield from there & (there.sum(0) == 1)


def ccc_loss(
    preds: Tensor, target: Tensor, mask: Tensor, loss: recipe.Loss, reduce: Reduce = identity_reduce
) -> Tensor:
    """Weighted sum over (valence, arousal) of 1 - CCC, plus `loss.mse` times the squared error.

    Moments are taken over all valid frames of the batch at once, not per window, in float64
    also under autocast. A dimension with fewer than two valid frames has loss and gradient 0.

    Args:
        preds: (..., 2).
        target: (..., 2); NaN where not annotated.
        mask: (...) bool, True where a frame counts: real, not padding, and annotated.
        reduce: adds sums over processes (`distributed.all_reduce_sum`), so that all ranks see one loss.

    Returns: () in float64 (float32 where the device has no float64).
    """
    with torch.autocast(preds.device.type, enabled=False):
        terms, count = _terms(preds, target, mask, loss, reduce)
        weights = terms.new_tensor([loss.valence, loss.arousal])
        return torch.where(count >= 2, terms * weights, 0.0).sum()


def _terms(
    preds: Tensor, target: Tensor, mask: Tensor, loss: recipe.Loss, reduce: Reduce
) -> tuple[Tensor, Tensor]:
    """Per dimension, (2,): the unweighted loss and the number of valid frames."""
    exact = torch.float32 if preds.device.type == "mps" else torch.float64
    valid = (mask[..., None] & target.isfinite()).reshape(-1, 2)
    x = torch.where(valid, preds.reshape(-1, 2).to(exact), 0.0)
    y = torch.where(valid, target.reshape(-1, 2).to(exact), 0.0)
    count, sum_x, sum_y = reduce(torch.stack([valid.to(exact).sum(0), x.sum(0), y.sum(0)]))
    frames = count.clamp_min(1)
    mean_x, mean_y = sum_x / frames, sum_y / frames
    # Centred sums do not change with the centre to first order: without its gradient each rank's is exact.
    dx = torch.where(valid, x - mean_x.detach(), 0.0)
    dy = torch.where(valid, y - mean_y, 0.0)
    sums = torch.stack([(dx * dy).sum(0), (dx * dx + dy * dy).sum(0), (x - y).square().sum(0)])
    covariance, variances, error = reduce(sums) / frames
    ccc = 2 * covariance / (variances + (mean_x - mean_y).square()).clamp_min(TINY)
    return 1 - ccc + loss.mse * error, count
