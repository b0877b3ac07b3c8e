"""A small world made once a session: stores with features, labels and crops, runs, tables and lists."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from faults.lab import Lab
from synth import affwild2
from synth.face_stores import face_store
from synth.stores import add_video, put_labels

from vacli.features.flags import MISSING
from vacli.features.registry import create
from vacli.inference.run import BUNDLED
from vacli.store import Store

VIDEOS = ("video59", "video59_right", "duo_left", "duo_right", "0-30-1280x720")
FEATURES = {"compact": "visual", "egemaps": "audio", "mfcc39": "audio"}
TINY = (
    "training.epochs=2",
    "training.batch_size=4",
    "training.schedule.warmup_epochs=1",
    "window={length_frames=40, stride_frames=40}",
    "model.tcn={channels=[16, 16], kernel=7, dropout=0.1}",
    "model.temporal={n_layers=1, d_model=16, d_state=4, dropout=0.1}",
)
TRAIN = tuple(part for assignment in TINY for part in ("--set", assignment))
FINETUNE = (
    "--encoder",
    "test_vit",
    "--weights",
    "vit.safetensors",
    "--freeze-blocks",
    "4",
    "--epochs",
    "3",
    "--batch-size",
    "8",
    "--validation",
    "clip2",
)
FRAMES = 60
BUNDLED_COPY = "runs/bundled"


def make_data(lab: Lab) -> Path:
    """A folder with s.zarr, held.zarr, faces.zarr, labels/, aw2/, preds.csv, list.txt and runs/bundled."""
    folder = lab.folder("world")
    trials = affwild2.make(affwild2.World(videos=len(VIDEOS), frames=FRAMES))
    store = write_store(folder / "s.zarr", trials)
    write_store(folder / "held.zarr", [replace(t, name=f"held-{t.name}", split="") for t in trials])
    affwild2.write_annotations(folder / "aw2", trials)
    face_store(folder / "faces.zarr", videos=3, frames=12)
    shutil.copytree(BUNDLED, folder / BUNDLED_COPY)
    _write_tables(folder, store)
    return folder


def write_store(path: Path, trials: list[affwild2.Trial]) -> Store:
    """Trials with features that are called, and as wide, as those of the bundled model."""
    store, rng = Store.open_or_create(path), np.random.default_rng(5)
    specs = {name: create(name).spec for name in FEATURES}
    mixing = {name: rng.normal(size=(6, spec.dim)) for name, spec in specs.items()}
    for trial in trials:
        add_video(store, trial.name, len(trial.labels), affwild2.RATE_HZ)
        for name, stream in FEATURES.items():
            shown = getattr(trial, stream)
            values = (shown @ mixing[name][: shown.shape[1]]).astype(np.float32)
            flags = np.where(np.isnan(values).any(axis=1), MISSING, 0).astype(np.uint8)
            store.put_feature(trial.name, specs[name].attributes(), values, flags)
        put_labels(store, trial.name, trial.labels, trial.split)
    return store


def make_runs(lab: Lab) -> Path:
    """The same folder with the runs runs/a, runs/folds (calibrated) and runs/face (an encoder), and
    the vit.safetensors that the last one started from."""
    folder = lab.once(make_data)
    _write_weights(folder / "vit.safetensors")
    for arguments in (
        ("train", "s.zarr", "-o", "runs/a", *TRAIN),
        ("train", "s.zarr", "-o", "runs/folds", "--folds", "2", *TRAIN),
        ("calibrate", "runs/folds", "held.zarr"),
        ("finetune-mae", "faces.zarr", "-o", "runs/face", *FINETUNE),
    ):
        outcome = lab.run(arguments, folder)
        assert outcome.code == 0, outcome.stderr
    return folder


def _write_weights(path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from vacli.features.backbones.vit import build_vit

    torch.manual_seed(0)
    save_file(build_vit("test_vit").state_dict(), path)


def _write_tables(folder: Path, store: Store) -> None:
    """Labels and predictions of the store's videos, and the list of all their frames."""
    (folder / "labels").mkdir()
    locations, rows = [], ["frame,time_s,valence,arousal,input"]
    for number, view in enumerate(store.videos()):
        lines = ["time_s,valence,arousal"]
        for i, time_s in enumerate(view.times_s):
            valence, arousal = 0.7 - 0.02 * i + 0.05 * number, -0.5 + 0.015 * i
            lines.append(f"{time_s:.3f},{valence:.4f},{arousal:.4f}")
            rows.append(f"{i},{time_s:.3f},{valence - 0.1:.4f},{0.8 * arousal:.4f},{view.id}.mp4")
            locations.append(f"{view.id}/{i + 1:05d}.jpg,,")
        (folder / "labels" / f"{view.id}.csv").write_text("\n".join(lines) + "\n")
    (folder / "preds.csv").write_text("\n".join(rows) + "\n")
    (folder / "list.txt").write_text("\n".join(["image_location,valence,arousal", *locations]) + "\n")
