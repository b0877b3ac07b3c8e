"""`va doctor`: each check on a working and on a broken installation."""

from __future__ import annotations

import json
import sys
from collections import namedtuple

import pytest

from vacli.cli.main import run as va
from vacli.features import downloads
from vacli.steps import _doctor_checks as checks
from vacli.steps import doctor
from vacli.steps.doctor import NOTE, OK, PROBLEM

NAMES = [name for name, _, _ in checks.CHECKS]


def result_of(name: str) -> doctor.CheckResult:
    """The result of one check."""
    (found,) = [r for r in doctor.run() if r.name == name]
    return found


@pytest.fixture
def only(monkeypatch):
    """Leave only the named checks."""

    def choose(*names: str) -> None:
        monkeypatch.setattr(doctor, "CHECKS", [c for c in checks.CHECKS if c[0] in names])

    return choose


def test_a_working_installation_has_no_problem_and_predicts(capsys):
    assert va(["doctor", "--json"]) == 0
    results = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [result["name"] for result in results] == NAMES
    assert [r for r in results if r["status"] == PROBLEM] == []
    assert results[-1]["detail"].startswith("25 frames of a generated clip")


@pytest.mark.parametrize(
    ("check", "module"),
    [
        ("FFmpeg", "av"),
        ("ONNX Runtime", "onnxruntime"),
        ("openSMILE", "opensmile"),
        ("compiled loops", "numba"),
        ("packages", "simplejpeg"),
    ],
)
def test_a_package_that_cannot_be_imported_is_a_problem_in_one_line(check, module, only, monkeypatch):
    only(check, "Python")
    monkeypatch.setitem(sys.modules, module, None)
    first, second = doctor.run()
    assert first.status == OK
    assert (second.status, second.is_needed) == (PROBLEM, True)
    assert module in second.detail
    assert "\n" not in second.detail
    assert second.advice


def test_the_exit_code_is_1_only_for_what_prediction_needs(only, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "av", None)
    only("FFmpeg")
    assert va(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert printed.startswith("problem  FFmpeg: ")
    assert "-> install" in printed

    monkeypatch.setattr(checks, "installed", lambda package: True)
    monkeypatch.setitem(sys.modules, "mamba_ssm", None)
    only("mamba-ssm")
    assert va(["doctor"]) == 0
    assert capsys.readouterr().out.startswith("problem  mamba-ssm: ")


def test_a_full_disk_is_a_problem(only, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda path: usage(10**12, 10**12, 10**6))
    only("disk")
    found = result_of("disk")
    assert found.status == PROBLEM
    assert "TMPDIR" in found.advice


def test_a_cache_that_cannot_be_written_is_a_note(only, monkeypatch):
    import numba

    def refuse(**options):
        raise RuntimeError("no locator available")

    monkeypatch.setattr(numba, "njit", refuse)
    only("compiled loops")
    found = result_of("compiled loops")
    assert found.status == NOTE
    assert "NUMBA_CACHE_DIR" in found.advice


def test_damaged_weights_in_the_cache_are_a_problem(only, monkeypatch, tmp_path):
    file = tmp_path / "vggish.pth"
    file.write_bytes(b"damaged")
    monkeypatch.setattr(downloads, "cached_file", lambda record: file if record.sha256 else None)
    only("published weights")
    found = result_of("published weights")
    assert (found.status, found.is_needed) == (PROBLEM, False)
    assert str(file) in found.detail


@pytest.mark.parametrize("damaged", ["retinaface.onnx", "retinaface-coarse.onnx", "silero-vad.onnx"])
def test_damaged_weights_of_the_package_are_a_problem(only, monkeypatch, tmp_path, damaged):
    for path in downloads.PACKAGE.glob("*.onnx"):
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / damaged).unlink()
    (tmp_path / damaged).write_bytes(b"damaged")
    monkeypatch.setattr(downloads, "PACKAGE", tmp_path)
    only("bundled weights")
    found = result_of("bundled weights")
    assert (found.status, found.is_needed) == (PROBLEM, True)
    assert found.detail == f"{damaged} is damaged"


@pytest.mark.parametrize("line", ['eval "$(va completion zsh)"', "source /x/completions/va.zsh", ""])
def test_completion_is_found_in_the_start_file_of_the_shell(line, only, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", "/usr/bin/zsh")
    monkeypatch.delenv("ZDOTDIR", raising=False)
    (tmp_path / ".zshrc").write_text(line)
    only("completion")
    found = result_of("completion")
    assert found.status == (OK if line else NOTE)
    assert bool(found.advice) == (not line)


def test_a_prediction_that_fails_is_a_problem_with_its_last_line(only, monkeypatch, tmp_path):
    monkeypatch.setattr(checks, "PACKAGE_PARENT", tmp_path)
    (tmp_path / "vacli").mkdir()
    (tmp_path / "vacli" / "__init__.py").touch()
    (tmp_path / "vacli" / "__main__.py").write_text("raise SystemExit('va: out of order')")
    only("prediction")
    found = result_of("prediction")
    assert found.status == PROBLEM
    assert found.detail == "a clip cannot be predicted: va: out of order"
