"""Files of weights are fetched once, checked against their SHA-256, and leave nothing if that fails."""

from __future__ import annotations

import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from vacli.errors import WeightsError
from vacli.features.downloads import (
    Weights,
    cached_file,
    hub_checkpoint,
    known_sha256,
    locate_record,
)
from vacli.features.weights import WEIGHTS, locate
from vacli.progress import RecordingProgress


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def served(tmp_path):
    """A folder and its address on a local server."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=folder))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder of downloads."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path / "hub" / "checkpoints"


def record(folder: Path, address: str, sha256: str | None = None) -> Weights:
    (folder / "net.pth").write_bytes(b"weights" * 1000)
    digest = hashlib.sha256(b"weights" * 1000).hexdigest()
    return Weights(
        file="net.pth", source=f"{address}/net.pth", sha256=digest[:12] if sha256 is None else sha256
    )


def test_a_download_is_verified_and_kept(served, cache):
    first = locate_record("net", record(*served), None, RecordingProgress())
    assert first == cache / "net.pth"
    (served[0] / "net.pth").unlink()
    assert locate_record("net", record(*served), None, RecordingProgress()) == first


def test_a_corrupt_download_is_deleted_and_named(served, cache):
    with pytest.raises(WeightsError, match=r"net\.pth: corrupt.*deleted"):
        locate_record("net", record(*served, sha256="0" * 12), None, RecordingProgress())
    assert list(cache.iterdir()) == []


def test_a_damaged_cached_file_is_deleted_and_named(served, cache):
    path = locate_record("net", record(*served), None, RecordingProgress())
    path.write_bytes(b"rotten")
    with pytest.raises(WeightsError, match="corrupt"):
        locate_record("net", record(*served), None, RecordingProgress())
    assert not path.exists()


def test_without_a_connection_the_error_has_a_remedy(cache):
    gone = Weights(file="net.pth", source="http://127.0.0.1:9/net.pth", sha256="00")
    with pytest.raises(WeightsError, match=r"127\.0\.0\.1:9") as caught:
        locate_record("net", gone, None, RecordingProgress())
    assert "--weights FILE" in caught.value.hint
    assert "\n" not in caught.value.one_line()
    assert list(cache.iterdir()) == []


def hub_cache(tmp_path, monkeypatch, blob_name, content):
    """A file in the layout of the hub's cache: a snapshot that points to a blob."""
    repo = tmp_path / "models--owner--net"
    blob = repo / "blobs" / blob_name
    link = repo / "snapshots" / "abc" / "model.safetensors"
    blob.parent.mkdir(parents=True)
    link.parent.mkdir(parents=True)
    blob.write_bytes(content)
    link.symlink_to(blob)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *a, **k: str(link))
    return link


def test_a_hub_file_is_checked_against_its_blob_name(tmp_path, monkeypatch):
    content = b"tensor bytes"
    hub = Weights(file="model.safetensors", source="hub:owner/net")
    link = hub_cache(tmp_path, monkeypatch, hashlib.sha256(content).hexdigest(), content)
    assert locate_record("net", hub, None, RecordingProgress()) == link
    link.resolve().write_bytes(b"cut o")
    with pytest.raises(WeightsError, match="corrupt"):
        locate_record("net", hub, None, RecordingProgress())
    assert not link.is_symlink()


def test_an_unreachable_hub_is_named(monkeypatch):
    from huggingface_hub.errors import LocalEntryNotFoundError

    def offline(*args, local_files_only=False, **kwargs):
        raise LocalEntryNotFoundError("nothing") if local_files_only else ConnectionError("no route")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", offline)
    with pytest.raises(WeightsError, match=r"mae-vit-l could not be fetched .* no route") as caught:
        locate("mae-vit-l")
    assert "model.safetensors" in caught.value.hint


@pytest.mark.parametrize("is_new", [True, False])
def test_a_failed_download_from_the_hub_leaves_nothing(tmp_path, monkeypatch, is_new):
    folder = tmp_path / "models--owner--net"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    if not is_new:
        (folder / "blobs").mkdir(parents=True)
        (folder / "blobs" / "whole").write_bytes(b"of an earlier download")
    before = sorted(tmp_path.rglob("*"))

    def cut_off(repo, file, local_files_only=False):
        if local_files_only:
            raise OSError("not in the cache")
        for name in (folder / "blobs" / "abc.incomplete", tmp_path / ".locks" / folder.name / "abc.lock"):
            if is_new or name.suffix == ".incomplete":
                name.parent.mkdir(parents=True, exist_ok=True)
                name.write_bytes(b"half")
        raise ConnectionError("reset")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", cut_off)
    with pytest.raises(WeightsError, match="could not be fetched"):
        locate_record("net", Weights(file="net", source="hub:owner/net"), None, RecordingProgress())
    assert [path for path in sorted(tmp_path.rglob("*")) if path.name != ".locks"] == before


def test_the_digest_is_the_published_one_or_the_name_of_the_blob(tmp_path, monkeypatch, cache):
    content = b"tensor bytes"
    digest = hashlib.sha256(content).hexdigest()
    hub = Weights(file="model.safetensors", source="hub:owner/net")
    link = hub_cache(tmp_path, monkeypatch, digest, content)
    assert (cached_file(hub), known_sha256(hub)) == (link, digest)
    assert known_sha256(WEIGHTS["vggish"]) == "10086976"
    assert cached_file(WEIGHTS["vggish"]) is None
    assert len(known_sha256(WEIGHTS["compact"])) == 64


class FakeHub:
    """A repository of the hub with some files, and a cache that is empty at first."""

    def __init__(self, folder: Path, files: tuple[str, ...]) -> None:
        self.folder, self.files = folder, files

    def download(self, repo, file, local_files_only=False):
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

        path = self.folder / file
        if local_files_only and not path.exists():
            raise LocalEntryNotFoundError("not in the cache")
        if file not in self.files:
            raise EntryNotFoundError("404")
        path.write_bytes(file.encode())
        return str(path)


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin"])
def test_a_checkpoint_is_fetched_with_its_configuration(tmp_path, monkeypatch, weights):
    hub = FakeHub(tmp_path, (weights, "config.json"))
    monkeypatch.setattr("huggingface_hub.hf_hub_download", hub.download)
    record = hub_checkpoint("hub:owner/net")
    assert locate_record("net", record, None, RecordingProgress()) == tmp_path / weights
    assert {path.name for path in tmp_path.iterdir()} == {weights, "config.json"}
    assert cached_file(record) == tmp_path / weights


def test_a_repository_without_weights_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.hf_hub_download", FakeHub(tmp_path, ("config.json",)).download)
    with pytest.raises(WeightsError, match=r"hub:owner/net has no model\.safetensors or pytorch_model\.bin"):
        locate_record("net", hub_checkpoint("hub:owner/net"), None, RecordingProgress())


@pytest.mark.parametrize("source", ["hub:", "hub:a/b/c", "hub:owner/na me"])
def test_a_name_that_no_repository_can_have_is_refused(source):
    with pytest.raises(WeightsError, match="not a name of a repository") as caught:
        locate_record("net", hub_checkpoint(source), None, RecordingProgress())
    assert "\n" not in caught.value.one_line()
