"""A prediction rests on features that are made as those that the model was trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from vacli import presets
from vacli.errors import RunError
from vacli.features.compact import CompactFace
from vacli.features.weights import short_hash
from vacli.inference import Run, Trajectory
from vacli.progress import Quiet
from vacli.recipe_io import set_values
from vacli.spec import AUDIO, VISUAL
from vacli.steps import observe
from vacli.steps.described import FaceRows
from vacli.steps.predict import PredictSettings, _table, senses


@pytest.fixture
def weights(tmp_path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "face.safetensors"
    save_file({k: v.contiguous() for k, v in CompactFace().state_dict().items()}, path)
    return path


def trained_on(weights: str, **more: object) -> Run:
    recipe = set_values(
        presets.preset("compact"), ["model.streams.audio.features=[]", "model.streams.audio.dim=0"]
    )
    features = {"compact": {"version": "1", "settings": {"weights": weights, **more}}}
    return Run(path=Path("run"), recipe=recipe, members=(), features=features)


def test_other_weights_than_in_training_are_an_error(weights):
    settings = PredictSettings(inputs=(), weights=weights, device="cpu")
    with pytest.raises(RunError, match="run was trained on compact with other weights"):
        senses(trained_on("0123456789ab"), settings, Quiet())


def test_the_same_weights_serve_whatever_the_pace_of_extraction(weights):
    settings = PredictSettings(inputs=(), weights=weights, device="cpu")
    made = senses(trained_on(short_hash(weights), every=3), settings, Quiet())
    assert list(made.visual) == ["compact"]


@pytest.mark.parametrize(("used", "modality"), [({VISUAL, AUDIO}, "av"), ({VISUAL}, "v"), ({AUDIO}, "a")])
def test_modality_names_only_what_the_model_was_given(used, modality):
    faces = FaceRows(np.array([True]), np.array([0.9]), np.zeros((1, 4)))
    seen = observe.Observation(
        times_s=np.zeros(1), person=0, faces=faces, audio_ok=np.array([True]), features={}
    )
    predicted = Trajectory(
        video="a",
        times_s=np.zeros(1),
        values=np.zeros((1, 2), np.float32),
        sd=None,
        spread=None,
        states=np.array(["none"]),
    )
    table = _table("a", seen, predicted, frozenset(used))
    assert table.columns["modality"].tolist() == [modality]
    assert table.columns["audio_ok"].tolist() == [True]
