"""Where a table goes: a file appears when it is whole, pipes and devices are written to, links are safe."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from vacli.cli.console import Console
from vacli.cli.table_target import TableTarget
from vacli.errors import OutputError, ReaderGone
from vacli.files.atomic import write_bytes


def fill(path: Path | None, *texts: str) -> TableTarget:
    target = TableTarget(path)
    with target.opened(Console()) as put:
        for text in texts:
            put(text)
    return target


def test_a_file_appears_at_the_end(tmp_path):
    target = TableTarget(tmp_path / "new" / "t.csv")
    with target.opened(Console()) as put:
        put("1\n")
        assert not (tmp_path / "new" / "t.csv").exists()
        put("2 \udce9\n")
    assert (tmp_path / "new" / "t.csv").read_bytes() == b"1\n2 \xe9\n"


def test_an_empty_output_keeps_the_old_file(tmp_path):
    (tmp_path / "t.csv").write_text("old")
    fill(tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == "old"
    assert os.listdir(tmp_path) == ["t.csv"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OutputError("x")])
def test_rows_before_an_error_are_kept_under_another_name(error, tmp_path, capsys):
    for old in ("t.csv", "t.csv.part", ".t.csv.part", "t.csv.partial"):
        (tmp_path / old).write_text("the user's")
    with pytest.raises(BaseException), TableTarget(tmp_path / "t.csv").opened(Console()) as put:  # noqa: B017
        put("1\n")
        raise error
    said = capsys.readouterr().err
    assert said == (f"{tmp_path}/t.csv.partial-2 has the rows so far; {tmp_path}/t.csv is as it was before\n")
    assert (tmp_path / "t.csv.partial-2").read_text() == "1\n"
    assert sorted(os.listdir(tmp_path)) == [
        ".t.csv.part", "t.csv", "t.csv.part", "t.csv.partial", "t.csv.partial-2",
    ]  # fmt: skip
    assert {p.read_text() for p in tmp_path.iterdir()} == {"the user's", "1\n"}


def test_links_in_place_of_drafts_are_not_followed(tmp_path):
    for name in ("t.csv.part", ".t.csv.part", "t.csv.partial"):
        (tmp_path / name).symlink_to(tmp_path / "victim")
    fill(tmp_path / "t.csv", "1\n")
    assert not (tmp_path / "victim").exists()
    with pytest.raises(KeyboardInterrupt), TableTarget(tmp_path / "t.csv").opened(Console()) as put:
        put("1\n")
        raise KeyboardInterrupt
    assert not (tmp_path / "victim").exists()


def test_two_writers_leave_the_whole_table_of_the_last(tmp_path):
    first, second = TableTarget(tmp_path / "t.csv"), TableTarget(tmp_path / "t.csv")
    with second.opened(Console()) as put_second:
        put_second("second\n")
        with first.opened(Console()) as put_first:
            put_first("first\n")
            put_second("second\n")
            put_first("first\n")
        assert (tmp_path / "t.csv").read_text() == "first\nfirst\n"
    assert (tmp_path / "t.csv").read_text() == "second\nsecond\n"
    assert os.listdir(tmp_path) == ["t.csv"]


def test_a_pipe_with_a_name_is_written_to(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("there are no pipes with names here")
    os.mkfifo(tmp_path / "pipe")
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_text()))
    reader.start()
    fill(tmp_path / "pipe", "1\n")
    reader.join(60)
    assert got == ["1\n"]


def test_a_pipe_without_a_reader_is_not_a_failure(tmp_path):
    near, far = os.pipe()
    target = TableTarget(Path(f"/dev/fd/{far}"))
    os.close(far)
    os.close(near)
    with pytest.raises(ReaderGone), target.opened(Console()) as put:
        put("1\n")


@pytest.mark.parametrize("path", [None, Path("-")])
def test_stdout(path, capsys):
    assert fill(path, "1\n").is_stdout
    assert capsys.readouterr().out == "1\n"


def test_a_folder_is_refused_as_a_file(tmp_path):
    with pytest.raises(OutputError, match="is a folder"):
        TableTarget(tmp_path)


def test_a_file_is_converted_from_its_rows_at_the_end(tmp_path):
    def convert(rows: Path) -> None:
        assert rows.parent == tmp_path
        (tmp_path / "t.xlsx").write_text(rows.read_text().upper())

    with TableTarget(tmp_path / "t.xlsx", convert).opened(Console()) as put:
        put("a\n")
        put("b\n")
        assert not (tmp_path / "t.xlsx").exists()
    assert os.listdir(tmp_path) == ["t.xlsx"]
    assert (tmp_path / "t.xlsx").read_text() == "A\nB\n"


def test_no_rows_are_not_converted(tmp_path):
    def convert(rows: Path) -> None:
        raise AssertionError("there is nothing to convert")

    (tmp_path / "t.xlsx").write_text("old")
    with TableTarget(tmp_path / "t.xlsx", convert).opened(Console()):
        pass
    assert os.listdir(tmp_path) == ["t.xlsx"]


def test_rows_are_kept_if_the_conversion_fails(tmp_path, capsys):
    def convert(rows: Path) -> None:
        raise OutputError("too many rows")

    target = TableTarget(tmp_path / "t.xlsx", convert)
    with pytest.raises(OutputError, match="too many rows"), target.opened(Console()) as put:
        put("a\n")
    assert os.listdir(tmp_path) == ["t.xlsx.jsonl.partial"]
    assert capsys.readouterr().err == f"{tmp_path}/t.xlsx.jsonl.partial has the rows so far\n"


def test_a_file_to_convert_to_is_checked_at_the_start(tmp_path):
    (tmp_path / "t.xlsx").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        TableTarget(tmp_path / "t.xlsx", lambda rows: None)
    assert os.listdir(tmp_path) == ["t.xlsx"]


def test_rows_of_a_killed_process_are_removed_by_the_next(tmp_path):
    with open(tmp_path / ".t.eaf.jsonl.va-01234567.part", "w") as leftover:
        leftover.write("a\n")
    write_bytes(tmp_path / "t.eaf", b"1")
    assert os.listdir(tmp_path) == ["t.eaf"]
