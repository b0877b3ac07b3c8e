"""Stored features side by side, missing rows as NaN, complaints that name the remedy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from synth.stores import add_video, empty, put_feature, put_labels

from vacli.errors import StoreError
from vacli.features.flags import ENCODER_TRAINING, INTERPOLATED, MISSING
from vacli.recipe.schema import Model, Stream
from vacli.sequences.labels import training_labels
from vacli.sequences.stored import StoredSequence, extract_command, open_sequences

MODEL = Model(
    streams=(
        Stream(name="visual", features=("face",), dim=5),
        Stream(name="audio", features=("alpha", "beta"), dim=7),
    )
)
FRAMES = 50


@pytest.fixture
def parts() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=(FRAMES, dim)) for name, dim in (("face", 5), ("alpha", 3), ("beta", 4))}


@pytest.fixture
def store(tmp_path, parts):
    store = empty(tmp_path / "s.zarr")
    add_video(store, "clip", FRAMES)
    for name, values in parts.items():
        put_feature(store, "clip", name, values)
    return store


def test_streams_are_concatenated_features(store, parts):
    made = StoredSequence(store.video("clip"), MODEL).load()
    assert made.video == "clip"
    assert made.dims == {"visual": 5, "audio": 7}
    np.testing.assert_array_equal(made.streams["visual"], parts["face"].astype(np.float32))
    np.testing.assert_array_equal(
        made.streams["audio"], np.hstack([parts["alpha"], parts["beta"]]).astype(np.float32)
    )
    np.testing.assert_allclose(np.diff(made.times_s), 0.04)
    assert made.labels is None


def test_rows_read_in_pieces_equal_the_whole(store):
    stored = StoredSequence(store.video("clip"), MODEL)
    whole = stored.load()
    piece = {name: np.empty((11, dim), np.float32) for name, dim in stored.dims.items()}
    stored.fill(23, piece)
    for name, rows in piece.items():
        np.testing.assert_array_equal(rows, whole.streams[name][23:34])


def test_only_rows_flagged_missing_are_nan(store, parts):
    flags = np.zeros(FRAMES, np.uint8)
    flags[3], flags[4] = MISSING, INTERPOLATED
    put_feature(store, "clip", "alpha", parts["alpha"], flags)
    audio = StoredSequence(store.video("clip"), MODEL).load().streams["audio"]
    assert np.isnan(audio[3, :3]).all()
    assert np.isnan(audio).sum() == 3


def test_flags_and_labels_are_read_once_for_all_folds(store, parts, monkeypatch):
    put_labels(store, "clip", np.full((FRAMES, 2), 0.5, np.float32), split="train")
    flags = np.zeros(FRAMES, np.uint8)
    flags[3], flags[5] = MISSING, ENCODER_TRAINING
    put_feature(store, "clip", "alpha", parts["alpha"], flags)
    view = store.video("clip")
    read, names = view.read, []
    monkeypatch.setattr(view, "read", lambda name, *rows: names.append(name) or read(name, *rows))
    stored = StoredSequence(view, MODEL)
    for _ in range(3):
        (labels,) = training_labels([stored.annotation])
        np.testing.assert_array_equal(labels, np.full((FRAMES, 2), 0.5))
        fold = stored.with_labels(np.zeros((FRAMES, 2), np.float32))
        assert np.flatnonzero(fold.encoder_rows).tolist() == [5]
        assert np.flatnonzero(np.isnan(fold.load().streams["audio"]).any(axis=1)).tolist() == [3]
    stored_once = [name for name in names if name.startswith(("flag/", "label/"))]
    assert {"flag/alpha", "flag/beta", "flag/face"} < set(stored_once)
    assert len(stored_once) == len(set(stored_once))


def test_labels_and_split(store):
    labels = np.column_stack([np.linspace(-1, 1, FRAMES), np.full(FRAMES, np.nan)])
    put_labels(store, "clip", labels, split="train")
    made = StoredSequence(store.video("clip"), MODEL).load()
    np.testing.assert_array_equal(made.labels, labels.astype(np.float32))
    assert made.split == "train"


def test_missing_features_are_named_together_with_their_commands(store):
    add_video(store, "bare", 10)
    with pytest.raises(StoreError, match=r"no feature 'face' in 1 of 2 videos .*bare") as caught:
        open_sequences(store.videos(), MODEL)
    assert "'alpha'" in str(caught.value)
    assert "va extract-visual" in caught.value.hint
    assert "va extract-audio" in caught.value.hint
    put_feature(store, "bare", "face", np.zeros((10, 5)))
    with pytest.raises(StoreError, match="'alpha'") as caught:
        open_sequences(store.videos(), MODEL)
    assert "va extract-audio" in caught.value.hint
    assert "--feature alpha" in caught.value.hint


@pytest.mark.parametrize(
    ("stream", "feature", "command"),
    [
        ("visual", "mae-vit-l", "va extract-visual s.zarr --feature mae-vit-l"),
        ("visual", "mae-vit-l@pretrained", "va extract-visual s.zarr --feature mae-vit-l --tag pretrained"),
        (
            "visual",
            "resnet50@finetuned",
            "va extract-visual s.zarr --feature resnet50 --weights RUN --tag finetuned",
        ),
        ("audio", "vggish", "va extract-audio s.zarr --feature vggish"),
    ],
)
def test_command_that_extracts_a_feature(stream, feature, command):
    made = extract_command(Path("s.zarr"), Stream(name=stream, features=(feature,), dim=1), feature)
    assert made == command


def test_wrong_width_names_stream_and_widths(store):
    put_feature(store, "clip", "beta", np.zeros((FRAMES, 2)))
    with pytest.raises(StoreError, match=r"'audio' has 5 columns \(alpha 3, beta 2\), the model wants 7"):
        StoredSequence(store.video("clip"), MODEL)


def test_float16_features_become_float32(store, parts):
    spec = {"name": "face", "dim": 5}
    half = parts["face"].astype(np.float16)
    store.put_feature("clip", spec, half, np.zeros(FRAMES, np.uint8))
    visual = StoredSequence(store.video("clip"), MODEL).load().streams["visual"]
    assert visual.dtype == np.float32
    np.testing.assert_array_equal(visual, half.astype(np.float32))
