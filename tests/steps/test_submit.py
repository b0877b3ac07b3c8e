"""Submission files from a run and from tables, for the frames of an official list."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
from synth import affwild2, recipes, stores

from vacli.errors import LabelError, RunError, StoreError, UsageError
from vacli.evaluation.submission import check
from vacli.inference.prediction import predict_sequence
from vacli.inference.run import load_run
from vacli.output.formats import TableOptions
from vacli.output.index_table import IndexEntry, index_lines
from vacli.progress import RecordingProgress
from vacli.sequences.stored import open_sequences
from vacli.steps import train
from vacli.steps.submit import SubmitSettings, run
from vacli.store import Store

TINY = (*recipes.COMPACT, "training.epochs=1")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    trials = affwild2.make(affwild2.World(videos=6, frames=110))
    return affwild2.write_store(tmp_path_factory.mktemp("submit") / "s.zarr", trials)


@pytest.fixture(scope="module")
def trained(store, tmp_path_factory):
    out = tmp_path_factory.mktemp("submit") / "run"
    train.run(
        train.TrainSettings(store=store.path, out=out, preset="compact", assignments=TINY, device="cpu")
    )
    return out


def listed(tmp_path, frames: dict[str, int]):
    rows = [f"{trial}/{i + 1:05d}.jpg,," for trial, count in frames.items() for i in range(count)]
    sample = tmp_path / "sample.txt"
    sample.write_text("\n".join(["image_location,valence,arousal", *rows]) + "\n")
    return sample


def test_the_last_value_is_repeated_for_surplus_frames(tmp_path, store, trained):
    name = "duo_left"
    count = len(store.video(name).times_s)
    sample, out = listed(tmp_path, {name: count + 1}), tmp_path / "p.txt"
    quiet = RecordingProgress()
    written = run(SubmitSettings(inputs=(trained,), store=store.path, frame_list=sample, out=out), quiet)
    assert written.repeated == {name: 1}
    assert any("its last value is repeated" in w for w in quiet.warnings)
    assert check(out, sample) == count + 1
    net = load_run(trained)
    (rows,) = open_sequences([store.video(name)], net.recipe.model)
    wanted = predict_sequence(net, rows, rows.times_s).values
    table = np.loadtxt(out, delimiter=",", skiprows=1, usecols=(1, 2))
    np.testing.assert_allclose(table[:-1], wanted, atol=1e-6)
    np.testing.assert_array_equal(table[-1], table[-2])


def test_features_that_differ_from_those_of_the_run_are_refused_or_noted(tmp_path, store, trained):
    other = Store.open(shutil.copytree(store.path, tmp_path / "s.zarr"))
    spec = replace(stores.spec("face", affwild2.VISUAL_DIM), version="2")
    other.put_feature("duo_left", spec.attributes(), *other.video("duo_left").feature("face"))
    sample = listed(tmp_path, {"duo_left": len(other.video("duo_left").times_s)})
    asked = SubmitSettings(inputs=(trained,), store=other.path, frame_list=sample, out=tmp_path / "p.txt")
    with pytest.raises(RunError, match=r"trained on face with version 1, not 2"):
        run(asked)
    assert not asked.out.exists()
    progress = RecordingProgress()
    run(replace(asked, allow_mismatch=True), progress)
    assert asked.out.exists()
    assert any("version 1, not 2" in warning for warning in progress.warnings)


def test_tables_are_submitted(tmp_path):
    (tmp_path / "a.csv").write_text("time_s,valence,arousal\n0,0.5,0.25\n0.04,-0.5,1\n")
    out = tmp_path / "p.txt"
    run(SubmitSettings(inputs=(tmp_path / "a.csv",), frame_list=listed(tmp_path, {"a": 2}), out=out))
    assert out.read_text().splitlines()[1:] == [
        "a/00001.jpg,0.500000,0.250000",
        "a/00002.jpg,-0.500000,1.000000",
    ]


def test_an_output_folder_is_submitted_and_equal_names_are_refused(tmp_path):
    header, folder = "time_s,valence,arousal,input\n", tmp_path / "out"
    folder.mkdir()
    for name in ("P1", "P1.s1"):
        (folder / f"{name}.csv").write_text(f"{header}0,0.{len(name)},0,{name}\n")
    entries = [IndexEntry(f"{name}.csv", name) for name in ("P1", "P1.s1")]
    (folder / "index.csv").write_text("".join(index_lines(entries, TableOptions())))
    asked = SubmitSettings(inputs=(folder,), frame_list=listed(tmp_path, {"P1": 1}), out=tmp_path / "p.txt")
    run(asked)
    assert asked.out.read_text().splitlines()[1].startswith("P1/00001.jpg,0.2")
    (tmp_path / "P1.csv").write_text(f"{header}0,0.5,0,day2/P1.mp4\n")
    with pytest.raises(LabelError, match=r"P1 and day2/P1\.mp4 are both called P1"):
        run(replace(asked, inputs=(folder, tmp_path / "P1.csv")))


def test_missing_trials_raise(tmp_path, store, trained):
    sample = listed(tmp_path, {"nobody_left": 3})
    with pytest.raises(StoreError, match=r"trials of the list without features: 1 \(nobody_left\)"):
        run(SubmitSettings(inputs=(trained,), store=store.path, frame_list=sample, out=tmp_path / "p.txt"))
    with pytest.raises(UsageError, match="needs one run and a store"):
        run(SubmitSettings(inputs=(trained,), frame_list=sample, out=tmp_path / "p.txt"))
    (tmp_path / "a.csv").write_text("time_s,valence,arousal\n0,0.5,0.25\n")
    with pytest.raises(LabelError, match="trials without a prediction: 1"):
        run(SubmitSettings(inputs=(tmp_path / "a.csv",), frame_list=sample, out=tmp_path / "p.txt"))
    assert not (tmp_path / "p.txt").exists()
