"""Files of a run are used as they were written, or not at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from vacli.errors import RunError
from vacli.files import digests
from vacli.inference.run import BUNDLED, BUNDLED_AUDIO, load_run

NOT_READ = {"card.md", digests.FILES}


@pytest.fixture
def run(tmp_path) -> Path:
    """The bundled run for sound, a fold of it."""
    return Path(shutil.copytree(BUNDLED_AUDIO / "fold_1", tmp_path / "run"))


def forget(run: Path) -> Path:
    """Make it a run of a version that noted nothing."""
    (run / digests.FILES).unlink()
    return run


@pytest.mark.parametrize("bundled", [BUNDLED, BUNDLED_AUDIO])
def test_the_bundled_runs_note_every_file_that_is_read(bundled):
    for folder in (bundled, *bundled.glob("fold_*")):
        noted = json.loads((folder / digests.FILES).read_text())
        files = [path for path in folder.iterdir() if path.is_file() and path.name not in NOT_READ]
        assert noted.keys() == {path.name for path in files}
        for path in files:
            digests.check_file(path)


def test_every_file_that_is_changed_cut_or_missing_is_named(run):
    load_run(run)
    for path in [p for p in run.iterdir() if p.name not in NOT_READ]:
        data = path.read_bytes()
        for harm in (None, b"", data[:-9], data[:100] + bytes([data[100] ^ 4]) + data[101:], data + b" "):
            path.unlink()
            if harm is not None:
                path.write_bytes(harm)
            with pytest.raises(RunError, match=path.name if harm is not None else "missing|cannot be read"):
                load_run(run)
            path.write_bytes(data)
    (run / digests.FILES).write_text("[]")
    with pytest.raises(RunError, match=r"files\.json cannot be read"):
        load_run(run)


def test_weights_of_another_fold_are_not_this_ones(run):
    shutil.copyfile(BUNDLED_AUDIO / "fold_2" / "weights.safetensors", run / "weights.safetensors")
    with pytest.raises(RunError, match=r"weights\.safetensors is not what was written"):
        load_run(run)
    assert load_run(forget(run)).members


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["weights.safetensors", "normalisation.safetensors"])
def test_values_that_are_no_numbers_are_refused_whatever_is_noted(run, name, value):
    tensors = load_file(forget(run) / name)
    key = sorted(tensors)[0]
    tensors[key] = tensors[key].copy()
    tensors[key].flat[-1] = value
    save_file(tensors, run / name)
    with pytest.raises(RunError, match=f"{key} has values that are no numbers"):
        load_run(run)


def test_statistics_of_other_widths_are_refused(run):
    name = forget(run) / "normalisation.safetensors"
    save_file({key: values[1:] for key, values in load_file(name).items()}, name)
    with pytest.raises(RunError, match=r"does not fit recipe\.json"):
        load_run(run)


def test_a_write_that_is_cut_off_leaves_a_file_that_is_known(tmp_path, monkeypatch):
    path = tmp_path / "data.json"
    path.write_text("of a version before")

    def cut_off(*_):
        raise KeyboardInterrupt

    for old in ("of a version before", "second"):
        with monkeypatch.context() as patched:
            patched.setattr("vacli.files.atomic.Draft.commit", cut_off)
            with pytest.raises(KeyboardInterrupt):
                digests.write(path, b"lost")
        digests.check(path, old.encode())
        digests.write(path, b"second")
        digests.check_file(path)
        with pytest.raises(RunError, match="not what was written"):
            digests.check(path, b"lost")


def test_a_file_is_lost_only_once_it_was_there(tmp_path, monkeypatch):
    path = tmp_path / "calibration.json"
    assert not digests.is_there(path)
    digests.write(path, b"{}")
    assert digests.is_there(path)
    path.unlink()
    with pytest.raises(RunError, match="is missing"):
        digests.is_there(path)


def test_sha256_of_a_file_is_that_of_its_bytes(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, example B.1
    assert digests.file_sha256(tmp_path / "abc") == expected
