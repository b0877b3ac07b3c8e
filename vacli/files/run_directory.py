"""A run directory: the names of its files, which are read only as they were written."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from vacli.errors import RunError
from vacli.files import digests

RECIPE_FILE = "recipe.json"
WEIGHTS_FILE = "weights.safetensors"
NORMALIZATION_FILE = "normalisation.safetensors"
FEATURES_FILE = "features.json"
DATA_FILE = "data.json"
CALIBRATION_FILE = "calibration.json"
SPEECH_FILE = "speech.safetensors"
ENCODER_FILE = "encoder.json"
LAST_FILE = "last.safetensors"  # of the last epoch
METRICS_FILE = "metrics.jsonl"  # one JSON object an epoch
FOLD_PREFIX = "fold_"  # of the folder of each fold of a cross-validation
FOLD_NAME = re.compile(rf"{FOLD_PREFIX}(\d{{1,4}})")
DAMAGED = digests.TRAIN_AGAIN


def read_tensors(path: Path, hint: str = DAMAGED) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file of a run; raises RunError with `hint` where it is damaged."""
    try:
        tensors = load(_bytes(path, hint))
    except (SafetensorError, ValueError, KeyError) as error:
        raise unreadable(path, error, hint) from None
    for name, values in tensors.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise RunError(f"{path}: {name} has values that are no numbers", hint=hint)
    return tensors


def read_json(path: Path, hint: str = DAMAGED) -> Any:
    """A file of a run; raises RunError with `hint` where it cannot be read."""
    try:
        return json.loads(_bytes(path, hint))
    except ValueError as error:
        raise unreadable(path, error, hint) from None


def _bytes(path: Path, hint: str) -> bytes:
    """What a file of a run holds, if it is what was written."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error, hint) from None
    digests.check(path, data, hint)
    return data


def missing_folds(run: Path, present: Sequence[Path]) -> list[str]:
    """Names of the folds of a cross-validation that have no trained model.

    present: the folders of the trained folds. Expected are as many folds as their data files note, a fold for
    each lower number, and a fold for each folder of that name.
    """
    data = [read_json(folder / DATA_FILE) for folder in present]
    noted = [about.get("folds") or 0 for about in data if isinstance(about, dict)]
    names = [path.name for path in run.glob(f"{FOLD_PREFIX}*") if path.is_dir()]
    numbers = [int(match[1]) for name in names if (match := FOLD_NAME.fullmatch(name))]
    count = max((n for n in (*noted, *numbers) if isinstance(n, int)), default=0)
    trained = {folder.name for folder in present}
    return [name for n in range(1, count + 1) if (name := f"{FOLD_PREFIX}{n}") not in trained]


def unreadable(path: Path, error: Exception, hint: str = DAMAGED) -> RunError:
    """The error for a file of a run that does not hold what it should."""
    return RunError(f"{path} cannot be read: {error}", hint=hint)
