"""A run directory: the names of its files, and reading them with a check of their digests."""

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
from vacli.files.digests import TRAIN_AGAIN

RECIPE_FILE = "recipe.json"
WEIGHTS_FILE = "weights.safetensors"
NORMALIZATION_FILE = "normalisation.safetensors"
FEATURES_FILE = "features.json"
DATA_FILE = "data.json"
STORE_FROM_RUN = "store_from_run"  # in it: the path of the store, relative to its folder
CALIBRATION_FILE = "calibration.json"
SPEECH_FILE = "speech.safetensors"
FACE_ERROR_FILE = "face_error.safetensors"
GAIN_FILE = "gain.json"  # of a run over the run that its training started from
ENCODER_FILE = "encoder.json"
LAST_FILE = "last.safetensors"  # state after the last epoch
METRICS_FILE = "metrics.jsonl"  # one JSON object an epoch
CARD_FILE = "card.md"  # written after the last epoch
FOLD_PREFIX = "fold_"  # then the number of the fold: the folder of its run
FOLD_NAME = re.compile(rf"{FOLD_PREFIX}(\d{{1,4}})")


def read_tensors(path: Path, hint: str = TRAIN_AGAIN) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file of a run; raises RunError with `hint` if it is damaged."""
    try:
        tensors = load(_bytes(path, hint))
    except (SafetensorError, ValueError, KeyError) as error:
        raise unreadable(path, error, hint) from None
    for name, values in tensors.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise RunError(f"{path}: {name} holds values that are not finite", hint=hint)
    return tensors


def read_json(path: Path, hint: str = TRAIN_AGAIN) -> Any:
    """The value of a JSON file of a run; raises RunError with `hint` if it cannot be read."""
    try:
        return json.loads(_bytes(path, hint))
    except ValueError as error:
        raise unreadable(path, error, hint) from None


def epochs_done(folder: Path) -> int | None:
    """The number of epochs of a training that is not at its end; None for a run that is, or was exported."""
    if (folder / CARD_FILE).is_file() or not (folder / LAST_FILE).is_file():
        return None
    try:
        return len((folder / METRICS_FILE).read_text(encoding="utf-8").splitlines())
    except OSError:
        return None


def _bytes(path: Path, hint: str) -> bytes:
    """The content of a file of a run, checked against its digest."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error, hint) from None
    digests.check_bytes(path, data, hint)
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


def unreadable(path: Path, error: Exception, hint: str = TRAIN_AGAIN) -> RunError:
    """The error for a file of a run that cannot be used."""
    return RunError(f"{path} cannot be read: {error}", hint=hint)
