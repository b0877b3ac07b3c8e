from __future__ import annotations

import hashlib
import pickle
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from vacli.errors import UsageError, WeightsError
from vacli.features import weights
from vacli.features.weights import WEIGHTS, Weights, load_tensors, locate, locate_record
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


def test_a_given_file_is_used_and_a_missing_one_is_named(tmp_path):
    path = tmp_path / "own.safetensors"
    save_file({"a": torch.ones(2)}, path)
    assert locate("mae-vit-l", path) == path
    with pytest.raises(WeightsError, match=r"nothing\.pth"):
        locate("mae-vit-l", tmp_path / "nothing.pth")


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(UsageError) as caught:
        locate("mae-vit-1")
    assert "mae-vit-l" in caught.value.hint


def test_every_entry_has_a_file_a_source_and_a_licence():
    for entry in WEIGHTS.values():
        assert entry.file
        assert entry.licence
        assert entry.source == "package" or entry.source.startswith(("hub:", "https://"))


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


def test_code_in_a_checkpoint_is_not_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": {"a": torch.ones(1)}, "args": Bomb()}, tmp_path / "bomb.pth")
    (tmp_path / "bomb.pkl").write_bytes(pickle.dumps(Bomb()))
    for name in ("bomb.pth", "bomb.pkl"):
        with pytest.raises(WeightsError, match=name):
            load_tensors(tmp_path / name)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth", "a.onnx"])
def test_an_unreadable_weights_file_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"<html>not found</html>")
    with pytest.raises(WeightsError, match=name):
        load_tensors(tmp_path / name)


def test_a_file_without_tensors_is_an_error(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="no named tensors"):
        load_tensors(tmp_path / "a.pth")


def test_an_unexpected_key_is_named(tmp_path):
    model = torch.nn.Linear(2, 2)
    with pytest.raises(WeightsError, match="extra is not expected"):
        weights.load_into(model, {**model.state_dict(), "extra": torch.ones(1)}, tmp_path)
