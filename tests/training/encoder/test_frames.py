from __future__ import annotations

import numpy as np
import pytest
from synth.face_stores import face_store

from vacli.errors import LabelError, StoreError
from vacli.progress import RecordingProgress
from vacli.store import Store
from vacli.training.encoder.frames import (
    FrameSampling,
    FrameSource,
    Images,
    in_memory,
    prefetch_batches,
    sample,
)


def sources(views):
    """The videos with their labels."""
    return [FrameSource(v, v.labels() if v.has("label") else None) for v in views]


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    return face_store(tmp_path_factory.mktemp("faces") / "s.zarr", videos=4, frames=9).videos()


def test_frames_have_a_face_and_their_label(views):
    frames = sample(sources(views), FrameSampling())
    assert len(frames) == 4 * 8
    assert 3 not in frames.row
    assert np.array_equal(frames.target[frames.video == 2], views[2].labels()[frames.row[frames.video == 2]])


def test_crops_are_in_the_requested_order(views):
    frames = sample(sources(views), FrameSampling())
    items = np.array([20, 3, 31, 4])
    crops = frames.crops(items)
    for crop, item in zip(crops, items, strict=True):
        assert np.array_equal(crop, views[frames.video[item]].crop(int(frames.row[item])))


def test_stride_and_maximum_sample_evenly(views):
    assert sample(sources(views[:1]), FrameSampling(stride=2)).row.tolist() == [0, 2, 5, 7]  # 3 has no face
    assert sample(sources(views[:1]), FrameSampling(max_per_video=3)).row.tolist() == [0, 5, 8]


def test_given_rows_restrict_the_frames(views):
    source = FrameSource(views[0], views[0].labels(), np.array([2, 3, 6]))
    assert sample([source], FrameSampling()).row.tolist() == [2, 6]  # frame 3 has no face


def test_stores_without_labels_or_faces_name_the_command(tmp_path):
    unlabelled = face_store(tmp_path / "u.zarr", videos=1, frames=2, missing=(0, 1))
    with pytest.raises(LabelError):
        sample(sources(unlabelled.videos()), FrameSampling())
    bare = Store.open_or_create(tmp_path / "b.zarr")
    bare.add_video("v", np.arange(3.0), source={}, stream={})
    with pytest.raises(StoreError) as caught:
        sample(sources(bare.videos()), FrameSampling())
    assert "va align" in caught.value.hint


def test_unlabelled_frames_are_sampled_for_reconstruction(tmp_path):
    store = face_store(tmp_path / "u.zarr", videos=1, frames=4, labels=False)
    frames = sample(sources(store.videos()), FrameSampling(labelled=False))
    assert frames.row.tolist() == [0, 1, 2]
    assert np.isnan(frames.target).all()


def test_images_in_memory_equal_those_of_the_store(views):
    frames = sample(sources(views), FrameSampling())
    cached = in_memory(frames, lambda crops: crops[:, ::4, ::4, 0], 2, RecordingProgress())
    items = np.array([7, 0, 30])
    assert np.array_equal(cached(items), frames.crops(items)[:, ::4, ::4, 0])


def test_batches_arrive_in_order(views):
    frames = sample(sources(views), FrameSampling())
    batches = [np.arange(s, s + 4) for s in range(0, 32, 4)]
    seen = list(prefetch_batches(Images(frames), batches))
    assert [items.tolist() for items, _ in seen] == [b.tolist() for b in batches]
    assert np.array_equal(seen[5][1], frames.crops(batches[5]))


def test_a_stride_counts_the_labelled_frames(views):
    labels = np.full((9, 2), np.nan, np.float32)
    labels[1::2] = 0.5  # every second frame is annotated, frame 3 has no face
    assert sample([FrameSource(views[0], labels)], FrameSampling(stride=2)).row.tolist() == [1, 7]


def test_the_digest_depends_on_videos_rows_and_targets(views):
    plain = sample(sources(views[:2]), FrameSampling())
    assert plain.digest() == sample(sources(views[:2]), FrameSampling()).digest()
    others = [
        sample(sources(views[1::-1]), FrameSampling()),
        sample(sources(views[:2]), FrameSampling(stride=2)),
        sample([FrameSource(view, -view.labels()) for view in views[:2]], FrameSampling()),
    ]
    assert len({plain.digest(), *(one.digest() for one in others)}) == 4


def test_the_digest_depends_on_the_source_and_on_the_faces(tmp_path):
    made = []
    for name, sha256, size in (("a", "1", 4), ("same", "1", 4), ("source", "2", 4), ("faces", "1", 5)):
        store = Store.open_or_create(tmp_path / f"{name}.zarr")
        store.add_video("v", np.arange(3.0), source={"sha256": sha256}, stream={})
        with store.stage("v", "face", {}) as writer:
            writer.append_images("crop", [b"x" * size] * 3)
        made.append(sample([FrameSource(store.video("v"))], FrameSampling(labelled=False)).digest())
    assert made[0] == made[1]
    assert len(set(made)) == 3
