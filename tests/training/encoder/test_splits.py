"""Training and validation videos of an encoder share no subject and no recording."""

from __future__ import annotations

import numpy as np
import pytest

from vacli.errors import UsageError
from vacli.sequences.grouping import VideoIdentity, group_videos, identity_among_stores
from vacli.store import Store
from vacli.training.encoder.splits import EncoderSplitRequest, split_videos


def views(folder, videos):
    """Videos without frames; videos: id -> (sha256, split of the labels or None)."""
    store = Store.open_or_create(folder / "s.zarr")
    for name, (sha256, split) in videos.items():
        store.add_video(name, np.arange(3.0), source={"sha256": sha256}, stream={})
        if split is not None:
            with store.stage(name, "label", {"split": split}) as writer:
                writer.append("valence", np.zeros(3, np.float32))
    return store.videos()


def split(videos, grouping=None, **request):
    made = split_videos(
        videos, grouping or group_videos(map(identity_among_stores, videos)), EncoderSplitRequest(**request)
    )
    return {v.id for v in made.train}, {v.id for v in made.validation}


def test_no_video_is_in_both_parts(tmp_path):
    videos = views(tmp_path, {name: (name, None) for name in "abcd"})
    train, validation = split(videos, share=0.25)
    assert (len(validation), train | validation) == (1, set("abcd"))
    assert not train & validation
    assert split(videos, share=0.25) == (train, validation)


def test_entries_of_one_source_stay_together(tmp_path):
    videos = views(tmp_path, {"a_left": ("x", None), "a_right": ("x", None), "b": ("y", None)})
    for seed in range(6):
        assert split(videos, share=0.5, seed=seed)[1] in ({"a_left", "a_right"}, {"b"})


def test_two_sessions_of_one_subject_stay_together(tmp_path):
    names = [f"{person}{session}" for person in "abc" for session in (1, 2)]
    videos = views(tmp_path, {name: (name, None) for name in names})
    grouping = group_videos(VideoIdentity(v.id, v.id, v.id[0], str(v.path.parent)) for v in videos)
    for seed in range(6):
        train, validation = split(videos, grouping, share=0.3, seed=seed)
        assert len(validation) == 2
        assert not {v[0] for v in train} & {v[0] for v in validation}


def test_patterns_precede_the_split_of_the_labels(tmp_path):
    videos = views(tmp_path, {name: (name, name) for name in ("train", "validation", "test")})
    assert split(videos) == ({"train"}, {"validation"})
    assert split(videos, validation=("tr*",)) == ({"validation"}, {"train"})


def test_excluded_videos_and_subjects_are_in_neither_part(tmp_path):
    videos = views(tmp_path, {name: (name, None) for name in ("a1", "a2", "b1", "c1", "d1")})
    grouping = group_videos(VideoIdentity(v.id, v.id, v.id[0], str(v.path.parent)) for v in videos)
    train, validation = split(videos, grouping, exclude=("b*",), exclude_subjects=("a",), share=0.5)
    assert train | validation == {"c1", "d1"}
    with pytest.raises(UsageError, match="--exclude-subject z"):
        split(videos, grouping, exclude_subjects=("z",))


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"exclude": ("a*", "z*")}, r"--exclude z\*: no video matches"),
        ({"validation": ("z*",)}, r"--validation z\*: no video matches"),
        ({"validation": ("*",)}, r"--validation \*: all videos match"),
    ],
)
def test_patterns_that_select_nothing_are_refused(tmp_path, request_, message):
    videos = views(tmp_path, {name: (name, None) for name in ("a", "b")})
    with pytest.raises(UsageError, match=message):
        split(videos, **request_)


def test_one_video_cannot_be_split(tmp_path):
    with pytest.raises(UsageError, match="1 videos"):
        split(views(tmp_path, {"a": ("a", None)}))


def test_an_excluded_subject_is_found_composed_or_decomposed(tmp_path):
    videos = views(tmp_path, {name: (name, None) for name in "abc"})
    people = {"a": "Jos\u00e9", "b": "p", "c": "q"}
    grouping = group_videos(VideoIdentity(v.id, v.id, people[v.id], str(v.path.parent)) for v in videos)
    train, validation = split(videos, grouping, exclude_subjects=("Jose\u0301",), share=0.5)
    assert train | validation == {"b", "c"}
