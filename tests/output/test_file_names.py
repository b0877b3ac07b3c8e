"""Names of output files: safe, unique, and the same in any order of the inputs."""

from __future__ import annotations

import itertools
import re
from pathlib import PurePath

import pytest
from synth.frame_tables import HOSTILE_NAMES

from vacli.output.file_names import InputName, output_names


def names_of(paths, reserved=()) -> list[str]:
    split = [PurePath(path) for path in paths]
    inputs = [InputName(str(p), p.stem, p.suffix.lstrip("."), p.parent.name) for p in split]
    return output_names(inputs, reserved)


def test_a_name_is_the_stem_of_the_file():
    assert names_of(["videos/clip.mp4", "b.b.wav", "crops"]) == ["clip", "b.b", "crops"]


@pytest.mark.parametrize(
    ("inputs", "names"),
    [
        (["x.mp4", "x.avi"], ["x_mp4", "x_avi"]),
        (["a/x.mp4", "b/x.mp4"], ["a_x", "b_x"]),
        (["a/x.mp4", "a/x.avi", "b/x.mp4"], ["a_x", "x_avi", "b_x"]),
        (["a/x.mp4", "b/x.mp4", "c/a_x.mp4"], None),
        (["Clip.mp4", "clip.mp4"], None),
        (["caf\u00e9.mp4", "cafe\u0301.mp4"], None),
        (["p/a/x.mp4", "q/a/x.mp4"], None),
        (["x?.mp4", "x*.mp4", "x_.mp4"], None),
    ],
)
def test_equal_stems_get_different_names_in_any_order(inputs, names):
    made = dict(zip(inputs, names_of(inputs), strict=True))
    if names is not None:
        assert [made[text] for text in inputs] == names
    assert len({name.casefold() for name in made.values()}) == len(inputs)
    for order in itertools.permutations(inputs):
        assert dict(zip(order, names_of(order), strict=True)) == made


def test_reserved_names_are_not_given():
    reserved = ("index", "_curves")
    made = names_of(["index.mp4", "INDEX.avi", "clip_curves.mp4"], reserved)
    assert made == ["index_mp4", "INDEX_avi", "clip_curves_mp4"]


@pytest.mark.parametrize(
    "text", [*HOSTILE_NAMES, "../x/..", "-rf.mp4", ".hidden.mp4", "con.mp4", "x. .mp4", " "]
)
def test_names_are_safe(text):
    (name,) = names_of([text])
    assert re.fullmatch(r"[\w(][\w .()+,@=&'-]*", name)
    assert not name.endswith((" ", "."))
    assert name.encode()  # it is Unicode
    assert name.lower() != "con"


def test_long_names_are_cut_and_stay_different():
    names = names_of([f"{'日' * 100}{end}.mp4" for end in "ab"])
    assert len(set(names)) == 2
    assert all(len(name.encode()) <= 150 for name in names)
