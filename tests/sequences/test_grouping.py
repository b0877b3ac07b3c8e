"""Videos of one person, one recording and one file are in one group."""

from __future__ import annotations

import pytest

from vacli.datasets.subjects import from_pattern
from vacli.errors import UsageError
from vacli.sequences.grouping import VideoIdentity, group_videos, identity
from vacli.store import Store


def same(grouping, *videos):
    return len({grouping.groups[v] for v in videos}) == 1


def test_two_sessions_of_one_subject_are_one_group():
    people = [VideoIdentity(f"{p}_session{s}", f"{p}{s}", p) for p in ("ann", "bob") for s in (1, 2)]
    grouping = group_videos(people)
    assert grouping.basis == "subject"
    assert set(grouping.groups.values()) == {"ann", "bob"}
    assert same(grouping, "ann_session1", "ann_session2")
    assert grouping.subjects["bob_session2"] == "bob"


def test_without_subjects_sides_of_a_recording_and_entries_of_a_file_are_one_group():
    videos = [
        VideoIdentity("a_left", "1"),
        VideoIdentity("a_right", "2"),
        VideoIdentity("b", "3"),
        VideoIdentity("copy", "3"),
        VideoIdentity("c"),
        VideoIdentity("d"),
    ]
    grouping = group_videos(videos)
    assert (grouping.basis, dict(grouping.subjects)) == ("video", {})
    assert same(grouping, "a_left", "a_right")
    assert same(grouping, "b", "copy")
    assert len(set(grouping.groups.values())) == 4


def test_two_subjects_in_one_file_are_one_group():
    grouping = group_videos([VideoIdentity("x", "1", "p"), VideoIdentity("y", "1", "q")])
    assert same(grouping, "x", "y")


@pytest.mark.parametrize("known", [1, 2])
def test_videos_without_a_subject_are_counted(known):
    videos = [VideoIdentity(f"v{i}", subject="p" if i < known else "") for i in range(3)]
    with pytest.raises(UsageError, match=f"{3 - known} of 3 videos have no subject") as caught:
        group_videos(videos)
    assert "--subjects" in caught.value.hint


def test_subjects_that_match_no_video_are_refused():
    with pytest.raises(UsageError, match="2 of 2 videos have no subject"):
        group_videos([VideoIdentity("a"), VideoIdentity("b")], by_subject=True)


def test_given_subjects_replace_those_of_the_labels(tmp_path):
    store = Store.open_or_create(tmp_path / "s.zarr")
    view = store.add_video("p7_two", [0.0, 0.1], source={"sha256": "f"}, stream={})
    with store.stage("p7_two", "label", {"subject": "old"}) as writer:
        writer.append("valence", [0.0, 0.0])
        writer.append("arousal", [0.0, 0.0])
    assert identity(view) == VideoIdentity("p7_two", "f", "old")
    assert identity(view, from_pattern(r"^p\d+")) == VideoIdentity("p7_two", "f", "p7")


def test_shared_subjects_are_those_on_both_sides():
    grouping = group_videos([VideoIdentity(v, v, s) for v, s in (("a", "p"), ("b", "q"), ("c", "p"))])
    assert grouping.shared_subjects(["a", "b"], ["c"]) == ["p"]
    assert grouping.shared_subjects(["a", "c"], ["b"]) == []


def test_videos_of_one_id_in_two_stores_keep_their_subjects():
    videos = [VideoIdentity("clip", s, s, store) for s, store in (("ann", "a.zarr"), ("bob", "b.zarr"))]
    grouping = group_videos(videos)
    assert dict(grouping.subjects) == {"a.zarr/clip": "ann", "b.zarr/clip": "bob"}
    assert dict(grouping.groups) == {"a.zarr/clip": "ann", "b.zarr/clip": "bob"}


@pytest.mark.parametrize(("sha256", "groups"), [(("1", "2"), 2), (("1", "1"), 1), (("1", ""), 1)])
def test_recordings_of_one_name_in_two_stores_are_two_if_their_files_are_known_to_differ(sha256, groups):
    videos = [VideoIdentity("clip", s, store=f"{n}.zarr") for n, s in enumerate(sha256)]
    assert len(set(group_videos(videos).groups.values())) == groups


def test_composed_and_decomposed_names_in_stored_labels_are_one_person(tmp_path):
    store = Store.open_or_create(tmp_path / "s.zarr")
    for video, subject in (("a", "Jos\u00e9"), ("b", "Jose\u0301")):
        store.add_video(video, [0.0, 0.1], source={"sha256": video}, stream={})
        with store.stage(video, "label", {"subject": subject}) as writer:
            writer.append("valence", [0.0, 0.0])
    assert same(group_videos(map(identity, store.videos())), "a", "b")
