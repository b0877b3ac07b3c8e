"""Own features are stored for the videos that their files are called like, and used like any other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synth import affwild2, recipes, stores

from vacli.errors import InputError, RunError, StoreError, UsageError
from vacli.features.flags import MISSING
from vacli.output.frame_table import FrameTable
from vacli.progress import RecordingProgress
from vacli.steps.import_feature import ImportFeatureSettings, run
from vacli.store import Store


@pytest.fixture
def store(tmp_path) -> Store:
    made = stores.empty(tmp_path / "s.zarr")
    for video, frames in (("clip", 10), ("other", 6)):
        stores.add_video(made, video, frames)
    return made


@pytest.fixture
def arrays(tmp_path) -> Path:
    folder = tmp_path / "arrays"
    folder.mkdir()
    np.save(folder / "clip.npy", np.arange(30.0).reshape(10, 3))
    np.savez(folder / "other.npz", rows=np.ones((3, 3)), times_s=np.array([0.04, 0.08, 0.12]))
    return folder


@pytest.fixture
def settings(store, arrays) -> ImportFeatureSettings:
    return ImportFeatureSettings(name="mine", arrays=arrays, store=store.path)


def test_rows_are_stored_at_the_frames_with_flags(store, settings):
    assert run(settings).done == ["clip.npy", "other.npz"]
    values, flags = store.video("clip").feature("mine")
    np.testing.assert_array_equal(values, np.arange(30.0).reshape(10, 3))
    assert not flags.any()
    values, flags = store.video("other").feature("mine")
    assert flags.tolist() == [MISSING, 0, 0, 0, MISSING, MISSING]
    np.testing.assert_array_equal(np.isnan(values).all(axis=1), flags == MISSING)
    attributes = store.video("clip").part_attrs("feature/mine")
    assert (attributes["modality"], attributes["settings"]) == ("visual", {"imported": True})
    assert attributes["source_file"]["name"] == "clip.npy"


def test_rows_with_some_of_their_values_are_counted(store, settings, arrays):
    values = np.arange(30.0).reshape(10, 3)
    values[4:7, 1] = np.nan
    np.save(arrays / "clip.npy", values)
    progress = RecordingProgress()
    run(settings, progress)
    assert progress.warnings == [
        "3 of 13 rows of mine count as missing, because they lack some of their values (column 1: 3)"
    ]


def test_the_rate_puts_rows_on_the_clock_of_the_frames(store, settings, arrays):
    (arrays / "other.npz").unlink()
    run(replace(settings, rate_hz=50))
    values, flags = store.video("clip").feature("mine")
    assert flags.tolist() == [0] * 5 + [MISSING] * 5  # 10 rows at 50 Hz end at 0.18 s
    np.testing.assert_allclose(values[:5, 0], [0, 6, 12, 18, 24], atol=1e-5)


def test_the_same_file_is_skipped_and_another_needs_force(settings, arrays):
    run(settings)
    assert run(settings).skipped == ["clip.npy", "other.npz"]
    np.save(arrays / "clip.npy", np.zeros((10, 3)))
    (failure,) = run(settings).failed
    assert "--force" in failure.reason
    assert len(run(replace(settings, version="2")).failed) == 2
    assert run(replace(settings, force=True)).done == ["clip.npy", "other.npz"]


def test_a_file_that_fails_does_not_stop_the_others(store, settings, arrays):
    np.save(arrays / "clip.npy", np.zeros((9, 3)))
    batch = run(settings)
    assert batch.done == ["other.npz"]
    assert "has 9 rows, the video has 10 frames" in batch.failed[0].reason
    assert not store.video("clip").has("feature/mine")


def test_files_with_other_columns_than_the_first_fail(settings, arrays):
    np.save(arrays / "clip.npy", np.zeros((10, 4)))
    (failure,) = run(settings).failed
    assert failure.name == "other.npz"
    assert "other columns (3) than" in failure.reason


def test_files_and_videos_without_a_partner_are_named(settings, arrays):
    (arrays / "other.npz").rename(arrays / "stranger.npz")
    progress = RecordingProgress()
    assert run(settings, progress).done == ["clip.npy"]
    assert any("1 files have no video" in w and "stranger.npz" in w for w in progress.warnings)
    assert any("1 videos of" in w and w.endswith("no file with mine: other") for w in progress.warnings)
    (arrays / "clip.npy").unlink()
    with pytest.raises(InputError, match=r"no file is called like a video of .*stranger\.npz"):
        run(settings)


def test_two_files_of_one_video_are_refused(settings, arrays):
    (arrays / "clip.csv").write_text("a,b,c\n")
    with pytest.raises(InputError, match="both called like the video clip"):
        run(settings)


def test_recordings_of_one_name_need_a_file_each(store, settings, arrays):
    source = {"name": "clip.mp4", "path": "b/clip.mp4", "size_bytes": 0, "sha256": "another"}
    store.add_video("clip-2", np.arange(4) / 25, source=source, stream={})
    with pytest.raises(InputError, match="2 videos are called clip: clip, clip-2"):
        run(settings)
    np.save(arrays / "clip-2.npy", np.full((4, 3), 7.0))
    assert run(settings).done == ["clip-2.npy", "clip.npy", "other.npz"]
    assert (store.video("clip-2").feature("mine")[0] == 7).all()
    assert len(store.video("clip").feature("mine")[0]) == 10


@pytest.mark.parametrize("name", ["mae-vit-l", "vggish@tag", "a/b", ""])
def test_names_of_extractors_and_names_that_cannot_be_stored_are_refused(settings, name):
    with pytest.raises(UsageError, match=r"is a feature of|not a feature's name"):
        run(replace(settings, name=name))


@pytest.fixture(scope="module")
def labelled(tmp_path_factory) -> Store:
    """A labelled store whose visual feature was imported, under the name `mine`."""
    folder = tmp_path_factory.mktemp("own")
    store = affwild2.write_store(folder / "s.zarr", affwild2.make(affwild2.World(videos=6, frames=110)))
    (folder / "arrays").mkdir()
    for view in store.videos():
        np.save(folder / "arrays" / f"{view.id}.npy", view.feature(affwild2.VISUAL)[0])
    batch = run(ImportFeatureSettings(name="mine", arrays=folder / "arrays", store=store.path))
    assert not batch.failed
    return store


@pytest.mark.torch
def test_an_imported_feature_is_trained_evaluated_and_predicted_from_its_store(labelled, tmp_path):
    from vacli.steps import evaluate, predict, train

    assignments = (*recipes.COMPACT, "model.streams.visual.features=['mine']", "training.epochs=1")
    out = tmp_path / "run"
    train.run(
        train.TrainSettings(
            store=labelled.path, out=out, preset="compact", assignments=assignments, device="cpu"
        )
    )
    (result,) = evaluate.run(evaluate.EvaluateSettings(inputs=(out,), device="cpu")).results
    assert result.scores[0].frames > 0
    tables: list[FrameTable] = []
    asked = predict.PredictSettings(inputs=(labelled.path,), model=out, device="cpu")
    assert not predict.run(asked, tables.append).failed
    assert len(tables) == len(labelled.video_ids())
    assert "audiovisual" in {m for table in tables for m in table.columns["modality"].tolist()}
    with pytest.raises(RunError, match="uses the feature mine, which was imported") as caught:
        predict.run(replace(asked, inputs=(tmp_path / "clip.mp4",)), tables.append)
    assert "\n" not in caught.value.one_line()


def test_a_video_without_the_feature_gets_the_command_that_imports_it(labelled, tmp_path):
    from vacli.recipe.schema import Model, Stream
    from vacli.sequences.stored import open_sequences

    stores.add_video(labelled, "bare", 5)
    model = Model(streams=(Stream(name="visual", features=("mine",), dim=affwild2.VISUAL_DIM),))
    with pytest.raises(StoreError) as caught:
        open_sequences(labelled.videos(), model)
    assert f"va import-feature mine ARRAYS {labelled.path}" in caught.value.one_line()


@pytest.mark.torch
def test_frames_with_an_imported_visual_feature_are_valid_without_stored_faces(labelled, tmp_path):
    from synth.recipes import TRAINING

    from vacli.steps import predict, train

    dim = affwild2.VISUAL_DIM
    streams = f"model.streams=[{{name='visual', features=['mine'], dim={dim}}}]"
    small = ("model.tcn={channels=[8], kernel=3}", "model.temporal={kind='none'}", "training.epochs=1")
    settings = train.TrainSettings(
        store=labelled.path, out=tmp_path / "run", assignments=(streams, *TRAINING, *small), device="cpu"
    )
    train.run(settings)
    tables: list[FrameTable] = []
    asked = predict.PredictSettings(inputs=(labelled.path,), model=settings.out, device="cpu")
    predict.run(asked, tables.append)
    for table in tables:
        view = labelled.video(table.name)
        missing = view.feature("mine")[1] == MISSING
        assert missing.any()
        np.testing.assert_array_equal(table.columns["modality"] == "none", missing)
