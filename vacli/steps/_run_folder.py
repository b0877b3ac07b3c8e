"""The folder of a training: it holds one run, which one process writes, and a failed training leaves none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from vacli.errors import RunError
from vacli.files.digests import DIGESTS_FILE
from vacli.files.disk_space import report_write_errors
from vacli.files.run_directory import (
    DATA_FILE,
    ENCODER_FILE,
    FEATURES_FILE,
    FOLD_PREFIX,
    LAST_FILE,
    METRICS_FILE,
    NORMALIZATION_FILE,
    RECIPE_FILE,
    WEIGHTS_FILE,
)
from vacli.store import locks

LOCK_FILE = ".training"  # while a training runs
TRAINING_FILES = (
    WEIGHTS_FILE,
    LAST_FILE,
    METRICS_FILE,
    RECIPE_FILE,
    FEATURES_FILE,
    DATA_FILE,
    NORMALIZATION_FILE,
    ENCODER_FILE,
    DIGESTS_FILE,
)


def check_free(out: Path, folders: Sequence[Path], state_file: str, *, resume: bool) -> None:
    """Raise RunError if a training into `folders` would replace a run, or would hide one.

    out: the run. folders: `out`, or a folder a fold in it. A single run hides the folds beside it.
    state_file: the name of the training state. A folder without trained weights, which an interruption in
    the first epoch leaves, is free.
    """
    is_single = list(folders) == [out]
    folds = [folder for folder in sorted(out.glob(f"{FOLD_PREFIX}*")) if _holds_run(folder, state_file)]
    if is_single and folds:
        raise RunError(
            f"{out} holds {len(folds)} fold runs ({folds[0].name}, ...), which a single run would hide",
            hint="choose another folder with --out",
        )
    if not is_single and _holds_run(out, state_file):
        raise RunError(
            f"{out} holds a single run, which would hide the folds", hint="choose another folder with --out"
        )
    for folder in folders:
        if not resume and _holds_run(folder, state_file):
            raise RunError(
                f"{folder} already contains a run",
                hint="continue it with --resume, or choose another folder with --out",
            )


@contextmanager
def sole_training(folder: Path, state_file: str, *others: str) -> Iterator[None]:
    """Hold the folder of a training; one that fails before its first epoch is on disk leaves no files.

    An interruption keeps them. others: names of further files and folders that the training writes. The
    run's folder and that of the folds are removed too if they are new and empty. Raises RunError while
    another training writes the folder.
    """
    new = [place for place in (folder, folder.parent) if not place.exists()]
    lock = folder / LOCK_FILE
    with report_write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = lock.open("ab")
    with file:
        if locks.acquire(file) == "busy":
            raise RunError(
                f"{folder}: another training is writing it", hint="wait, or choose another folder with --out"
            )
        try:
            yield
        except Exception:
            if not (folder / state_file).is_file():
                for name in (*TRAINING_FILES, *others, LOCK_FILE):
                    _remove(folder / name)
                for place in new:
                    with suppress(OSError):  # it is not empty
                        place.rmdir()
            raise
        finally:
            with suppress(OSError):  # Windows keeps it while it is open
                lock.unlink(missing_ok=True)
            locks.release(file)


def _holds_run(folder: Path, state_file: str) -> bool:
    return (folder / WEIGHTS_FILE).is_file() or (folder / state_file).is_file()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
