"""The submission file: what the list asks for, in its order."""

from __future__ import annotations

import numpy as np
import pytest

from vacli.errors import LabelError
from vacli.evaluation.submission import check, locations, write

HEADER = "image_location,valence,arousal"


@pytest.fixture
def trajectories():
    return {"b_left": np.float32([[0.1, 0.2], [1.5, -1.5]]), "a": np.float32([[0.25, 0.5]])}


def lines(path, *rows):
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path


def test_without_sample_all_frames_are_written_by_name(tmp_path, trajectories):
    out = tmp_path / "p.txt"
    assert write(out, trajectories).lines == 3
    assert out.read_text().splitlines() == [
        HEADER,
        "a/00001.jpg,0.250000,0.500000",
        "b_left/00001.jpg,0.100000,0.200000",
        "b_left/00002.jpg,1.000000,-1.000000",
    ]


def test_sample_determines_frames_and_order(tmp_path, trajectories):
    sample = lines(
        tmp_path / "s.txt", "b_left/00002.jpg,,", "b_left/00003.jpg,,", "a/00001.jpg,,", "b_left/00001.jpg,,"
    )
    out = tmp_path / "p.txt"
    written = write(out, trajectories, sample)
    assert written.repeated == {"b_left": 1}
    assert [line.split(",")[0] for line in out.read_text().splitlines()[1:]] == [
        "b_left/00002.jpg",
        "b_left/00003.jpg",
        "a/00001.jpg",
        "b_left/00001.jpg",
    ]
    assert out.read_text().splitlines()[2].endswith("1.000000,-1.000000")
    assert check(out, sample) == 4


def test_missing_trial_and_missing_value_are_named(tmp_path, trajectories):
    sample = lines(tmp_path / "s.txt", "c/00001.jpg,,")
    with pytest.raises(LabelError, match=r"trials without a prediction: 1 \(c\)"):
        write(tmp_path / "p.txt", trajectories, sample)
    trajectories["a"][0] = np.nan
    with pytest.raises(LabelError, match=r"no prediction for a/00001\.jpg$") as caught:
        write(tmp_path / "p.txt", trajectories)
    assert "va predict --fill" in caught.value.one_line()
    assert not (tmp_path / "p.txt").exists()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["a/00002.jpg,0,0", "a/00001.jpg,0,0"], r"p\.txt:2: a/00002\.jpg where .* has a/00001\.jpg"),
        (["a/00001.jpg,0,0"], r"p\.txt:3: ends before a/00002\.jpg"),
        (["a/00001.jpg,0,0", "a/00002.jpg,0,0", "a/00003.jpg,0,0"], r"p\.txt:4: a/00003\.jpg comes after"),
        (["a/00001.jpg,0,0", "a/00002.jpg,0,1.01"], r"p\.txt:3: 1\.01 is outside"),
        (["a/00001.jpg,0,nan", "a/00002.jpg,0,0"], r"p\.txt:2: nan is outside"),
        (["a/00001.jpg,x,0", "a/00002.jpg,0,0"], r"p\.txt:2: 'x' is not a number"),
    ],
)
def test_check_names_the_first_difference(tmp_path, rows, message):
    sample = lines(tmp_path / "s.txt", "a/00001.jpg,,", "a/00002.jpg,,")
    with pytest.raises(LabelError, match=message):
        check(lines(tmp_path / "p.txt", *rows), sample)


def test_repeated_location_is_named(tmp_path):
    sample = lines(tmp_path / "s.txt", "a/00001.jpg,,", "a/00001.jpg,,")
    with pytest.raises(LabelError, match=r"s\.txt:3: a/00001\.jpg is listed twice"):
        list(locations(sample))


def test_wrong_header_and_location_are_named(tmp_path):
    sample = lines(tmp_path / "s.txt", "a/00000.jpg,,")
    with pytest.raises(LabelError, match=r"s\.txt:2: 'a/00000\.jpg' is not TRIAL"):
        check(lines(tmp_path / "p.txt", "a/00000.jpg,0,0"), sample)
    (tmp_path / "q.txt").write_text("image,valence,arousal\n")
    with pytest.raises(LabelError, match=r"q\.txt:1: header 'image,valence,arousal'"):
        check(tmp_path / "q.txt", sample)
