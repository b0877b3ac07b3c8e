"""`va info` of a run of `va train`, `va crossval` or `va finetune-mae`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vacli.errors import RunError, VaError
from vacli.features.encoder_run import read_encoder_run
from vacli.files.run_directory import (
    CALIBRATION_FILE,
    DATA_FILE,
    ENCODER_FILE,
    FACE_ERROR_FILE,
    FEATURES_FILE,
    FOLD_PREFIX,
    GAIN_FILE,
    LAST_FILE,
    METRICS_FILE,
    RECIPE_FILE,
    SPEECH_FILE,
    WEIGHTS_FILE,
    epochs_done,
    missing_folds,
    read_json,
)
from vacli.inference.run import read_recipe, trained_folders
from vacli.recipe import io
from vacli.recipe.presets import PRESETS
from vacli.recipe.schema import Recipe
from vacli.steps._info_record import Info, Missing, Row
from vacli.store.repack import FolderSize
from vacli.training.history import History

MEAN, EPOCH = "mean", "epoch"  # columns that select the kept epoch of a run


def is_run(path: Path) -> bool:
    """Whether a folder is a run, or has the folds of one."""
    marks = (WEIGHTS_FILE, RECIPE_FILE, ENCODER_FILE, LAST_FILE)
    folders = (path, *path.glob(f"{FOLD_PREFIX}*")) if path.is_dir() else ()
    return any((folder / mark).is_file() for folder in folders for mark in marks)


def run_info(path: Path) -> Info:
    """Describe a run. Raises RunError if it has no trained model."""
    if (path / ENCODER_FILE).is_file():
        return _encoder_info(path)
    folders = trained_folders(path)
    recipe = read_recipe(folders[0])
    absent = missing_folds(path, folders) if path not in folders else []
    problems = list(_problems(path, folders))
    return Info(
        kind="run",
        path=path,
        values={
            "preset": recipe.name,
            "changed": list(_changes(recipe)),
            "temporal": recipe.model.temporal.kind,
            "fusion": recipe.model.fusion.kind,
            "window_frames": recipe.window.length_frames,
            "models": len(folders),
            "calibration": _has(path / CALIBRATION_FILE),
            "speech_detection": _has(path / SPEECH_FILE),
            "face_error": _has(path / FACE_ERROR_FILE),
            **_data_values(folders[0] / DATA_FILE, problems),
            **_gain(path / GAIN_FILE, problems),
            "size_bytes": FolderSize.of(path).size_bytes,
        },
        tables={
            "features": list(_features(folders[0], recipe, problems)),
            "scores": [row for folder in folders for row in _scores(folder, recipe, path, problems)],
        },
        missing=[*_unfinished(path, folders, recipe), *_missing(path, folders[0], absent)],
        problems=problems,
    )


def _encoder_info(path: Path) -> Info:
    record, _ = read_encoder_run(path)
    run, problems = shlex.quote(str(path)), list[str]()
    command = f"va extract-visual STORE --feature {record.encoder} --weights {run}"
    size_bytes = FolderSize.of(path).size_bytes
    values = {"encoder": record.encoder, "objective": record.objective, "size_bytes": size_bytes}
    return Info(
        kind="encoder run",
        path=path,
        values=values,
        tables={"epochs": [dict(row) for row in _metrics(path, problems)[-1:]]},
        missing=[Missing("the features of this encoder in a store", command)],
        problems=problems,
    )


def _changes(recipe: Recipe) -> tuple[str, ...]:
    preset = PRESETS.get(recipe.name)
    return io.differences(recipe, preset) if preset else ()


def _has(path: Path) -> bool:
    return path.is_file()


def _json(path: Path, problems: list[str]) -> dict[str, Any]:
    """The values of a file of a run; {} if it is absent, and if it is damaged, which is noted."""
    try:
        values = read_json(path) if path.is_file() else {}
    except RunError as error:
        problems.append(error.one_line())
        return {}
    return values if isinstance(values, dict) else {}


def _data_values(path: Path, problems: list[str]) -> dict[str, Any]:
    data = _json(path, problems)
    subjects = {subject for subject in data.get("subjects", {}).values() if subject}
    return {
        "store": data.get("store"),
        "split": data.get("split"),
        "training_videos": len(data["train"]) if "train" in data else None,
        "validation_videos": len(data["validation"]) if "validation" in data else None,
        "subjects": len(subjects) or None,
        "notes": data.get("notes", []),
    }


def _gain(path: Path, problems: list[str]) -> dict[str, Any]:
    gain = _json(path, problems)
    return {"gain": gain} if gain else {}


def _features(folder: Path, recipe: Recipe, problems: list[str]) -> Iterator[Row]:
    made: Mapping[str, Any] = _json(folder / FEATURES_FILE, problems)
    for stream in recipe.model.streams:
        for name in stream.features:
            about = made.get(name, {})
            weights = str(about.get("settings", {}).get("weights", "")) or None
            yield {
                "feature": name,
                "stream": stream.name,
                "values": about.get("dim"),
                "version": about.get("version"),
                "weights": weights,
            }


def _metrics(folder: Path, problems: list[str]) -> list[dict[str, Any]]:
    try:
        text = (folder / METRICS_FILE).read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        problems.append(f"{folder / METRICS_FILE} cannot be read: {error}")
        return []


def _scores(folder: Path, recipe: Recipe, path: Path, problems: list[str]) -> Iterator[Row]:
    rows = _metrics(folder, problems)
    if not rows:
        return
    history = History.from_state(rows, MEAN if recipe.training.keep == "best" else EPOCH)
    best = history.best
    yield {
        "model": folder.name if folder != path else "all videos",
        "epoch": best.epoch,
        "epochs": len(rows),
        **{f"ccc_{name}": round(value, 4) for name, value in best.scores.items()},
    }


def _problems(path: Path, folders: list[Path]) -> Iterator[str]:
    from vacli.inference.run import load_run
    from vacli.models import arrays

    if not arrays.supports(read_recipe(folders[0]).model):
        return  # the weights need torch, whose import takes long
    try:
        load_run(path)
    except VaError as error:
        yield error.one_line()


def _unfinished(path: Path, folders: list[Path], recipe: Recipe) -> Iterator[Missing]:
    asked = recipe.training.epochs
    done = {f.name: count for f in folders if (count := epochs_done(f)) is not None and count < asked}
    if done:
        what = ", ".join(f"{name} has {count} of {asked} epochs" for name, count in done.items())
        yield Missing(f"the end of the training: {what}", _resume(path, folders[0]))


def _resume(path: Path, folder: Path) -> str:
    store = shlex.quote(str(_json(folder / DATA_FILE, []).get("store") or "STORE"))
    return f"va train {store} --resume -o {shlex.quote(str(path))}, as before"


def _missing(path: Path, folder: Path, absent: list[str]) -> Iterator[Missing]:
    if absent:
        yield Missing(f"the models of {', '.join(absent)}", _resume(path, folder))
    if not (path / CALIBRATION_FILE).is_file():
        yield Missing(
            "calibrated uncertainty (now it is the spread over the models)",
            f"va calibrate {shlex.quote(str(path))} HELD_OUT_STORE",
        )
