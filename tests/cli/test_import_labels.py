"""`va import-labels` on the command line: exit codes, and what stands on stdout and stderr."""

from __future__ import annotations

import pytest
from synth.stores import add_video, empty

from vacli.cli.main import run


@pytest.fixture
def store(tmp_path):
    store = empty(tmp_path / "s.zarr")
    for video in ("a", "b"):
        add_video(store, video, 50)
    return store.path


def table(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return path


def test_ratings_of_another_scale(tmp_path, store, capsys):
    rows = [f"{40 * i};a.mp4;{1 + i % 7};4" for i in range(50)]
    path = table(tmp_path / "all.csv", "Timestamp (ms);Video;Valence;Arousal", *rows)
    assert run(["import-labels", str(path), str(store), "--range", "1", "7"]) == 0
    shown = capsys.readouterr()
    assert shown.out == f"{store}\n"
    assert "labels are mapped from [1, 7] to [-1, 1]" in shown.err


@pytest.mark.parametrize(
    ("name", "lines", "message"),
    [
        ("c.csv", ["time,valence,arousal", "0,0,0"], "matches a video"),
        ("a.txt", ["valence,arousal", "-5,-5"], "no frame of any video has a label"),
    ],
)
def test_no_label_at_all_is_an_error_of_one_line(tmp_path, store, capsys, name, lines, message):
    path = table(tmp_path / name, *lines)
    assert run(["import-labels", str(path), str(store)]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err.splitlines()[-1]


def test_times_far_beyond_the_video_exit_with_1(tmp_path, store, capsys):
    path = table(tmp_path / "a.csv", "time,valence,arousal", *(f"{40 * i},0,0" for i in range(50)))
    assert run(["import-labels", str(path), str(store)]) == 1
    assert "milliseconds? give --unit ms" in capsys.readouterr().err


def test_different_numbers_of_columns_are_wrong_usage(tmp_path, store):
    path = table(tmp_path / "a.csv", "time,v,a", "0,0,0")
    assert run(["import-labels", str(path), str(store), "--valence-column", "v"]) == 2
