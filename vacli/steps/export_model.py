"""`va bundled-model export`: copy a run with float16 weights and without the files that --resume needs."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from vacli.errors import RunError, UsageError
from vacli.features.downloads import PACKAGE
from vacli.features.encoder_run import read_encoder_run
from vacli.features.weights import WEIGHTS, load_tensors
from vacli.files import atomic, digests
from vacli.files.disk_space import report_write_errors
from vacli.files.run_directory import (
    CALIBRATION_FILE,
    CARD_FILE,
    DATA_FILE,
    ENCODER_FILE,
    FACE_ERROR_FILE,
    FEATURES_FILE,
    FOLD_PREFIX,
    NORMALIZATION_FILE,
    RECIPE_FILE,
    SPEECH_FILE,
    WEIGHTS_FILE,
    missing_folds,
    read_json,
)
from vacli.inference.run import BUNDLED, BUNDLED_AUDIO, read_recipe
from vacli.progress import Progress, RecordingProgress
from vacli.recipe.presets import COMPACT_AUDIO
from vacli.spec import VISUAL, WEIGHTS_FILES
from vacli.store import commit
from vacli.store.work import WorkFolder
from vacli.training.checkpoint import json_bytes, write_weights

LONG_LISTS = ("train", "subjects", "sha256", "labels", "content")
KEPT = (RECIPE_FILE, NORMALIZATION_FILE, FEATURES_FILE, DATA_FILE, CARD_FILE)


@dataclass(frozen=True)
class ExportSettings:
    """A run of `va train` or of `va finetune-mae --encoder compact`, and the folder to write into."""

    run: Path
    out: Path = PACKAGE


def run(settings: ExportSettings, progress: Progress | None = None) -> Path:
    """Write the run's weights as float16, the face network as ONNX; returns the path that was written.

    Raises RunError if the folder is not a run.
    """
    progress = progress or RecordingProgress()
    if (settings.run / ENCODER_FILE).is_file():
        _, weights = read_encoder_run(settings.run)
        return _export_face(weights, settings.out / WEIGHTS["compact"].file, progress)
    single = (settings.run / WEIGHTS_FILE).is_file()
    members = [settings.run] if single else sorted(settings.run.glob(f"{FOLD_PREFIX}*"))
    if not members:
        raise RunError(
            f"{settings.run} contains no trained run", hint="give the folder that `va train` wrote"
        )
    if not single and (missing := missing_folds(settings.run, members)):
        raise RunError(f"{settings.run} lacks {', '.join(missing)}", hint="train these folds first")
    target = settings.out / _bundled_folder(members[0]).name
    if target.resolve() == settings.run.resolve():
        raise UsageError(f"{target} is the run to export", hint="choose another folder with -o")
    settings.out.mkdir(parents=True, exist_ok=True)
    work = WorkFolder.inside(settings.out)
    for place in work.stale():  # of an interrupted export
        commit.replay_changes(settings.out, place)
    with work.place() as place, report_write_errors(target):
        exported = place / target.name
        for member in members:
            _export_member(
                member,
                exported if single else exported / member.name,
                0 if single else len(members),
                progress,
            )
        for name in (CALIBRATION_FILE, SPEECH_FILE, FACE_ERROR_FILE):
            if (settings.run / name).is_file():
                _copy(settings.run / name, exported / name)
        commit.apply_changes(settings.out, place, [(target.name, target.name)])
    return target


def _export_face(source: Path, target: Path, progress: Progress) -> Path:
    """Write a fine-tuned face network as ONNX."""
    from vacli.features.compact.export import to_onnx

    digests.check_file(source)
    atomic.write_bytes(target, to_onnx(load_tensors(source)))
    progress.info(f"{target}: {target.stat().st_size / 1e6:.1f} MB")
    return target


def _bundled_folder(member: Path) -> Path:
    """The bundled run that `member` replaces; RunError if an audio run has other features than that one."""
    streams = read_recipe(member).model.streams
    if any(stream.name == VISUAL for stream in streams):
        return BUNDLED
    if streams != COMPACT_AUDIO.model.streams:
        raise RunError(
            f"{member} uses other audio features than the bundled audio model",
            hint="train it with --preset compact-audio",
        )
    return BUNDLED_AUDIO


def _export_member(member: Path, place: Path, folds: int, progress: Progress) -> None:
    place.mkdir(parents=True)
    for name in KEPT:
        if not (member / name).is_file():
            raise RunError(f"{member} has no {name}", hint="complete the run with `va train --resume`")
    shutil.copyfile(member / CARD_FILE, place / CARD_FILE)  # users may edit the card, so it has no digest
    for name in (RECIPE_FILE, NORMALIZATION_FILE):
        _copy(member / name, place / name)
    _write_features(member / FEATURES_FILE, place / FEATURES_FILE)
    _write_data(member / DATA_FILE, place / DATA_FILE, folds)
    _write_half_precision(member / WEIGHTS_FILE, place / WEIGHTS_FILE, progress)


def _copy(source: Path, target: Path) -> None:
    """Copy a file of a run, check its digest and write the digest of the copy."""
    data = source.read_bytes()
    digests.check_bytes(source, data)
    digests.write(target, data)


def _write_features(source: Path, target: Path) -> None:
    """Copy the record of the features without the places of weights on this machine."""
    features = {
        name: {key: value for key, value in about.items() if key != WEIGHTS_FILES}
        for name, about in read_json(source).items()
    }
    digests.write(target, json_bytes(features))


def _write_data(source: Path, target: Path, folds: int) -> None:
    """Copy the data record without the long lists of videos and subjects; add the number of folds."""
    about = {name: value for name, value in read_json(source).items() if name not in LONG_LISTS}
    if folds and not about.get("folds"):  # runs of earlier versions lack it
        about["folds"] = folds
    digests.write(target, json_bytes(about))


def _write_half_precision(source: Path, target: Path, progress: Progress) -> None:
    digests.check_file(source)
    halved = {k: t.half() if t.is_floating_point() else t for k, t in load_tensors(source).items()}
    write_weights(target, halved)
    progress.info(f"{target}: {target.stat().st_size / 1e6:.1f} MB")
