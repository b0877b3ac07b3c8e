"""The command `va overlay`: paths on stdout, errors in one line, exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest
from synth.clips import Clip, steady, write_clip
from synth.overlays import table_at, times_of, write_table

from vacli.cli.main import run


@pytest.fixture
def clip(tmp_path) -> Path:
    """A clip beside its table `va.csv`."""
    clip = write_clip(tmp_path / "clip.mp4", Clip(steady(25, 0.4), size_px=(320, 240)))
    write_table(tmp_path / "va.csv", table_at(times_of(clip), "clip.mp4"))
    return clip


def test_the_path_of_the_new_file_is_printed(clip, capsys):
    out = clip.with_name("out.mp4")
    assert run(["overlay", str(clip), "--table", str(clip.with_name("va.csv")), "-o", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert out.exists()


def test_an_existing_file_is_kept(clip, capsys):
    command = ["overlay", str(clip.with_name("va.csv")), "-o", str(clip.with_name("va.mp4"))]
    clip.with_name("va.mp4").touch()
    assert run(command) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "--force" in captured.err


def test_a_failed_video_is_named_and_the_others_are_drawn(clip, capsys):
    broken = clip.with_name("broken.mp4")
    broken.write_bytes(b"no video")
    folder = clip.with_name("out")
    table = str(clip.with_name("va.csv"))
    assert run(["overlay", str(clip), str(broken), "--table", table, "-o", str(folder)]) == 1
    captured = capsys.readouterr()
    assert captured.out == f"{folder / 'clip.overlay.mp4'}\n"
    assert str(broken) in captured.err


def test_an_output_is_required(clip, capsys):
    assert run(["overlay", str(clip)]) == 2
    assert "--out" in capsys.readouterr().err
