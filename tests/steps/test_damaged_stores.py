"""A damaged video is reported; the others are processed if the step does not need all videos."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synth.stores import add_video, empty, put_feature, put_labels

from vacli.errors import StoreError
from vacli.inference.run import EnsembleMember, Run
from vacli.output.frame_table import FrameTable
from vacli.pipeline.live import LoadedModel
from vacli.progress import RecordingProgress
from vacli.recipe import presets
from vacli.recipe.schema import Stream
from vacli.runtime.executor import Channel, LocalExecutor
from vacli.steps import _predict_store, import_labels, train
from vacli.steps._batch import Batch, run_job
from vacli.steps.predict import PredictJob, PredictSettings

FRAMES = 30
MODEL = replace(presets.preset("compact").model, streams=(Stream(name="visual", features=("xv",), dim=3),))


@pytest.fixture
def store(tmp_path):
    made = empty(tmp_path / "s.zarr")
    for video in ("a", "b", "c"):
        add_video(made, video, FRAMES)
        put_feature(made, video, "xv", np.ones((FRAMES, 3)))
        put_labels(made, video, np.zeros((FRAMES, 2)))
    return made


def damage(path: Path, name: str) -> None:
    if name.endswith("/"):
        (path / name.rstrip("/")).rename(path / ".gone")
    else:
        (path / name).write_bytes(b"\x00\x01")


HARMS = [
    "time/c/0",
    "zarr.json",
    "feature/xv/c/0/0",
    "feature/xv/zarr.json",
    "flag/xv/zarr.json",
    "feature/xv/",
]


@pytest.mark.parametrize("harm", HARMS)
def test_prediction_continues_with_the_other_videos(store, harm):
    damage(store.path / "b", harm)
    recipe = replace(presets.preset("compact"), model=MODEL)
    member = EnsembleMember(
        path=Path("run"),
        model=MODEL,
        predictor=lambda rows, availability=None: _first_column(rows),
        validation=(),
    )
    loaded = LoadedModel(
        Run(path=Path("run"), recipe=recipe, members=(member,), features={}), extractors=None
    )
    tables, batch = predict(store.path, loaded)
    assert batch.done == ["a", "c"]
    (failure,) = batch.failed
    assert failure.name == "b"
    assert str(store.path / "b") in failure.reason
    assert [len(table) for table in tables] == [FRAMES, FRAMES]


def predict(store: Path, loaded: LoadedModel) -> tuple[list[FrameTable], Batch]:
    tables, batch, progress = [], Batch(store), RecordingProgress()
    views = list(_predict_store.find_views([store], loaded, batch, progress, allow_mismatch=False))
    job = PredictJob(PredictSettings(inputs=()), False, loaded)
    run_job(batch, views, lambda view: view.id, job, Channel(progress, tables.append), LocalExecutor())
    return tables, batch


def _first_column(rows, availability: np.ndarray | None = None) -> np.ndarray:
    x = np.empty((len(rows), 3), np.float32)
    rows.fill(0, {"visual": x})
    return x[:, :2] / 2


def test_a_store_without_the_feature_is_one_failure(store):
    for video in store.video_ids():
        store.drop_feature(video, "xv")
    recipe = replace(presets.preset("compact"), model=MODEL)
    loaded = LoadedModel(Run(path=Path("run"), recipe=recipe, members=(), features={}), extractors=None)
    _, batch = predict(store.path, loaded)
    (failure,) = batch.failed
    assert "in 3 of 3 videos" in failure.reason


def test_training_raises_and_names_damaged_videos(store, tmp_path):
    damage(store.path / "b", "feature/xv/c/0/0")
    damage(store.path / "c", "flag/xv/zarr.json")
    recipe = ("model.streams=[{name='visual', features=['xv'], dim=3}]",)
    settings = train.TrainSettings(store=store.path, out=tmp_path / "run", assignments=recipe, device="cpu")
    with pytest.raises(StoreError, match="2 of 3 videos are damaged") as caught:
        train.run(settings)
    assert str(store.path / "b") in str(caught.value)
    assert str(store.path / "c") in str(caught.value)
    assert "--force" in caught.value.hint
    assert not (tmp_path / "run").exists()


def test_labels_are_imported_for_the_other_videos(store, tmp_path):
    damage(store.path / "b", "time/c/0")
    damage(store.path / "a", "label/zarr.json")
    damage(store.path / "c", "label/valence/c/0")
    (tmp_path / "va").mkdir()
    for video in store.video_ids():
        rows = ["time_s,valence,arousal", *(f"{i / 25},0.5,0.25" for i in range(FRAMES))]
        (tmp_path / "va" / f"{video}.csv").write_text("\n".join(rows) + "\n")
    result = import_labels.run(
        import_labels.ImportLabelsSettings(annotations=tmp_path / "va", store=store.path, force=True),
        RecordingProgress(),
    )
    assert sorted(result.done) == ["a", "c"]
    for video in ("a", "c"):
        assert np.unique(store.video(video).read("label/valence")) == [0.5]
    assert [failure.name for failure in result.failed] == ["b"]
