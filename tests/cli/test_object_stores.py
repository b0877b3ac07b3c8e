"""Commands on stores and recordings in an object store give what they give on local files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from synth.clips import Clip, steady, write_clip
from synth.object_stores import S3Server

from vacli.cli.main import run
from vacli.store import Store
from vacli.store.repack import arrays_of

pytest.importorskip("opensmile", reason="openSMILE is not installed")


@pytest.fixture
def clip(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("VA_STAGING", str(tmp_path / "staging"))
    content = Clip(times_s=steady(25, 1.0), sound_spans=((0.0, 1.0),), events=(12,))
    return write_clip(tmp_path / "clip.mkv", content)


def test_a_recording_and_a_store_in_s3(clip: Path, tmp_path, s3: S3Server, capsys):
    base = s3.folder()
    base.bucket.write((base / "in" / "clip.mkv").key, clip.read_bytes())
    store = f"{base}/s.zarr"
    command = ["extract-audio", "--feature", "egemaps"]
    assert run([*command, str(clip), "-o", str(tmp_path / "s.zarr")]) == 0
    capsys.readouterr()
    args = [sys.executable, "-m", "vacli", *command, f"{base}/in", "-o", store]
    done = subprocess.run(args, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, f"{store}\n")
    assert run([*command, store]) == 0  # the recording is read again, unless it is complete
    assert "1 complete already" in capsys.readouterr().err
    here, there = (Store.open(path).video("clip") for path in (tmp_path / "s.zarr", store))
    assert there.source["path"] == f"{base}/in/clip.mkv"
    assert arrays_of(here) == arrays_of(there)
    assert all(here.read(name).tobytes() == there.read(name).tobytes() for name in arrays_of(here))
    for more in (["info", "--check", store], ["repack", store]):
        assert run(more) == 0
        out, err = capsys.readouterr()
        assert store in out
        assert not any(secret in out + err for secret in s3.environment.values())
    assert run(["repack", store, "-o", str(tmp_path / "copy.zarr")]) == 0
    assert Store.open(tmp_path / "copy.zarr").video_ids() == ["clip"]


def test_a_local_recording_is_no_copy_of_itself(clip: Path, tmp_path, s3: S3Server, capsys):
    align = ["align", str(clip), "-o", f"{s3.folder()}/s.zarr"]
    assert run(align) == 0
    assert run(align) == 0
    assert "same content" not in capsys.readouterr().err
    copy = clip.rename(tmp_path / "other.mkv")
    assert run(["align", str(copy), *align[2:]]) == 0
    assert f"{copy} has the same content as clip.mkv" in " ".join(capsys.readouterr().err.split())


def test_a_bucket_that_may_not_be_written_is_one_line(clip: Path, s3: S3Server, capsys):
    base = s3.folder()
    s3.denied_methods = ("PUT", "POST")
    assert run(["extract-audio", str(clip), "-o", f"{base}/s.zarr"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "access denied" in line
    assert not any(secret in line for secret in ("the-key-id", "the-secret"))


def one_error(capsys) -> str:
    """The only line of stderr, which has no credentials."""
    (line,) = capsys.readouterr().err.splitlines()
    assert not any(secret in line for secret in ("the-key-id", "the-secret"))
    return line


def test_an_absent_bucket_is_one_line(clip: Path, s3: S3Server, capsys):
    assert run(["extract-audio", str(clip), "-o", "s3://there-is-no-such-bucket/s.zarr"]) == 1
    assert "bucket" in one_error(capsys)
    assert run(["info", "s3://there-is-no-such-bucket/s.zarr"]) != 0
    assert "there-is-no-such-bucket" in one_error(capsys)


def test_an_expired_credential_is_one_line(clip: Path, s3: S3Server, capsys):
    base = s3.folder()
    s3.expired = True
    assert run(["extract-audio", str(clip), "-o", f"{base}/s.zarr"]) == 1
    line = one_error(capsys)
    assert "ExpiredToken: The provided token has expired; " in line
    assert "credentials" in line
