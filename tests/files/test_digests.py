"""Files of a run that differ from their digest are refused."""

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

NOT_READ = {"card.md", digests.DIGESTS_FILE}


@pytest.fixture
def run(tmp_path) -> Path:
    """One fold of the bundled audio run."""
    return Path(shutil.copytree(BUNDLED_AUDIO / "fold_1", tmp_path / "run"))


def without_digests(run: Path) -> Path:
    """Turn it into a run of a version without digests."""
    (run / digests.DIGESTS_FILE).unlink()
    return run


@pytest.mark.parametrize("bundled", [BUNDLED, BUNDLED_AUDIO])
def test_the_bundled_runs_have_a_digest_of_every_file_that_is_read(bundled):
    for folder in (bundled, *bundled.glob("fold_*")):
        noted = json.loads((folder / digests.DIGESTS_FILE).read_text())
        files = [path for path in folder.iterdir() if path.is_file() and path.name not in NOT_READ]
        assert noted.keys() == {path.name for path in files}
        for path in files:
            digests.check_file(path)


def test_changed_cut_and_missing_files_are_named(run):
    load_run(run)
    for path in [p for p in run.iterdir() if p.name not in NOT_READ]:
        data = path.read_bytes()
        for changed in (None, b"", data[:-9], data[:100] + bytes([data[100] ^ 4]) + data[101:], data + b" "):
            path.unlink()
            if changed is not None:
                path.write_bytes(changed)
            with pytest.raises(
                RunError, match=path.name if changed is not None else "missing|cannot be read"
            ):
                load_run(run)
            path.write_bytes(data)
    (run / digests.DIGESTS_FILE).write_text("[]")
    with pytest.raises(RunError, match=r"files\.json cannot be read"):
        load_run(run)


def test_weights_of_another_fold_are_refused(run):
    shutil.copyfile(BUNDLED_AUDIO / "fold_2" / "weights.safetensors", run / "weights.safetensors")
    with pytest.raises(RunError, match=r"weights\.safetensors does not match"):
        load_run(run)
    assert load_run(without_digests(run)).members


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["weights.safetensors", "normalisation.safetensors"])
def test_non_finite_values_are_refused_without_digests(run, name, value):
    tensors = load_file(without_digests(run) / name)
    key = sorted(tensors)[0]
    tensors[key] = tensors[key].copy()
    tensors[key].flat[-1] = value
    save_file(tensors, run / name)
    with pytest.raises(RunError, match=f"{key} holds values that are not finite"):
        load_run(run)


def test_statistics_of_another_width_are_refused(run):
    name = without_digests(run) / "normalisation.safetensors"
    save_file({key: values[1:] for key, values in load_file(name).items()}, name)
    with pytest.raises(RunError, match=r"does not fit recipe\.json"):
        load_run(run)


def test_an_interrupted_write_keeps_the_digest_of_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "data.json"
    path.write_text("of an earlier version")

    def cut_off(*_):
        raise KeyboardInterrupt

    for old in ("of an earlier version", "second"):
        with monkeypatch.context() as patched:
            patched.setattr("vacli.files.atomic.Draft.commit", cut_off)
            with pytest.raises(KeyboardInterrupt):
                digests.write(path, b"lost")
        digests.check_bytes(path, old.encode())
        digests.write(path, b"second")
        digests.check_file(path)
        with pytest.raises(RunError, match="does not match"):
            digests.check_bytes(path, b"lost")


def test_a_missing_file_is_an_error_only_if_it_has_a_digest(tmp_path, monkeypatch):
    path = tmp_path / "calibration.json"
    assert not digests.has_file(path)
    digests.write(path, b"{}")
    assert digests.has_file(path)
    path.unlink()
    with pytest.raises(RunError, match="is missing"):
        digests.has_file(path)


def test_sha256_of_a_file_is_that_of_its_bytes(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, example B.1
    assert digests.file_sha256(tmp_path / "abc") == expected


def test_a_removed_file_is_no_longer_expected(tmp_path):
    for name in ("a.json", "b.json"):
        digests.write(tmp_path / name, b"{}")
    digests.remove(tmp_path / "a.json")
    assert not digests.has_file(tmp_path / "a.json")
    assert digests.has_file(tmp_path / "b.json")
    digests.remove(tmp_path / "absent.json")
