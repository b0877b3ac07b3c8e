from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from vacli.errors import UsageError, WeightsError
from vacli.features import weights
from vacli.features.weights import WEIGHTS, load_tensors, locate


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
