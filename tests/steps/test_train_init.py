"""Training that starts from the bundled model or from a run, on a few annotated videos."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file
from synth import annotators

from vacli.errors import RunError, StoreError, UsageError
from vacli.files.run_directory import NORMALIZATION_FILE
from vacli.inference.prediction import predict_sequence
from vacli.inference.run import BUNDLED, load_run, read_recipe
from vacli.metrics import ccc
from vacli.progress import RecordingProgress
from vacli.sequences.stored import open_sequences
from vacli.spec import FeatureSpec
from vacli.steps import train
from vacli.steps.train import TrainSettings
from vacli.store import Store

QUICK = ("training.epochs=2",)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Three people whose labels have half the gain of the bundled model's view in valence, and a shift."""
    view = annotators.View(gain=(0.5, 1.0), shift=(0.3, -0.3))
    return annotators.write_store(tmp_path_factory.mktemp("init") / "s.zarr", view, videos=3, frames=400)


@pytest.fixture(scope="module")
def adapted(store, tmp_path_factory):
    """A run that started from the bundled model, and its messages."""
    out, progress = tmp_path_factory.mktemp("adapted") / "run", RecordingProgress()
    train.run(TrainSettings(store=store.path, out=out, init="bundled", device="cpu"), progress)
    return out, progress


def test_training_is_cross_validated_by_default(adapted):
    out, _ = adapted
    members = load_run(out).members
    assert sorted(m.validation for m in members) == [("person0",), ("person1",), ("person2",)]


def test_only_the_head_is_trained_by_default(adapted):
    out, _ = adapted
    start, end = (load_file(run / "fold_2" / "weights.safetensors") for run in (BUNDLED, out))
    changed = {name for name, value in start.items() if not np.array_equal(value.astype("f4"), end[name])}
    assert changed == {name for name in start if name.startswith("head.")}


@pytest.mark.parametrize(("freeze", "parts"), [("all-but-last", {"temporal", "head"}), ("none", None)])
def test_freeze_names_the_layers_that_do_not_change(store, tmp_path, freeze, parts):
    settings = TrainSettings(
        store=store.path, out=tmp_path / "run", init="bundled", freeze=freeze, assignments=QUICK, device="cpu"
    )
    train.run(settings)
    start, end = (load_file(run / "fold_1" / "weights.safetensors") for run in (BUNDLED, tmp_path / "run"))
    changed = {n.partition(".")[0] for n, v in start.items() if not np.array_equal(v.astype("f4"), end[n])}
    assert changed == (parts or {name.partition(".")[0] for name in start})


def test_normalisation_is_that_of_the_start(adapted):
    out, _ = adapted
    start, end = (load_file(run / "fold_1" / NORMALIZATION_FILE) for run in (BUNDLED, out))
    assert start.keys() == end.keys()
    assert all(np.array_equal(start[name], end[name]) for name in start)


def test_last_epoch_is_kept(adapted):
    out, _ = adapted
    assert read_recipe(out / "fold_1").training.keep == "last"
    rows = [json.loads(line) for line in (out / "fold_1" / "metrics.jsonl").read_text().splitlines()]
    summary = json.loads((out / "summary.json").read_text())
    assert summary["folds"][0]["epoch"] == rows[-1]["epoch"] == len(rows)


def test_licence_of_the_start_travels_with_the_run(adapted, store, tmp_path):
    out, _ = adapted
    assert "CC BY-NC-SA 4.0" in (out / "fold_1" / "card.md").read_text()
    again = TrainSettings(store=store.path, out=tmp_path / "again", init=out, assignments=QUICK, device="cpu")
    train.run(again)
    assert "CC BY-NC-SA 4.0" in (tmp_path / "again" / "fold_1" / "card.md").read_text()


def test_resumed_training_remembers_its_start(store, tmp_path):
    settings = TrainSettings(
        store=store.path, out=tmp_path / "run", init="bundled", assignments=QUICK, device="cpu"
    )
    train.run(settings)
    (tmp_path / "run" / "fold_3" / "training_state.pt").unlink()
    before = load_file(tmp_path / "run" / "fold_3" / "weights.safetensors")
    train.run(TrainSettings(store=store.path, out=tmp_path / "run", resume=True, device="cpu"))
    after = load_file(tmp_path / "run" / "fold_3" / "weights.safetensors")
    assert all(np.array_equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"preset": "bdca"}, "--init and --preset exclude each other"),
        ({"assignments": ("model.temporal.n_layers=3",)}, "the model is that of the run"),
        ({"temporal": "tcn"}, "the model is that of the run"),
    ],
)
def test_model_of_the_start_cannot_be_changed(store, tmp_path, changes, message):
    with pytest.raises(UsageError, match=message):
        train.run(
            TrainSettings(store=store.path, out=tmp_path / "run", init="bundled", device="cpu", **changes)
        )


def test_freeze_needs_a_start(store, tmp_path):
    with pytest.raises(UsageError, match="--freeze needs a run"):
        train.run(TrainSettings(store=store.path, out=tmp_path / "run", freeze="none"))


def test_one_video_cannot_be_cross_validated(tmp_path):
    store = annotators.write_store(tmp_path / "s.zarr", annotators.View(), videos=1, frames=60)
    with pytest.raises(UsageError, match="cannot be cross-validated"):
        train.run(TrainSettings(store=store.path, out=tmp_path / "run", init="bundled", device="cpu"))


def test_gain_is_shown_over_the_start_on_the_same_videos(adapted, store):
    out, progress = adapted
    gain = json.loads((out / "gain.json").read_text())
    whole = gain["groups"][0]
    assert whole["videos"] == 3
    assert whole["valence"]["difference"] > 0.1
    assert whole["mean"]["interval"][0] > 0
    start = load_run(BUNDLED)
    rows = open_sequences(list(store.videos()), start.recipe.model)
    predicted = np.concatenate([predict_sequence(start, r, r.times_s).values for r in rows])
    labels = np.concatenate([r.labels for r in rows])
    assert whole["valence"]["second"] == pytest.approx(ccc(predicted[:, 0], labels[:, 0]), abs=1e-6)
    assert any("compact (start)" in line for line in progress.messages)
    assert not any("worse" in warning for warning in progress.warnings)


def test_loss_against_the_start_is_said(tmp_path):
    store = annotators.write_store(tmp_path / "s.zarr", annotators.View(noise=0.02), videos=3, frames=200)
    progress = RecordingProgress()
    ruined = ("training.epochs=1", "training.optim.lr=0.5", "training.schedule.warmup_epochs=0")
    train.run(
        TrainSettings(
            store=store.path, out=tmp_path / "run", init="bundled", assignments=ruined, device="cpu"
        ),
        progress,
    )
    gain = json.loads((tmp_path / "run" / "gain.json").read_text())
    assert gain["groups"][0]["mean"]["difference"] < 0
    assert any("is worse than the run it started from" in warning for warning in progress.warnings)


def test_features_of_another_kind_are_refused(store, tmp_path):
    shutil.copytree(store.path, tmp_path / "s.zarr")
    other = Store.open(tmp_path / "s.zarr")
    view = next(iter(other.videos()))
    values, flags = view.feature("egemaps")
    spec = FeatureSpec(name="egemaps", version="another", modality="audio", dim=23)
    other.put_feature(view.id, spec.attributes(), values, flags)
    with pytest.raises((RunError, StoreError), match="egemaps"):
        train.run(TrainSettings(store=other.path, out=tmp_path / "run", init="bundled", device="cpu"))


def test_audio_model_of_the_package_is_a_start(store, tmp_path):
    settings = TrainSettings(
        store=store.path, out=tmp_path / "run", init="bundled-audio", assignments=QUICK, device="cpu"
    )
    train.run(settings)
    assert [s.name for s in read_recipe(tmp_path / "run" / "fold_1").model.streams] == ["audio"]
    assert "bundled-audio" in (tmp_path / "run" / "fold_1" / "card.md").read_text()
