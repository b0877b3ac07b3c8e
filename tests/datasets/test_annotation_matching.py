"""Annotations are matched to the videos of a store by exact name and by folder."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest

from vacli.datasets.annotation_matching import RaterPattern, match
from vacli.datasets.annotations import Annotation
from vacli.errors import UsageError
from vacli.store import Store

TIMES = np.arange(4) / 25.0


@pytest.fixture
def store(tmp_path):
    return Store.open_or_create(tmp_path / "s.zarr")


def add(store: Store, *paths: str, person: str = "") -> list[str]:
    views = []
    for path in paths:
        source = {
            "name": path.split("/")[-1],
            "path": f"/data/videos/{path}",
            "sha256": path,
            "size_bytes": 0,
        }
        views.append(store.add_recording(source["name"], TIMES, source=source, stream={}, person=person))
    return [view.id for view in views]


def annotation(path: str, trial: str | None = None, **more) -> Annotation:
    file = Path("/labels") / path
    return Annotation(
        path=file, trial=trial or file.stem, split="", values=np.zeros((4, 2), np.float32), **more
    )


def matched(store: Store, *items: Annotation, pattern: str | None = None):
    """Video -> rater -> path of the annotation, the unmatched names, and the reasons of the refused."""
    made = match(store, items, Path("/labels"), RaterPattern.of(pattern))
    videos = {
        video: {rater: str(item.path.relative_to("/labels")) for rater, item in raters.items()}
        for video, raters in made.videos.items()
    }
    return videos, [item.trial for item, _ in made.unmatched], [str(r.error) for r in made.refused]


def test_names_with_one_safe_form_stay_apart(store):
    add(store, "clip 1.mp4")
    assert matched(store, annotation("clip_1.csv")) == ({}, ["clip_1"], [])
    assert matched(store, annotation("clip 1.csv"))[0] == {"clip_1": {"": "clip 1.csv"}}
    add(store, "clip_1.mp4")
    videos, *_ = matched(store, annotation("clip_1.csv"), annotation("clip 1.csv"))
    assert videos == {"clip_1": {"": "clip 1.csv"}, "clip_1-2": {"": "clip_1.csv"}}


@pytest.mark.parametrize("file", ["clip_1.csv", "Clip 1.csv"])
def test_reason_names_the_video_of_the_similar_name(store, file):
    add(store, "clip 1.mp4")
    ((_, reason),) = match(store, [annotation(file)], Path("/labels")).unmatched
    assert reason == "the store has no video of that name; clip 1.mp4 has another name"


def test_ids_are_no_names(store):
    assert add(store, "a/clip.mp4", "b/clip.mp4") == ["clip", "clip-2"]
    assert matched(store, annotation("clip-2.csv"))[1] == ["clip-2"]


def test_marks_distinguish_names(store):
    kiran, karan = add(store, "किरण.mp4", "कारण.mp4")
    videos, *_ = matched(store, annotation("कारण.csv"), annotation("किरण.csv"))
    assert videos == {kiran: {"": "किरण.csv"}, karan: {"": "कारण.csv"}}


@pytest.mark.parametrize(("video", "label"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_composed_and_decomposed_names_are_equal(store, video, label):
    (name,) = add(store, unicodedata.normalize(video, "été à Zürich") + ".mp4")
    file = unicodedata.normalize(label, "été à Zürich")
    assert matched(store, annotation(f"{file}.csv"))[0] == {name: {"": f"{file}.csv"}}


@pytest.mark.parametrize("name", ["clip", "clip.mp4", "clip.avi"])
def test_names_may_have_the_suffix_of_the_recording(store, name):
    add(store, "clip.mp4")
    assert matched(store, annotation(f"{name}.csv"))[0] == {"clip": {"": f"{name}.csv"}}
    cell = annotation("all.csv", name, folders=None)
    assert matched(store, cell)[0] == {"clip": {"": "all.csv"}}


def test_full_file_name_distinguishes_containers(store):
    add(store, "clip.mp4", "clip.avi")
    assert matched(store, annotation("clip.avi.csv"))[0] == {"clip-2": {"": "clip.avi.csv"}}
    _, _, refused = matched(store, annotation("clip.csv"))
    assert refused == ["2 videos are called clip (/data/videos/clip.mp4, /data/videos/clip.avi)"]


@pytest.mark.parametrize("inner", ["", "Train_Set/"])
def test_folders_distinguish_videos_of_one_name(store, inner):
    add(store, "a/clip.mp4", "b/clip.mp4", "c/other.mp4")
    labels = [annotation(f"{folder}/{inner}clip.csv") for folder in "ba"]
    videos, *_ = matched(store, *labels, annotation("x/other.csv"))
    assert videos == {
        "clip": {"": f"a/{inner}clip.csv"},
        "clip-2": {"": f"b/{inner}clip.csv"},
        "other": {"": "x/other.csv"},
    }


def test_folders_of_a_video_column(store):
    add(store, "a/clip.mp4", "b/clip.mp4")
    videos, *_ = matched(store, annotation("all.csv", "clip.mp4", folders=("videos", "b")))
    assert videos == {"clip-2": {"": "all.csv"}}


def test_table_of_an_absent_folder_is_not_used(store):
    add(store, "b/clip.mp4")
    videos, unmatched, refused = matched(store, annotation("a/clip.csv"), annotation("b/clip.csv"))
    assert (videos, unmatched, refused) == ({"clip": {"": "b/clip.csv"}}, ["clip"], [])


@pytest.mark.parametrize("others", [("clip.csv", "clip.txt"), ("old/clip.csv", "new/clip.csv")])
def test_two_tables_of_one_video_are_refused_by_name(store, others):
    add(store, "clip.mp4")
    videos, _, refused = matched(store, *map(annotation, others))
    assert not videos
    assert refused == [f"/labels/{others[1]} and /labels/{others[0]} annotate the same trial"]


def test_two_people_of_one_video(store):
    add(store, "duo.mp4", person="_left")
    add(store, "duo.mp4", person="_right")
    videos, unmatched, _ = matched(store, annotation("duo_left.csv"), annotation("duo.csv"))
    assert (videos, unmatched) == ({"duo_left": {"": "duo_left.csv"}}, ["duo"])


@pytest.mark.parametrize(
    "files",
    [
        ("rater1/clip.csv", "rater2/clip.csv"),
        ("x/Rater_1/clip.csv", "x/Rater_2/clip.csv"),
        ("raters/1/clip.csv", "raters/2/clip.csv"),
        ("clip_rater1.csv", "clip_rater2.csv"),
        ("clip-annotator-1.csv", "clip-annotator-2.csv"),
        ("clip.coder1.csv", "clip.coder2.csv"),
    ],
)
def test_files_of_several_raters(store, files):
    add(store, "clip.mp4")
    assert matched(store, *map(annotation, files))[0] == {"clip": {"1": files[0], "2": files[1]}}


def test_folder_of_raters_and_words_after_coder_are_no_raters(store):
    add(store, "clip.mp4")
    assert matched(store, annotation("raters/clip.csv"))[0] == {"clip": {"": "raters/clip.csv"}}
    assert matched(store, annotation("clip_coder_talk.csv"))[1] == ["clip_coder_talk"]


def test_video_whose_name_looks_like_a_rater(store):
    add(store, "clip_rater1.mp4", "clip.mp4")
    assert matched(store, annotation("clip_rater1.csv"))[0] == {"clip_rater1": {"": "clip_rater1.csv"}}


@pytest.mark.parametrize(
    ("pattern", "files"),
    [
        (r"(anna|ben)/", ("anna/clip.csv", "ben/clip.csv")),
        (r"_(anna|ben)$", ("clip_anna.csv", "clip_ben.csv")),
        (r"^(\w+)/", ("anna/clip.csv", "ben/clip.csv")),
        (r"^\w+(?=/)", ("anna/clip.csv", "ben/clip.csv")),
    ],
)
def test_pattern_of_raters(store, pattern, files):
    add(store, "clip.mp4")
    videos, *_ = matched(store, *map(annotation, files), pattern=pattern)
    assert videos == {"clip": {"anna": files[0], "ben": files[1]}}


def test_invalid_pattern_is_a_usage_error():
    with pytest.raises(UsageError, match="--rater-pattern"):
        RaterPattern.of("(")
