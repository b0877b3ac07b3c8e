"""va: continuous valence-arousal recognition from video with sound.

The package reads downwards, and imports only ever point down:

    cli          thin click shells, the only place that knows click and rich
    steps        one function a command; this is the Python API too
    output       csv, json, figures        evaluation   scores and tables
    training     losses, schedule, loop    inference    windows -> trajectory
    models       (B, T, D) -> (B, T, 2)    sequences    labels, windows, folds
    store        the only room that knows Zarr
    features     crops or sound -> numbers faces        detect, track, align
    media        what a container says; frames and sound with true times
    recipe presets metrics                 typed configuration; CCC once
    errors clock spec progress threads     foundations
"""

__version__ = "0.1.0"
