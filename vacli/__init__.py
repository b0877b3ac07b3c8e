"""va: continuous valence-arousal recognition from video with sound.

A module imports only from rooms below its own in this list, top to bottom:

    cli          thin click shells, the only importer of click and rich
    api          `predict`, `predict_frames` and `Predictor`, which this module offers
    steps        one function for each command
    pipeline     one recording in memory, without a store
    output       tables, CSV, JSON, figures
    evaluation   scores of runs and predictions
    training     losses, schedules, checkpoints, trainers
    inference    a run -> a trajectory
    models       (B, T, D) -> (B, T, 2)
    sequences    rows of a store, windows, folds, normalization
    datasets     annotations, corpora, synthesis, augmentation
    store        the only room that knows Zarr
    features     crops or sound -> features
    faces        detection, tracking, alignment
    media        containers; frames and sound with true times
    recipe       typed configuration, presets
    runtime      threads, compiled loops, devices, ONNX
    files        files written whole, digests, run directories
    errors, clock, spec, progress, metrics, circumplex, packages: foundations
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vacli.api import Predictor, Table, predict, predict_frames

__version__ = "0.2.0"
__all__ = ["Predictor", "Table", "__version__", "predict", "predict_frames"]


def __getattr__(name: str) -> Any:
    """Import the functions for prediction when they are first used, since they load large libraries."""
    if name in __all__:
        from vacli import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
