"""The streams that a model of the default preset is trained with, by the features of a store."""

from __future__ import annotations

import numpy as np
import pytest
from synth.stores import add_video, empty, put_feature

from vacli.progress import RecordingProgress
from vacli.recipe.presets import preset
from vacli.steps._training_inputs import without_absent_streams

AUDIO = preset("compact").model.streams[-1].features[0]


@pytest.fixture
def store(tmp_path):
    store = empty(tmp_path / "feats.zarr")
    add_video(store, "a", 4)
    return store


def test_a_store_of_sound_gives_an_audio_model_and_the_command_that_adds_faces(store):
    put_feature(store, "a", AUDIO, np.zeros((4, 3)))
    progress = RecordingProgress()
    recipe = without_absent_streams(preset("compact"), list(store.videos()), store.path, progress)
    assert [stream.name for stream in recipe.model.streams] == ["audio"]
    absent, command = progress.messages
    assert "has no visual features" in absent
    assert "va align VIDEOS" in command


def test_a_store_without_any_feature_keeps_all_streams(store):
    recipe = without_absent_streams(preset("compact"), list(store.videos()), store.path, RecordingProgress())
    assert recipe == preset("compact")
