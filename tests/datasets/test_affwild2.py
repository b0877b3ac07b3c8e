"""Every edition's folders and formats, and what is wrong in them by file and line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from synth.affwild2 import EDITIONS, World, make, write_annotations

from vacli.datasets.affwild2 import ACTION_UNITS, EXPRESSION, LabelFile, find, read
from vacli.datasets.annotations import Annotation
from vacli.errors import LabelError


@pytest.fixture(scope="module")
def trials():
    return make(World(videos=6, frames=60))


def text(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("edition", EDITIONS)
@pytest.mark.parametrize("above", ["", "6th ABAW Annotations"])
def test_all_editions(tmp_path, trials, edition, above):
    write_annotations(tmp_path / above, trials, edition)
    files, hidden = find(tmp_path)
    assert len(files) == 3 * len(trials)
    assert len(hidden) == 6
    made = [read(file) for file in files]
    va = {a.trial: a for a in made if isinstance(a, Annotation)}
    expression = {d.trial: d for d in made if not isinstance(d, Annotation) and d.kind == EXPRESSION}
    units = {d.trial: d for d in made if not isinstance(d, Annotation) and d.kind == ACTION_UNITS}
    for trial in trials:
        assert va[trial.name].split == trial.split
        np.testing.assert_allclose(va[trial.name].values, trial.labels, atol=5.1e-4)
        np.testing.assert_array_equal(expression[trial.name].values[:, 0], trial.expression)
        assert units[trial.name].values.shape == (len(trial.labels), 12)


@pytest.mark.parametrize(
    ("given", "split"),
    [
        ("VA_Set/Training_Set", "train"),
        ("VA_Estimation_Challenge/Validation_Set", "validation"),
        ("VA_Estimation_Challenge/train", "train"),
        ("training notes/VA_Set", ""),
    ],
)
def test_split_is_read_from_the_given_folder_too(tmp_path, given, split):
    text(tmp_path / given / "a.txt", "valence,arousal", "0,0")
    assert find(tmp_path / given)[0][0].split == split


def test_trial_names_may_contain_dots(tmp_path):
    text(tmp_path / "1.2-60-1920x1080-3.txt", "valence,arousal", "0,0")
    assert read(find(tmp_path)[0][0]).trial == "1.2-60-1920x1080-3"


def test_sentinels_become_nan(tmp_path):
    path = text(tmp_path / "a.txt", "valence,arousal", "0.5,-0.25", "-5,-5", "-5.0,0.1", "1,-1")
    values = read(LabelFile(path, "", "")).values
    np.testing.assert_array_equal(
        values, np.array([[0.5, -0.25], [np.nan] * 2, [np.nan] * 2, [1, -1]], np.float32)
    )


def test_seven_classes_of_the_first_editions(tmp_path):
    header = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise"
    path = text(tmp_path / "a.txt", header, "6", "-1", "0")
    assert read(LabelFile(path, "", "")).values[:, 0].tolist() == [6, -1, 0]
    text(path, header, "7")
    with pytest.raises(LabelError, match=r"a\.txt:2: '7' is not a whole number from -1 to 6"):
        read(LabelFile(path, "", ""))


def test_eight_action_units_of_the_first_edition(tmp_path):
    path = text(tmp_path / "a.txt", "AU1,AU2,AU4,AU6,AU12,AU15,AU20,AU25", "0,1,0,1,0,1,0,-1")
    made = read(LabelFile(path, "", ""))
    assert made.names[-2:] == ("AU20", "AU25")
    assert made.values.tolist() == [[0, 1, 0, 1, 0, 1, 0, -1]]


@pytest.mark.parametrize(
    ("lines", "task", "message"),
    [
        (["valence,arousal", "0,0", "0.1,x"], "va", r"a\.txt:3: 'x' is not a number"),
        (["valence,arousal", "0,1.01"], "va", r"a\.txt:2: 1\.01 is outside \[-1, 1\]"),
        (["valence,arousal", "0"], "va", r"a\.txt:2: 1 values under a header of 2"),
        (["valence,arousal", "inf,0"], "va", r"a\.txt:2: inf is outside"),
        (["arousal,valence", "0,0"], "va", r"a\.txt:1: unknown header 'arousal,valence'"),
        (["AU1,AU2", "0,2"], "au", r"a\.txt:2: '2' is not a whole number from -1 to 1"),
        (["AU1,AU2", "0,0"], "va", r"a\.txt:1: header of action units in a folder of valence and arousal"),
        (["0.1,0.2", "0,0"], "", r"a\.txt:1: unknown header '0\.1,0\.2'"),
    ],
)
def test_errors_name_file_and_line(tmp_path, lines, task, message):
    with pytest.raises(LabelError, match=message):
        read(LabelFile(text(tmp_path / "a.txt", *lines), "", task))


def test_header_must_match_the_task_of_the_folder(tmp_path):
    text(tmp_path / "EXPR_Set" / "Train_Set" / "a.txt", "valence,arousal", "0,0")
    with pytest.raises(LabelError, match="header of valence and arousal in a folder of expression"):
        read(find(tmp_path)[0][0])


def test_missing_or_empty_folders_are_errors(tmp_path):
    with pytest.raises(LabelError, match="no annotation files in"):
        find(tmp_path)
    with pytest.raises(LabelError, match="no such file or folder"):
        find(tmp_path / "absent")


def test_missing_values_become_nan(tmp_path):
    path = text(tmp_path / "a.txt", "valence,arousal", "NA,NA", "0.5,", "1,-1")
    assert np.isnan(read(LabelFile(path, "", "")).values).all(axis=1).tolist() == [True, True, False]


def test_single_file_is_read(tmp_path):
    path = text(tmp_path / "clip.csv", "valence,arousal", "0,0.5")
    files, hidden = find(path)
    assert [f.path.name for f in files] == ["clip.csv"]
    assert not hidden
    assert read(files[0]).values.tolist() == [[0.0, 0.5]]
