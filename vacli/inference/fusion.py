"""Combination of several estimates of the same values by their uncertainties."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def precision_weighted(
    values: Sequence[np.ndarray], stds: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The mean of estimates weighted by their inverse variances, and its standard deviation.

    values, stds: one array (..., ) for each of the K estimates, all of one shape; NaN in either, or an
    infinite or zero standard deviation, means that the estimate is missing there. The errors are taken to be
    independent. Where estimates disagree by more than their uncertainties explain, the standard deviation is
    enlarged by sqrt(chi^2 / (n - 1)), the scale factor of the Particle Data Group for n estimates, and never
    reduced.
    Returns: float64 arrays of that shape, NaN where all estimates are missing.
    """
    x, s = np.asarray(values, np.float64), np.asarray(stds, np.float64)
    known = np.isfinite(x) & np.isfinite(s) & (s > 0)
    precision = np.where(known, 1 / np.square(np.where(known, s, 1.0)), 0.0)
    total, count = precision.sum(axis=0), known.sum(axis=0)
    safe = np.where(count > 0, total, np.nan)
    mean = np.where(known, precision * np.where(known, x, 0.0), 0.0).sum(axis=0) / safe
    chi2 = (precision * np.square(np.where(known, x - mean, 0.0))).sum(axis=0)
    scale = np.sqrt(np.maximum(chi2 / np.maximum(count - 1, 1), 1.0))
    return mean, scale / np.sqrt(safe)
