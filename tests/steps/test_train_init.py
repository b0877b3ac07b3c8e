"""Training that starts from the bundled model or from a run, on a few annotated videos."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import load_file
from synth import annotators

from vacli.errors import UsageError
from vacli.files.run_directory import NORMALIZATION_FILE
from vacli.inference.run import BUNDLED, load_run, read_recipe
from vacli.progress import RecordingProgress
from vacli.steps import train
from vacli.steps.train import TrainSettings

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
