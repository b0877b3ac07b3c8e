"""Training jobs for `crashes`: each starts or resumes `run` in a folder with its data."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from synth import affwild2, recipes
from synth.face_stores import face_store
from synth.sounds import voice

from vacli.datasets.audio_augmentation import write_wav
from vacli.errors import RunError
from vacli.features.backbones.vit import build_vit
from vacli.files import digests
from vacli.files.run_directory import DATA_FILE, read_json
from vacli.inference.run import BUNDLED_AUDIO
from vacli.steps import export_model, finetune_mae, import_corpus, train
from vacli.training.checkpoint import json_bytes

TINY = (*recipes.COMPACT, "training.epochs=2", "training.batch_size=4")


def prepare_frames(folder: Path) -> None:
    """Faces, and a small initial vision transformer."""
    face_store(folder / "s.zarr", videos=3, frames=5)
    torch.manual_seed(0)
    save_file(build_vit("test_vit").state_dict(), folder / "model.safetensors")


def frames(folder: Path) -> None:
    """`va finetune-mae`, with --resume if a run exists."""
    settings = finetune_mae.FinetuneMaeSettings(
        stores=(folder / "s.zarr",),
        out=folder / "run",
        encoder="test_vit",
        weights=folder / "model.safetensors",
        freeze_blocks=5,
        epochs=2,
        batch_size=8,
        lr=1e-3,
        warmup_epochs=0.0,
        validation=("clip2",),
        device="cpu",
    )
    try:
        finetune_mae.run(settings)
    except RunError as error:
        if "--resume" not in str(error.hint):
            raise
        finetune_mae.run(replace(settings, resume=True))


def prepare_sequences(folder: Path) -> None:
    """Features and labels."""
    trials = affwild2.make(affwild2.World(videos=4, frames=120))
    affwild2.write_store(folder / "s.zarr", [replace(t, split="") for t in trials])


def sequences(folder: Path) -> None:
    """`va train`, with --resume if a run exists."""
    settings = train.TrainSettings(
        store=folder / "s.zarr", out=folder / "run", assignments=TINY, device="cpu"
    )
    try:
        train.run(settings)
    except RunError as error:
        if "--resume" not in str(error.hint):
            raise
        train.run(replace(settings, resume=True))


def prepare_bundle(folder: Path) -> None:
    """A run, and an earlier export in its target folder."""
    shutil.copytree(BUNDLED_AUDIO, folder / "run")
    for path in (folder / "run").glob("fold_[3-8]"):
        shutil.rmtree(path)
    for path in (folder / "run").glob(f"fold_*/{DATA_FILE}"):
        digests.write(path, json_bytes(read_json(path) | {"folds": 2}))
    shutil.copytree(folder / "run", folder / "out" / "compact-audio")
    shutil.rmtree(folder / "out" / "compact-audio" / "fold_2")


def bundle_run(folder: Path) -> None:
    """`va bundled-model export`."""
    export_model.run(export_model.ExportSettings(folder / "run", folder / "out"))


def prepare_copies(folder: Path) -> None:
    """Two utterances."""
    (folder / "emodb").mkdir()
    for seed, name in enumerate(("03a01Wa", "08b02Fa")):
        write_wav(folder / "emodb" / f"{name}.wav", voice(1, seed=seed))


def copies(folder: Path) -> None:
    """`va bundled-model import --augment-copies`."""
    settings = import_corpus.ImportCorpusSettings(
        "emodb", folder / "emodb", folder / "v.zarr", augment_copies=2, augmented_dir=folder / "sounds"
    )
    import_corpus.run(settings)
