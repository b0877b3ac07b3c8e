"""Weights are listed with source, licence and digest, and fetched by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from vacli.cli.main import run as va
from vacli.errors import WeightsError
from vacli.features.weights import WEIGHTS
from vacli.steps import weights
from vacli.steps.weights import CACHED, IN_PACKAGE, NOT_FETCHED, FetchSettings, list_weights, run


@pytest.fixture
def empty_caches(tmp_path, monkeypatch) -> Path:
    """No file is in the cache of the hub or of torch. Returns: torch's folder of files."""
    torch = pytest.importorskip("torch")

    def offline(*args: object, **options: object) -> str:
        raise OSError("not in the cache")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", offline)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path / "hub" / "checkpoints"


def test_every_entry_is_listed_with_its_state(empty_caches):
    empty_caches.mkdir(parents=True)
    (empty_caches / WEIGHTS["vggish-pca"].file).write_bytes(b"here")
    listed = {status.name: status for status in list_weights()}
    assert listed.keys() == WEIGHTS.keys()
    here = {"compact": IN_PACKAGE, "speech": IN_PACKAGE, "vggish-pca": CACHED}
    assert {n: status.state for n, status in listed.items()} == dict.fromkeys(WEIGHTS, NOT_FETCHED) | here
    assert listed["wav2vec2-msp-dim"].record.licence == "CC-BY-NC-SA-4.0: not for commercial use"
    assert listed["vggish"].sha256 == "10086976"
    assert listed["mae-vit-l"].sha256 == ""
    assert len(listed["compact"].sha256) == 64


def test_without_the_package_of_a_cache_the_weights_are_listed_as_not_fetched(monkeypatch):
    def missing(record):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(weights, "cached_file", missing)
    assert {status.state for status in list_weights()} == {NOT_FETCHED}


def test_the_command_prints_a_table(empty_caches, capsys):
    assert va(["weights"]) == 0
    header, *rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert header == ["name", "file", "source", "licence", "sha256", "state"]
    assert [row[0] for row in rows] == list(WEIGHTS)
    assert rows[1][2:] == [
        "hub:timm/vit_large_patch16_224.mae",
        "CC-BY-NC-4.0",
        "by the hub",
        NOT_FETCHED,
    ]


def test_one_name_that_fails_does_not_stop_the_others(empty_caches, monkeypatch, tmp_path):
    def locate(name, given, progress):
        if name == "vggish":
            raise WeightsError("vggish could not be fetched", hint="try again")
        return tmp_path / name

    monkeypatch.setattr(weights, "locate", locate)
    result = run(FetchSettings(names=("vggish", "mae-vit-l", "mae-vit-l")))
    assert result.paths == {"mae-vit-l": tmp_path / "mae-vit-l"}
    assert [(f.name, f.reason) for f in result.failed] == [
        ("vggish", "vggish could not be fetched; try again")
    ]


def test_an_unknown_name_exits_with_one(empty_caches, capsys):
    assert va(["weights", "fetch", "no-such-model"]) == 1
    assert "timm has no model 'no-such-model'" in capsys.readouterr().err


def test_a_fetched_file_is_printed(empty_caches, capsys):
    assert va(["weights", "fetch", "compact"]) == 0
    assert capsys.readouterr().out.strip().endswith("compact-face.onnx")


def test_speech_checkpoints_are_fetched_by_the_name_of_their_repository(monkeypatch, tmp_path):
    def locate(name, record, given, progress):
        assert record.source == name
        return tmp_path / record.file

    monkeypatch.setattr(weights, "locate_record", locate)
    result = run(FetchSettings(names=("hub:owner/net",)))
    assert result.paths == {"hub:owner/net": tmp_path / "model.safetensors"}
