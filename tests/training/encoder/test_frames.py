from __future__ import annotations

import numpy as np
import pytest
from synth.face_stores import face_store

from vacli.errors import LabelError, StoreError, UsageError
from vacli.progress import Quiet
from vacli.store import Store
from vacli.training.encoder.frames import Images, Sampling, ahead, in_memory, sample, split_videos


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    return face_store(tmp_path_factory.mktemp("faces") / "s.zarr", videos=4, frames=9).videos()


def test_frames_have_a_face_and_their_own_label(views):
    frames = sample(views, Sampling())
    assert len(frames) == 4 * 8
    assert 3 not in frames.row
    label = np.stack([views[2].read("label/valence"), views[2].read("label/arousal")], 1)
    assert np.array_equal(frames.target[frames.video == 2], label[frames.row[frames.video == 2]])


def test_crops_come_in_the_order_asked_for(views):
    frames = sample(views, Sampling())
    items = np.array([20, 3, 31, 4])
    crops = frames.crops(items)
    for crop, item in zip(crops, items, strict=True):
        assert np.array_equal(crop, views[frames.video[item]].crop(int(frames.row[item])))


def test_every_and_most_thin_evenly(views):
    assert sample(views[:1], Sampling(every=2)).row.tolist() == [0, 2, 4, 6, 8]
    assert sample(views[:1], Sampling(most=3)).row.tolist() == [0, 5, 8]


def test_no_video_is_on_both_sides(views):
    train, held = split_videos(views, 0.25, (), 0)
    assert len(held) == 1
    assert {v.id for v in train} | {v.id for v in held} == {v.id for v in views}
    assert not {v.id for v in train} & {v.id for v in held}
    assert [v.id for v in split_videos(views, 0.25, (), 0)[1]] == [v.id for v in held]


def test_two_people_of_one_source_stay_together(tmp_path):
    store = Store.open_or_create(tmp_path / "s.zarr")
    for name, sha in (("a_left", "x"), ("a_right", "x"), ("b", "y")):
        store.add_video(name, np.arange(3.0), source={"sha256": sha}, stream={})
    for seed in range(6):
        _, held = split_videos(store.videos(), 0.5, (), seed)
        assert {v.id for v in held} in ({"a_left", "a_right"}, {"b"})


def test_patterns_and_the_labels_own_split_come_first(tmp_path):
    store = Store.open_or_create(tmp_path / "s.zarr")
    for name in ("train", "validation", "test"):
        store.add_video(name, np.arange(3.0), source={"sha256": "one"}, stream={})
        with store.stage(name, "label", {"split": name}) as writer:
            writer.append("valence", np.zeros(3, np.float32))
    train, held = split_videos(store.videos(), 0.5, (), 0)
    assert [v.id for v in train] == ["train"]
    assert [v.id for v in held] == ["validation"]
    assert [v.id for v in split_videos(store.videos(), 0.5, ("tr*",), 0)[1]] == ["train"]


def test_one_video_cannot_be_split(views):
    with pytest.raises(UsageError, match="1 videos"):
        split_videos(views[:1], 0.1, (), 0)


def test_without_labels_or_faces_the_command_is_named(tmp_path):
    unlabelled = face_store(tmp_path / "u.zarr", videos=1, frames=2, missing=(0, 1))
    with pytest.raises(LabelError):
        sample(unlabelled.videos(), Sampling())
    bare = Store.open_or_create(tmp_path / "b.zarr")
    bare.add_video("v", np.arange(3.0), source={}, stream={})
    with pytest.raises(StoreError) as caught:
        sample(bare.videos(), Sampling())
    assert "va align" in caught.value.hint


def test_unlabelled_frames_serve_where_no_label_is_needed(tmp_path):
    store = face_store(tmp_path / "u.zarr", videos=1, frames=4, labels=False)
    frames = sample(store.videos(), Sampling(labelled=False))
    assert frames.row.tolist() == [0, 1, 2]
    assert np.isnan(frames.target).all()


def test_memory_holds_what_the_store_gives(views):
    frames = sample(views, Sampling())
    cached = in_memory(frames, lambda crops: crops[:, ::4, ::4, 0], 2, Quiet())
    items = np.array([7, 0, 30])
    assert np.array_equal(cached(items), frames.crops(items)[:, ::4, ::4, 0])


def test_batches_arrive_in_order(views):
    frames = sample(views, Sampling())
    batches = [np.arange(s, s + 4) for s in range(0, 32, 4)]
    seen = list(ahead(Images(frames), batches))
    assert [items.tolist() for items, _ in seen] == [b.tolist() for b in batches]
    assert np.array_equal(seen[5][1], frames.crops(batches[5]))
