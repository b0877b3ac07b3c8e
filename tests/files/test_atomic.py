"""Files that appear whole or not at all, links of other users, and full disks."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vacli.errors import OutputError
from vacli.files import atomic, disk_space


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_write_text_leaves_no_other_file(tmp_path):
    atomic.write_text(tmp_path / "new" / "a.txt", "ü\n")
    atomic.write_text(tmp_path / "new" / "a.txt", "é\n")
    assert (tmp_path / "new" / "a.txt").read_bytes() == "é\n".encode()
    assert names_in(tmp_path / "new") == {"a.txt"}


def test_permissions_are_those_of_the_old_file_or_of_a_new_one(tmp_path):
    plain = tmp_path / "plain"
    plain.write_text("")
    atomic.write_text(tmp_path / "new", "x")
    assert (tmp_path / "new").stat().st_mode == plain.stat().st_mode
    plain.chmod(0o640)
    atomic.write_text(plain, "x")
    assert plain.stat().st_mode & 0o777 == 0o640


def test_an_error_leaves_only_the_old_file(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(ZeroDivisionError), atomic.staged_writer(tmp_path / "a") as stream:
        stream.write("new")
        raise ZeroDivisionError
    assert (tmp_path / "a").read_text() == "old"
    assert names_in(tmp_path) == {"a"}


class Interruption:
    """A trace function that raises KeyboardInterrupt before one line of `atomic`, the first being 0."""

    def __init__(self, line: int) -> None:
        self.left = line

    def __call__(self, frame, event, value):
        if frame.f_code.co_filename != atomic.__file__:
            return None
        if event == "line":
            self.left -= 1
            if self.left == -1:
                raise KeyboardInterrupt
        return self


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a `with` that did not end
def test_an_interruption_leaves_the_old_file_or_the_new_one_alone(tmp_path):
    target, found = tmp_path / "a", []
    for line in range(1000):
        target.write_text("old")
        before = sys.gettrace()
        sys.settrace(Interruption(line))
        try:
            atomic.write_text(target, "new")
            break
        except KeyboardInterrupt:
            found.append(target.read_text())
        finally:
            sys.settrace(before)
        assert names_in(tmp_path) == {"a"}, f"interrupted before line {line}"
    assert set(found) == {"old", "new"}
    assert 20 < len(found) < 1000


def test_names_of_maximal_length(tmp_path):
    for name in ("n" * 251 + ".csv", "字" * 84 + ".c"):
        atomic.write_text(tmp_path / name, "x")
        assert (tmp_path / name).read_text() == "x"
    draft = atomic.Draft(tmp_path / ("字" * 84 + ".c")).create()
    os.write(draft.fd, b"y")
    assert draft.keep().read_text() == "y"


def test_two_writers_do_not_interfere(tmp_path):
    first, second = atomic.Draft(tmp_path / "a").create(), atomic.Draft(tmp_path / "a").create()
    os.write(first.fd, b"first")
    os.write(second.fd, b"second, and longer")
    first.commit()
    assert (tmp_path / "a").read_text() == "first"
    second.commit()
    assert (tmp_path / "a").read_text() == "second, and longer"
    assert names_in(tmp_path) == {"a"}


def test_a_link_of_the_user_is_followed(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "link").symlink_to("far/a")
    atomic.write_text(tmp_path / "link", "x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "far" / "a").read_text() == "x"


def test_a_circle_of_links_is_an_error(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OutputError, match="link to itself"):
        atomic.write_text(tmp_path / "a", "x")


def test_a_link_of_another_user_is_not_followed(tmp_path):
    if not hasattr(os, "geteuid") or os.geteuid():
        pytest.skip("only root can lay a link for somebody else")
    (tmp_path / "a").symlink_to("victim")
    os.lchown(tmp_path / "a", 12345, 12345)
    with pytest.raises(OutputError, match="another user"):
        atomic.write_text(tmp_path / "a", "x")
    assert names_in(tmp_path) == {"a"}


@pytest.mark.parametrize(("name", "message"), [("folder", "is a folder"), ("file/a", "cannot be written")])
def test_a_path_that_cannot_be_written_is_an_error_before_a_draft_exists(name, message, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=message):
        atomic.Draft(tmp_path / name).create()
    assert names_in(tmp_path) == {"folder", "file"}


def test_a_kept_draft_takes_a_free_name(tmp_path):
    (tmp_path / "a.partial").write_text("the user's")
    kept = []
    for text in (b"", b"1", b"2"):
        draft = atomic.Draft(tmp_path / "a").create()
        os.write(draft.fd, text)
        kept.append(draft.keep())
    assert kept == [None, tmp_path / "a.partial-2", tmp_path / "a.partial-3"]
    assert names_in(tmp_path) == {"a.partial", "a.partial-2", "a.partial-3"}


def test_commit_removes_drafts_of_killed_processes_only(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from vacli.files.atomic import Draft\n"
        "d = Draft(Path(sys.argv[1])).create(); os.write(d.fd, b'x'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a")], check=False)
    assert len(names_in(tmp_path)) == 1
    living = atomic.Draft(tmp_path / "a").create()
    atomic.write_text(tmp_path / "a", "whole")
    assert names_in(tmp_path) == {"a", living.part.name}
    living.discard()


def failing(error: Exception):
    raise error


class SafetensorError(Exception):
    """Has the name of the class of safetensors, whose errors a test cannot cause."""


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        SafetensorError('I/O error: Os { code: 28, kind: StorageFull, message: "No space left on device" }'),
    ],
)
def test_the_message_of_a_full_disk_has_path_needed_and_free_bytes(error, tmp_path):
    with pytest.raises(OutputError) as caught, disk_space.report_write_errors(tmp_path / "w", 12_300_000):
        raise error
    line = caught.value.one_line()
    assert line.startswith(f"{tmp_path / 'w'}: no space left; needs about 12.3 MB, ")
    assert "B are free" in line


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail at inline_container.cc:868] . PytorchStreamWriter failed writing file"),
        OSError("7340032 requested and 0 written"),
    ],
)
def test_free_space_decides_on_write_errors_without_a_reason(error, tmp_path, monkeypatch):
    monkeypatch.setattr(disk_space, "free_bytes", lambda path: 1000)
    with pytest.raises(OutputError, match="no space left"), disk_space.report_write_errors(tmp_path / "w"):
        raise error
    monkeypatch.setattr(disk_space, "free_bytes", lambda path: 10**12)
    with (
        pytest.raises(OutputError, match="cannot be written"),
        disk_space.report_write_errors(tmp_path / "w"),
    ):
        raise error


@pytest.mark.parametrize("error", [ValueError("x"), RuntimeError("x"), FileNotFoundError(2, "x")])
def test_other_errors_pass(error, tmp_path):
    with pytest.raises(type(error)), disk_space.report_write_errors(tmp_path / "w"):
        raise error


def test_a_file_size_limit_is_a_one_line_error(tmp_path):
    resource = pytest.importorskip("resource")
    code = (
        "import resource, sys; from pathlib import Path; from vacli.files import atomic\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "atomic.write_bytes(Path(sys.argv[1]), bytes(5000))"
    )
    assert resource
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a")], capture_output=True, text=True, check=False
    )
    assert "OutputError" in done.stderr
    assert "file too large for this file system; needs about 0.005 MB" in done.stderr
    assert names_in(tmp_path) == set()
