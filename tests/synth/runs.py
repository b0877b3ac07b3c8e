"""Small run directories with random weights, and feature sequences that fit them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from vacli.files.run_directory import DATA_FILE, FEATURES_FILE, NORMALIZATION_FILE, RECIPE_FILE, WEIGHTS_FILE
from vacli.models.build import build
from vacli.recipe import io as recipe_io
from vacli.recipe.schema import Head, Model, Recipe, Stream, Tcn, Window
from vacli.sequences.base import FeatureSequence
from vacli.sequences.normalization import fit

LENGTH = 40
RECIPE = Recipe(
    name="small",
    model=Model(
        streams=(
            Stream(name="visual", features=("face",), dim=3),
            Stream(name="audio", features=("sound",), dim=2),
        ),
        tcn=Tcn(channels=(8,), kernel=3),
        head=Head(),
    ),
    window=Window(length_frames=LENGTH, stride_frames=25),
)


def sequence(frames: int, seed: int = 0) -> FeatureSequence:
    rng = np.random.default_rng(seed)
    return FeatureSequence(
        video=f"v{seed}",
        times_s=np.arange(frames) / 25,
        streams={
            "visual": rng.normal(5, 2, (frames, 3)).astype(np.float32),
            "audio": rng.normal(-1, 3, (frames, 2)).astype(np.float32),
        },
    )


def write_run(folder: Path, seed: int = 0, recipe: Recipe = RECIPE) -> Path:
    """A run directory with random weights."""
    folder.mkdir(parents=True)
    torch.manual_seed(seed)
    save_file(build(recipe.model).state_dict(), folder / WEIGHTS_FILE)
    statistics = fit([sequence(200, seed)]).tensors()
    save_file({name: torch.from_numpy(x) for name, x in statistics.items()}, folder / NORMALIZATION_FILE)
    (folder / RECIPE_FILE).write_text(recipe_io.to_json(recipe))
    (folder / FEATURES_FILE).write_text(json.dumps({"face": {"fingerprint": "f"}}))
    (folder / DATA_FILE).write_text(json.dumps({"store": "s", "fold": seed, "validation": {"v0": 7}}))
    return folder
