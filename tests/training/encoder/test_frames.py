from __future__ import annotations

import numpy as np
import pytest
from synth.face_stores import face_store

from vacli.errors import LabelError, StoreError, UsageError
from vacli.progress import RecordingProgress
from vacli.store import Store
from vacli.training.encoder.frames import (
    FrameSampling,
    Images,
    in_memory,
    prefetch_batches,
    sample,
    split_videos,
)


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    return face_store(tmp_path_factory.mktemp("faces") / "s.zarr", videos=4, frames=9).videos()


def test_frames_have_a_face_and_their_label(views):
    frames = sample(views, FrameSampling())
    assert len(frames) == 4 * 8
    assert 3 not in frames.row
    assert np.array_equal(frames.target[frames.video == 2], views[2].labels()[frames.row[frames.video == 2]])


def test_crops_are_in_the_requested_order(views):
    frames = sample(views, FrameSampling())
    items = np.array([20, 3, 31, 4])
    crops = frames.crops(items)
    for crop, item in zip(crops, items, strict=True):
        assert np.array_equal(crop, views[frames.video[item]].crop(int(frames.row[item])))


def test_stride_and_maximum_sample_evenly(views):
    assert sample(views[:1], FrameSampling(stride=2)).row.tolist() == [0, 2, 4, 6, 8]
    assert sample(views[:1], FrameSampling(max_per_video=3)).row.tolist() == [0, 5, 8]


def test_no_video_is_in_both_parts(views):
    train, val = split_videos(views, 0.25, (), 0)
    assert len(val) == 1
    assert {v.id for v in train} | {v.id for v in val} == {v.id for v in views}
    assert not {v.id for v in train} & {v.id for v in val}
    assert [v.id for v in split_videos(views, 0.25, (), 0)[1]] == [v.id for v in val]


def test_two_people_of_one_source_stay_together(tmp_path):
    store = Store.open_or_create(tmp_path / "s.zarr")
    for name, sha in (("a_left", "x"), ("a_right", "x"), ("b", "y")):
        store.add_video(name, np.arange(3.0), source={"sha256": sha}, stream={})
    for seed in range(6):
        _, val = split_videos(store.videos(), 0.5, (), seed)
        assert {v.id for v in val} in ({"a_left", "a_right"}, {"b"})


def test_patterns_precede_the_split_of_the_labels(tmp_path):
    store = Store.open_or_create(tmp_path / "s.zarr")
    for name in ("train", "validation", "test"):
        store.add_video(name, np.arange(3.0), source={"sha256": "one"}, stream={})
        with store.stage(name, "label", {"split": name}) as writer:
            writer.append("valence", np.zeros(3, np.float32))
    train, val = split_videos(store.videos(), 0.5, (), 0)
    assert [v.id for v in train] == ["train"]
    assert [v.id for v in val] == ["validation"]
    assert [v.id for v in split_videos(store.videos(), 0.5, ("tr*",), 0)[1]] == ["train"]


def test_one_video_cannot_be_split(views):
    with pytest.raises(UsageError, match="1 videos"):
        split_videos(views[:1], 0.1, (), 0)


def test_stores_without_labels_or_faces_name_the_command(tmp_path):
    unlabelled = face_store(tmp_path / "u.zarr", videos=1, frames=2, missing=(0, 1))
    with pytest.raises(LabelError):
        sample(unlabelled.videos(), FrameSampling())
    bare = Store.open_or_create(tmp_path / "b.zarr")
    bare.add_video("v", np.arange(3.0), source={}, stream={})
    with pytest.raises(StoreError) as caught:
        sample(bare.videos(), FrameSampling())
    assert "va align" in caught.value.hint


def test_unlabelled_frames_are_sampled_for_reconstruction(tmp_path):
    store = face_store(tmp_path / "u.zarr", videos=1, frames=4, labels=False)
    frames = sample(store.videos(), FrameSampling(labelled=False))
    assert frames.row.tolist() == [0, 1, 2]
    assert np.isnan(frames.target).all()


def test_images_in_memory_equal_those_of_the_store(views):
    frames = sample(views, FrameSampling())
    cached = in_memory(frames, lambda crops: crops[:, ::4, ::4, 0], 2, RecordingProgress())
    items = np.array([7, 0, 30])
    assert np.array_equal(cached(items), frames.crops(items)[:, ::4, ::4, 0])


def test_batches_arrive_in_order(views):
    frames = sample(views, FrameSampling())
    batches = [np.arange(s, s + 4) for s in range(0, 32, 4)]
    seen = list(prefetch_batches(Images(frames), batches))
    assert [items.tolist() for items, _ in seen] == [b.tolist() for b in batches]
    assert np.array_equal(seen[5][1], frames.crops(batches[5]))
