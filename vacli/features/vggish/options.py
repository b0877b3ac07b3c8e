"""Options of VGGish, importable without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Postprocessing:
    """Steps after the published network; torchvggish does both by default, the reference only the PCA.

    `final_relu` is an activation on the embedding, `pca` the whitening and 8-bit quantisation of AudioSet
    with the parameters in `pca_weights` (None: fetched).
    """

    final_relu: bool = False
    pca: bool = False
    pca_weights: Path | None = None
