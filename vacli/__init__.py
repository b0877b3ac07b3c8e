"""va: continuous valence-arousal recognition from video with sound.

A module imports only from rooms below its own in this list, top to bottom:

    cli          thin click shells, the only importer of click and rich
    steps        one function for each command; this is the Python API too
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

__version__ = "0.2.0"
