"""Selected frames are labelled for their part, restricted by a list, and recorded."""

from __future__ import annotations

import numpy as np
import pytest
from synth.face_stores import face_store

from vacli.datasets.annotations import ANNOTATED, INTERPOLATED
from vacli.datasets.frame_list import read_frame_list
from vacli.datasets.subjects import from_pattern
from vacli.errors import LabelError, UsageError
from vacli.store import Store
from vacli.training.encoder.frames import FrameSampling
from vacli.training.encoder.selection import FrameSelection, select_frames
from vacli.training.encoder.splits import EncoderSplitRequest


@pytest.fixture
def store(tmp_path):
    return face_store(tmp_path / "s.zarr", videos=3, frames=9)


def selection(**changes):
    return FrameSelection(
        sampling=FrameSampling(), split=EncoderSplitRequest(validation=("clip2",)), **changes
    )


def test_filled_labels_are_trained_on_and_not_validated_on(store):
    for name in ("clip0", "clip2"):
        labels = store.video(name).labels()
        source = np.full(9, ANNOTATED, np.uint8)
        source[5] = INTERPOLATED
        with store.stage(name, "label", {"refine": "fill"}) as writer:
            writer.append("valence", labels[:, 0])
            writer.append("arousal", labels[:, 1])
            writer.append("source", source)
    made = select_frames(store.videos(), selection())
    assert 5 in made.train.row[made.train.video == 0]
    assert made.val.row.tolist() == [0, 1, 2, 4, 6, 7, 8]


def test_the_record_has_the_rows_and_the_subject_of_each_video(store):
    made = select_frames(store.videos(), selection(subjects=from_pattern(r"\d$")))
    assert [(u.video, u.sha256, u.subject) for u in made.record.train] == [
        ("clip0", "clip0", "0"),
        ("clip1", "clip1", "1"),
    ]
    assert made.record.train[0].rows.tolist() == [0, 1, 2, 4, 5, 6, 7, 8]
    assert [u.video for u in made.record.validation] == ["clip2"]


def test_subjects_on_both_sides_of_a_given_split_are_named(store):
    made = select_frames(store.videos(), selection(subjects=from_pattern("clip")))
    assert made.warning == "1 subjects are in both the training and the validation videos (clip)"
    assert not select_frames(store.videos(), selection(subjects=from_pattern(".*"))).warning


def test_a_frame_list_restricts_the_training_frames(store, tmp_path):
    path = tmp_path / "frames.csv"
    path.write_text("video,frame\nclip0.mp4,4\nclip0.mp4,0\n")
    made = select_frames(store.videos(), selection(listed=read_frame_list(path)))
    assert (made.train.video.tolist(), made.train.row.tolist()) == ([0, 0], [0, 4])
    assert len(made.val) == 8


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("video,frame\nother,1\n", UsageError, "no usable video is called other"),
        ("video,frame\nclip0,9\n", UsageError, "clip0 has no frame 9"),
        ("video,frame\nclip0,x\n", LabelError, "frames.csv:2: no video with a frame number"),
        ("video,frame\n", LabelError, "lists no frame"),
        ("clip,row\nclip0,1\n", LabelError, "frames.csv:2"),
    ],
)
def test_unusable_frame_lists_are_refused(store, tmp_path, text, error, message):
    path = tmp_path / "frames.csv"
    path.write_text(text)
    with pytest.raises(error, match=message):
        select_frames(store.videos(), selection(listed=read_frame_list(path)))


@pytest.fixture
def two_days(tmp_path):
    """Two stores whose videos have the same ids and other people, files and splits."""
    made = []
    for day, people in (("day1", "ABC"), ("day2", "DEF")):
        store = Store.open_or_create(tmp_path / f"{day}.zarr")
        for number, person in enumerate(people):
            name = f"clip{number}"
            store.add_video(name, np.arange(4) / 25, source={"sha256": person}, stream={})
            with store.stage(name, "face", {}) as writer:
                writer.append_images("crop", [b"image"] * 4)
            with store.stage(name, "label", {"subject": person}) as writer:
                writer.append("valence", np.full(4, number, np.float32))
                writer.append("arousal", np.zeros(4, np.float32))
        made.append(store)
    return made


def people_of(used):
    return [(u.sha256, u.subject) for u in used]


def test_an_excluded_person_is_left_out_where_another_store_has_the_same_ids(two_days):
    request = EncoderSplitRequest(validation=("clip2",), exclude_subjects=("A",))
    views = [view for store in two_days for view in store.videos()]
    made = select_frames(views, FrameSelection(sampling=FrameSampling(), split=request))
    assert people_of(made.record.train) == [("B", "B"), ("D", "D"), ("E", "E")]
    assert people_of(made.record.validation) == [("C", "C"), ("F", "F")]


def test_people_are_held_out_where_another_store_has_the_same_ids(two_days):
    views = [view for store in two_days for view in store.videos()]
    for seed in range(4):
        request = EncoderSplitRequest(share=0.34, seed=seed)
        made = select_frames(views, FrameSelection(sampling=FrameSampling(), split=request))
        parts = (made.record.train, made.record.validation)
        train, validation = ({u.subject for u in part} for part in parts)
        assert (len(train), len(validation)) == (4, 2)
        assert all(u.subject == u.sha256 for part in parts for u in part)
        assert not train & validation


def test_the_split_of_the_labels_is_that_of_the_store_where_another_has_the_same_ids(two_days):
    for store, splits in zip(two_days, ("train validation test", "validation train train"), strict=True):
        for video, split in zip(store.videos(), splits.split(), strict=True):
            attributes = dict(video.part_attrs("label"), split=split)
            with store.stage(video.id, "label", attributes) as writer:
                writer.append("valence", np.zeros(4, np.float32))
                writer.append("arousal", np.zeros(4, np.float32))
    views = [view for store in two_days for view in store.videos()]
    made = select_frames(views, FrameSelection(sampling=FrameSampling(), split=EncoderSplitRequest()))
    assert people_of(made.record.train) == [("A", "A"), ("E", "E"), ("F", "F")]
    assert people_of(made.record.validation) == [("B", "B"), ("D", "D")]


def test_a_frame_list_may_not_name_an_id_of_two_stores(two_days):
    views = [view for store in two_days for view in store.videos()]
    with pytest.raises(UsageError, match=r"2 stores have a video clip0 \(.*day1.zarr, .*day2.zarr\)"):
        select_frames(views, selection(listed={"clip0": np.array([1])}))
    with pytest.raises(UsageError, match="2 stores have a video clip0"):
        select_frames(views, selection(listed={"clip0.mp4": np.array([1])}))


def test_rows_of_an_id_and_of_its_file_name_are_both_used(store):
    made = select_frames(
        store.videos(), selection(listed={"clip0": np.array([4]), "clip0.mp4": np.array([0])})
    )
    assert made.train.row.tolist() == [0, 4]
