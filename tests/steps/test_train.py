"""From a store to a run directory, interrupted or not, in one process or two."""

from __future__ import annotations

import json
import os
import shutil
import textwrap
import warnings
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from synth import affwild2, recipes, stores
from synth.ranks import run_ranks

from vacli.errors import RunError, StoreError, UsageError
from vacli.files import digests
from vacli.inference.prediction import predict_sequence
from vacli.inference.run import load_run, read_recipe
from vacli.metrics import ccc
from vacli.models.size import count_parameters
from vacli.progress import RecordingProgress
from vacli.recipe import io as recipe_io
from vacli.recipe.presets import PRESETS
from vacli.sequences.stored import open_sequences
from vacli.steps import repack, train
from vacli.steps._run_info import run_info
from vacli.steps.train import TrainSettings, resolve
from vacli.store import Store
from vacli.training.temporal.task import SequenceTask

TINY = (*recipes.COMPACT, "training.epochs=3", "training.batch_size=4")


def planted(path: Path, *, videos: int = 5, frames: int = 150, splits: bool = False) -> Store:
    """The synthetic dataset in a store; without `splits` its labels have no split."""
    trials = affwild2.make(affwild2.World(videos=videos, frames=frames))
    return affwild2.write_store(path, trials if splits else [replace(t, split="") for t in trials])


class Interrupt(RecordingProgress):
    """Progress that interrupts training after a number of batches in an epoch."""

    def __init__(self, epoch: int, batches: int) -> None:
        super().__init__()
        self.title, self.batches = f"epoch {epoch}", batches

    @contextmanager
    def task(self, title, total, unit):
        left = self.batches if title == self.title else None

        def advance(amount):
            nonlocal left
            if left is not None:
                left -= 1
                if left <= 0:
                    raise KeyboardInterrupt

        yield advance


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return planted(tmp_path_factory.mktemp("planted") / "s.zarr")


@pytest.fixture(scope="module")
def whole(store, tmp_path_factory) -> Path:
    """A run without an interruption."""
    out = tmp_path_factory.mktemp("whole") / "run"
    train.run(settings(store, out))
    return out


def settings(store: Store, out: Path, *more: str, **changes) -> TrainSettings:
    return TrainSettings(
        store=store.path, out=out, preset="compact", assignments=(*TINY, *more), device="cpu", **changes
    )


def metrics(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def scores(row: dict) -> dict[str, float]:
    """The results of an epoch without its times."""
    return {name: row[name] for name in ("epoch", "step", "loss", "grad_norm", "lr", "valence", "arousal")}


def test_the_run_directory_has_all_files(whole):
    assert sorted(os.listdir(whole)) == [
        "card.md",
        "data.json",
        "features.json",
        "files.json",
        "last.safetensors",
        "metrics.jsonl",
        "normalisation.safetensors",
        "recipe.json",
        "tensorboard",
        "training_state.pt",
        "weights.safetensors",
    ]
    assert [row["epoch"] for row in metrics(whole)] == [1, 2, 3]
    features = json.loads((whole / "features.json").read_text())
    assert features["face"]["fingerprint"] in (whole / "card.md").read_text()
    assert list((whole / "tensorboard").glob("events.out.tfevents.*"))


def test_every_fold_has_its_own_initial_weights(store, tmp_path):
    frozen = ("training.optim.lr=0", "training.epochs=1")
    train.run(settings(store, tmp_path / "all", *frozen, folds=2))
    train.run(settings(store, tmp_path / "second", *frozen, folds=2, fold=2))
    first, second = (load_file(tmp_path / "all" / f"fold_{k}" / "weights.safetensors") for k in (1, 2))
    single = load_file(tmp_path / "second" / "fold_2" / "weights.safetensors")
    matrix = "temporal.project.weight"
    assert not torch.equal(first[matrix], second[matrix])
    assert all(torch.equal(single[name], tensor) for name, tensor in second.items())


def test_the_reported_score_equals_that_of_predicted_videos(store, whole):
    best = max(metrics(whole), key=lambda row: row["mean"])
    run = load_run(whole)
    held_out = [store.video(name) for name in run.members[0].validation]
    predicted, annotated = [], []
    for sequence in open_sequences(held_out, run.recipe.model):
        predicted.append(predict_sequence(run, sequence, sequence.times_s).values)
        annotated.append(sequence.labels)
    for column, name in enumerate(("valence", "arousal")):
        again = ccc(np.concatenate(predicted)[:, column], np.concatenate(annotated)[:, column])
        assert again == pytest.approx(best[name], abs=1e-6)  # training has it from torch


@pytest.mark.parametrize(("epoch", "batches"), [(1, 1), (2, 1), (3, 2)])
def test_a_resumed_run_gives_identical_weights(store, whole, tmp_path, epoch, batches):
    with pytest.raises(KeyboardInterrupt):
        train.run(settings(store, tmp_path), Interrupt(epoch, batches))
    train.run(settings(store, tmp_path, resume=True))
    for name in ("weights.safetensors", "last.safetensors"):
        expected, got = load_file(whole / name), load_file(tmp_path / name)
        assert expected.keys() == got.keys()
        assert all(torch.equal(expected[key], got[key]) for key in expected)
    assert [scores(row) for row in metrics(tmp_path)] == [scores(row) for row in metrics(whole)]


def test_a_finished_run_is_not_changed(whole, store):
    before = (whole / "last.safetensors").read_bytes()
    result = train.run(TrainSettings(store=store.path, out=whole, resume=True, device="cpu"))
    assert (whole / "last.safetensors").read_bytes() == before
    assert result.folds[0].result.epochs == 3


def test_resume_with_another_recipe_or_other_data_raises(store, whole, tmp_path):
    with pytest.raises(RunError, match="another recipe"):
        train.run(settings(store, whole, "training.optim.lr=1e-5", resume=True))
    other = planted(tmp_path / "o.zarr", videos=4)
    with pytest.raises(RunError, match="other videos, labels or features"):
        train.run(settings(other, whole, resume=True))


def test_resume_ignores_the_description_of_the_recipe(store, whole, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    recipe = replace(read_recipe(whole), summary="an earlier wording", source="")
    digests.write(tmp_path / "run" / "recipe.json", recipe_io.to_json(recipe).encode("utf-8"))
    assert train.run(settings(store, tmp_path / "run", resume=True)).folds[0].result.epochs == 3


def test_a_complete_run_with_the_same_settings_is_skipped(store, whole):
    before = {path.name: path.read_bytes() for path in whole.iterdir() if path.is_file()}
    listener = RecordingProgress()
    result = train.run(settings(store, whole), listener)
    assert result.skipped
    assert listener.messages == [f"{whole}: complete with the same settings, skipped"]
    assert {path.name: path.read_bytes() for path in whole.iterdir() if path.is_file()} == before
    best = max(metrics(whole), key=lambda row: row["mean"])
    (fold,) = result.folds
    assert (fold.result.epochs, result.mean) == (3, pytest.approx(best["mean"]))
    assert fold.result.parameters == count_parameters(read_recipe(whole).model)


@pytest.mark.parametrize(
    "change", [("training.epochs=4",), ("training.seed=1",), ("model.temporal.d_state=5",)]
)
def test_a_run_is_not_overwritten_with_other_settings(store, whole, change):
    with pytest.raises(RunError, match="already contains a run"):
        train.run(settings(store, whole, *change))


def test_a_run_on_other_videos_or_features_is_not_skipped(store, whole, tmp_path):
    with pytest.raises(RunError, match="already contains a run"):
        train.run(settings(planted(tmp_path / "o.zarr", videos=4), whole))
    shutil.copytree(whole, tmp_path / "run")
    features = json.loads((whole / "features.json").read_text())
    features["face"]["fingerprint"] = "other"
    digests.write(tmp_path / "run" / "features.json", json.dumps(features).encode())
    with pytest.raises(RunError, match="already contains a run"):
        train.run(settings(store, tmp_path / "run"))


def with_other_labels(store: Store, sign: float = -1.0) -> str:
    """Replace the labels of the first video, as `va import-labels --force` does. Returns: the video."""
    view = store.videos()[0]
    stores.put_labels(store, view.id, sign * view.labels())
    return view.id


def with_other_values(store: Store, change: float = 1.0) -> str:
    """Replace the face feature of the first video by other values with the same settings."""
    view = store.videos()[0]
    values, flags = view.feature("face")
    attributes = {k: v for k, v in view.part_attrs("feature/face").items() if k != "edition"}
    store.put_feature(view.id, attributes, values + np.float32(change), flags)
    return view.id


@pytest.mark.parametrize(
    ("change", "what"), [(with_other_labels, "labels"), (with_other_values, "features face")]
)
@pytest.mark.parametrize("complete", [False, True])
def test_a_run_does_not_continue_on_other_labels_or_features(tmp_path, change, what, complete):
    store = planted(tmp_path / "s.zarr")
    if complete:
        train.run(settings(store, tmp_path / "run"))
    else:
        with pytest.raises(KeyboardInterrupt):
            train.run(settings(store, tmp_path / "run"), Interrupt(2, 1))
    before = (tmp_path / "run" / "last.safetensors").read_bytes()
    video = change(store)
    with pytest.raises(
        RunError, match=rf"the {what} of 1 videos \({video}\) have changed since the"
    ) as caught:
        train.run(settings(store, tmp_path / "run", resume=True))
    assert "--out" in caught.value.hint
    with pytest.raises(RunError, match="already contains a run"):
        train.run(settings(store, tmp_path / "run"))
    assert (tmp_path / "run" / "last.safetensors").read_bytes() == before


def test_a_run_is_skipped_and_resumed_after_the_same_values_were_stored_again_or_repacked(tmp_path):
    store = planted(tmp_path / "s.zarr")
    train.run(settings(store, tmp_path / "run"))
    with_other_labels(store, 1.0)
    with_other_values(store, 0.0)
    assert train.run(settings(store, tmp_path / "run")).skipped
    repack.run(repack.RepackSettings(store.path, tmp_path / "r.zarr"))
    repacked = Store.open(tmp_path / "r.zarr")
    assert train.run(settings(repacked, tmp_path / "run")).skipped
    assert train.run(settings(repacked, tmp_path / "run", resume=True)).folds[0].result.epochs == 3


def test_a_run_of_an_earlier_version_has_no_record_of_its_features(store, whole, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    about = json.loads((whole / "data.json").read_text())
    del about["content"]
    about["labels"] = dict.fromkeys(about["labels"])
    digests.write(tmp_path / "run" / "data.json", json.dumps(about).encode())
    assert train.run(settings(store, tmp_path / "run")).skipped
    assert train.run(settings(store, tmp_path / "run", resume=True)).folds[0].result.epochs == 3


def test_a_calibration_is_removed_where_the_run_is_trained_further_and_kept_where_it_is_not(store, tmp_path):
    asked = settings(store, tmp_path, "training.epochs=1", folds=2, resume=True)
    train.run(replace(asked, fold=1))
    digests.write(tmp_path / "calibration.json", b"{}")
    train.run(replace(asked, fold=1))
    assert (tmp_path / "calibration.json").is_file()
    listener = RecordingProgress()
    train.run(asked, listener)
    assert not digests.has_file(tmp_path / "calibration.json")
    (warning,) = listener.warnings
    assert warning == (
        f"{tmp_path / 'calibration.json'}: removed, since the run is trained further; "
        "run `va calibrate` again afterwards"
    )


def test_the_calibration_of_an_interrupted_run_is_removed_where_it_continues(store, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train.run(settings(store, tmp_path), Interrupt(3, 1))
    digests.write(tmp_path / "calibration.json", b"{}")
    train.run(settings(store, tmp_path, resume=True))
    assert not digests.has_file(tmp_path / "calibration.json")
    assert load_run(tmp_path).postprocess.calibration is None


def test_an_interrupted_run_is_not_skipped(store, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train.run(settings(store, tmp_path / "run"), Interrupt(2, 1))
    with pytest.raises(RunError, match="already contains a run") as caught:
        train.run(settings(store, tmp_path / "run"))
    assert "--resume" in caught.value.hint


def test_a_training_that_is_not_at_its_end_is_named(store, tmp_path):
    asked = settings(store, tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        train.run(asked, Interrupt(2, 1))
    listener = RecordingProgress()
    epochs = load_run(tmp_path / "run", "cpu", listener).recipe.training.epochs
    (warning,) = listener.warnings
    assert f"has 1 of {epochs} epochs: its training was interrupted" in warning
    assert any("1 of" in missing.description for missing in run_info(tmp_path / "run").missing)
    train.run(replace(asked, resume=True))
    load_run(tmp_path / "run", "cpu", after := RecordingProgress())
    assert not after.warnings
    assert not any("epochs" in missing.description for missing in run_info(tmp_path / "run").missing)


def test_complete_folds_are_skipped_together(store, tmp_path):
    one = settings(store, tmp_path, "training.epochs=1", folds=2, fold=1)
    assert not train.run(one).skipped
    assert train.run(one).skipped
    both = replace(one, fold=None)
    with pytest.raises(RunError, match="already contains a run"):
        train.run(both)
    assert not train.run(replace(both, resume=True)).skipped
    again = train.run(both)
    assert again.skipped
    assert len(again.folds) == 2


def test_every_video_is_held_out_once_and_folds_are_averaged(store, tmp_path):
    listener = RecordingProgress()
    result = train.run(settings(store, tmp_path, "training.epochs=1", folds=2), listener)
    assert [fold.path.name for fold in result.folds] == ["fold_1", "fold_2"]
    validation = [name for fold in result.folds for name in fold.split.fold.validation]
    assert sorted(validation) == store.video_ids()
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["mean"]["mean"] == pytest.approx(result.mean)
    assert any("mean of 2 folds" in message for message in listener.messages)
    assert sum(m.startswith("epoch 1 of 1: valence ") for m in listener.messages) == 2
    for fold in result.folds:
        assert sum(m.startswith(f"{fold.path}: epoch 1 of 1 kept: valence ") for m in listener.messages) == 1
    assert not any(m.startswith("epoch     loss") for m in listener.messages)
    run = load_run(tmp_path)
    sequence = open_sequences([store.video("video59")], run.recipe.model)[0]
    trajectory = predict_sequence(run, sequence, sequence.times_s)
    both = np.stack([member.predictor(sequence) for member in run.members])
    np.testing.assert_allclose(trajectory.values, both.mean(axis=0), atol=1e-7)
    np.testing.assert_allclose(trajectory.ensemble_std, both.std(axis=0, ddof=1), atol=1e-7)


@pytest.mark.parametrize("lost", ["fold_1", "fold_2", "fold_1/weights.safetensors"])
def test_a_run_with_a_missing_fold_is_used_with_a_warning(store, tmp_path, lost):
    train.run(settings(store, tmp_path, "training.epochs=1", folds=2))
    listener = RecordingProgress()
    assert len(load_run(tmp_path, "cpu", listener).members) == 2
    assert not listener.warnings
    if (tmp_path / lost).is_dir():
        shutil.rmtree(tmp_path / lost)
    else:
        (tmp_path / lost).unlink()
        with pytest.raises(RunError, match=r"weights\.safetensors is missing"):
            load_run(tmp_path, "cpu", listener)
        (tmp_path / lost).with_name("files.json").unlink()
    assert len(load_run(tmp_path, "cpu", listener).members) == 1
    (warning,) = listener.warnings
    assert f"lacks {lost[:6]} of 2 folds" in warning


def test_one_fold_equals_that_of_all_folds(store, tmp_path):
    train.run(settings(store, tmp_path / "all", "training.epochs=1", folds=2))
    train.run(settings(store, tmp_path / "one", "training.epochs=1", folds=2, fold=2))
    assert os.listdir(tmp_path / "one" / "fold_2")
    expected, got = (load_file(tmp_path / d / "fold_2" / "last.safetensors") for d in ("all", "one"))
    assert all(torch.equal(expected[key], got[key]) for key in expected)


def test_the_official_split_is_used_and_a_missing_one_is_reported(store, tmp_path):
    split = planted(tmp_path / "s.zarr", splits=True)
    result = train.run(settings(split, tmp_path / "a", "training.epochs=1"))
    assert result.folds[0].split.fold.validation == ("0-30-1280x720",)
    assert result.folds[0].split.fold.number == 0
    listener = RecordingProgress()
    train.run(settings(store, tmp_path / "b", "training.epochs=1"), listener)
    assert "held out by video, seed 42, because the labels have no split" in listener.messages[0]
    with pytest.raises(UsageError, match="train set"):
        train.run(settings(store, tmp_path / "c", fold=0))


def test_tensorboard_reads_the_curves(whole):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorBoard's own
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(whole / "tensorboard"))
        events.Reload()
    points = events.Scalars("ccc/mean")
    assert [point.step for point in points] == [row["step"] for row in metrics(whole)]
    assert [point.value for point in points] == pytest.approx([row["mean"] for row in metrics(whole)])


def test_half_precision_gives_similar_losses(store, whole, tmp_path):
    train.run(settings(store, tmp_path, "training.amp=true"))
    assert {x.dtype for x in load_file(tmp_path / "weights.safetensors").values()} == {torch.float32}
    for half, full in zip(metrics(tmp_path), metrics(whole), strict=True):
        assert half["loss"] != full["loss"]
        assert half["loss"] == pytest.approx(full["loss"], abs=0.05)


def test_training_stops_without_improvement(store, tmp_path):
    more = ("training.epochs=9", "training.patience_epochs=2", "training.optim.lr=0.0")
    listener = RecordingProgress()
    result = train.run(settings(store, tmp_path, *more), listener)
    assert result.folds[0].result.epochs == 3
    assert any("stopped early" in message for message in listener.messages)


def test_divergence_raises(store, tmp_path):
    with pytest.raises(RunError, match="diverged"):
        train.run(settings(store, tmp_path, "training.optim.lr=1e30", "training.schedule.warmup_epochs=0"))


@pytest.mark.parametrize("folds", [None, 2])
def test_a_training_that_fails_in_its_first_epoch_leaves_nothing(store, tmp_path, folds):
    diverging = ("training.optim.lr=1e30", "training.schedule.warmup_epochs=0")
    out = tmp_path / "run"
    with pytest.raises(RunError, match="diverged"):
        train.run(settings(store, out, *diverging, folds=folds))
    assert not out.exists()
    out.mkdir()
    (out / "notes.txt").write_text("the user's own")
    with pytest.raises(RunError, match="diverged"):
        train.run(settings(store, out, *diverging, folds=folds))
    assert os.listdir(out) == ["notes.txt"]
    train.run(settings(store, out, "training.epochs=1", folds=folds))
    assert load_run(out).members


def test_two_trainings_into_one_folder_are_refused(store, tmp_path, monkeypatch):
    second = []

    def validate(self, model):
        if not second:  # another training begins while the first one is in its first epoch
            second.append(True)
            with pytest.raises(RunError, match="another training is writing it"):
                train.run(settings(store, tmp_path / "run", "training.seed=5"))
        return original(self, model)

    original = SequenceTask.validate
    monkeypatch.setattr(SequenceTask, "validate", validate)
    train.run(settings(store, tmp_path / "run"))
    assert second
    assert load_run(tmp_path / "run").recipe.training.seed == 42
    assert not [name for name in os.listdir(tmp_path / "run") if name.startswith(".")]


def test_a_training_that_fails_later_keeps_its_epochs(store, tmp_path, monkeypatch):
    scores = iter([{"valence": 0.1, "arousal": 0.1, "mean": 0.1}])

    def validate(self, model):
        return next(scores, {"valence": np.nan, "arousal": np.nan, "mean": np.nan})

    monkeypatch.setattr("vacli.training.temporal.task.SequenceTask.validate", validate)
    with pytest.raises(RunError, match="diverged"):
        train.run(settings(store, tmp_path / "run"))
    assert len(metrics(tmp_path / "run")) == 1
    assert load_run(tmp_path / "run").members


def test_a_run_interrupted_in_its_first_epoch_is_trained_again_without_resume(store, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train.run(settings(store, tmp_path / "run"), Interrupt(1, 1))
    with pytest.raises(RunError, match="is not a trained run"):
        load_run(tmp_path / "run")
    result = train.run(settings(store, tmp_path / "run", "training.epochs=1"))
    assert result.folds[0].result.epochs == 1


def test_a_single_run_and_folds_do_not_share_a_folder(store, whole, tmp_path):
    with pytest.raises(RunError, match="holds a single run, which would hide the folds"):
        train.run(settings(store, whole, folds=2))
    train.run(settings(store, tmp_path / "folds", "training.epochs=1", folds=2))
    for resume in (False, True):
        with pytest.raises(RunError, match=r"holds 2 fold runs \(fold_1, \.\.\.\), which a single run"):
            train.run(settings(store, tmp_path / "folds", "training.epochs=1", resume=resume))
    assert not (tmp_path / "folds" / "recipe.json").exists()


def test_every_video_must_have_the_features(tmp_path):
    store = planted(tmp_path / "s.zarr", videos=4)
    stores.add_video(store, "bare", 120)
    stores.put_labels(store, "bare", np.zeros((120, 2)))
    with pytest.raises(StoreError, match=r"no feature 'face'.*bare"):
        train.run(settings(store, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_store_without_labels_raises(tmp_path):
    store = stores.empty(tmp_path / "s.zarr")
    stores.add_video(store, "a", 10)
    with pytest.raises(StoreError, match="no video has labels"):
        train.run(settings(store, tmp_path / "run"))


def test_mixed_features_raise(store, tmp_path):
    store = planted(tmp_path / "s.zarr", videos=4)
    spec = replace(stores.spec("face", affwild2.VISUAL_DIM), version="2").attributes()
    values, flags = store.video("video59").feature("face")
    store.put_feature("video59", spec, values, flags)
    with pytest.raises(StoreError, match=r"video59 has other settings than that of duo_left"):
        train.run(settings(store, tmp_path / "run"))


def test_module_options_change_only_other_kinds(store, tmp_path):
    base = TrainSettings(store=store.path, out=tmp_path, preset="compact")
    assert resolve(replace(base, temporal="mamba")) == resolve(base)
    assert resolve(replace(base, temporal="transformer")).model.temporal.kind == "transformer"
    assert resolve(replace(base, preset="bdca", fusion="concat")).model.fusion.kind == "concat"
    with pytest.raises(UsageError, match="no temporal module 'mambo'"):
        resolve(replace(base, temporal="mambo"))


def test_printed_preset_is_read_as_the_same_recipe(store, tmp_path):
    for name in ("bdca", "charon", "baseline"):
        path = tmp_path / "r.toml"
        path.write_text(recipe_io.to_toml(PRESETS[name]), encoding="utf-8")
        asked = TrainSettings(store=store.path, out=tmp_path, recipe_file=path)
        assert resolve(asked) == resolve(replace(asked, preset="lightmamba")) == PRESETS[name]


WORKER = """
    import sys
    from pathlib import Path
    from vacli.steps.train import TrainSettings, run
    store, out, *assignments = sys.argv[1:]
    run(TrainSettings(
        store=Path(store), out=Path(out), preset="compact", assignments=tuple(assignments), device="cpu"
    ))
"""


def test_two_processes_train_the_same_model_as_one(store, tmp_path):
    chance = (
        "model.tcn.dropout=0.0",
        "model.temporal.dropout=0.0",
        "training.augment={modality_dropout=0.0, time_mask=0.0}",
    )
    size = ("training.epochs=2", "training.batch_size=7")
    wanted = settings(store, tmp_path / "1", *chance, *size, "training.loss.unimodal_weight=1.0")
    train.run(wanted)
    run_ranks(2, textwrap.dedent(WORKER), store.path, tmp_path / "2", *wanted.assignments)
    for row, other in zip(metrics(tmp_path / "1"), metrics(tmp_path / "2"), strict=True):
        assert scores(row) == pytest.approx(scores(other), rel=1e-6, abs=1e-6)
