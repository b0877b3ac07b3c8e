from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from synth.mounts import mounted

from vacli.errors import OutputError, RunError
from vacli.files import digests
from vacli.training import checkpoint


def test_tensors_round_trip(tmp_path: Path) -> None:
    tensors = {"a": torch.randn(3, 4).T, "b": torch.arange(5)}
    checkpoint.write_tensors(tmp_path / "w.safetensors", tensors, {"epoch": "3"})
    back = load_file(tmp_path / "w.safetensors")
    assert all(torch.equal(tensors[name], back[name]) for name in tensors)
    assert os.listdir(tmp_path) == ["w.safetensors"]


def test_interrupted_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "card.md"
    checkpoint.write_text(path, "old")

    with pytest.raises(KeyboardInterrupt), digests.staged_file(path) as part:
        part.write_text("ne")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["card.md"]


def test_training_state_round_trips(tmp_path: Path) -> None:
    net = torch.nn.Linear(3, 2)
    optimiser = torch.optim.AdamW(net.parameters())
    net(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    path = tmp_path / "state.pt"
    checkpoint.write_state(path, {"optimiser": optimiser.state_dict(), "epoch": 2})
    state = checkpoint.read_state(path)
    assert state["epoch"] == 2
    again = torch.optim.AdamW(net.parameters())
    again.load_state_dict(state["optimiser"])
    assert torch.equal(again.state[net.weight]["exp_avg"], optimiser.state[net.weight]["exp_avg"])


class Payload:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('executed')",))


def test_pickled_code_is_not_executed(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    torch.save({"epoch": Payload()}, path)
    with pytest.raises(RunError, match="not a training state"):
        checkpoint.read_state(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"hello"])
def test_damaged_state_is_an_error_with_its_path(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.pt"
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"state\.pt"):
        checkpoint.read_state(path)
    with pytest.raises(RunError, match="no training state"):
        checkpoint.read_state(tmp_path / "absent.pt")


def test_full_disk_keeps_the_previous_checkpoint(tmp_path: Path) -> None:
    with mounted("tmpfs", tmp_path / "disk", "size=1m") as disk:
        small, large = {"a": torch.ones(9)}, {"a": torch.randn(1_000_000)}
        checkpoint.write_state(disk / "state.pt", small)
        checkpoint.write_weights(disk / "w.safetensors", small)
        for write, name in (
            (checkpoint.write_state, "state.pt"),
            (checkpoint.write_weights, "w.safetensors"),
            (checkpoint.write_tensors, "w.safetensors"),
        ):
            with pytest.raises(
                OutputError, match=rf"{name}: no space left; needs about 4 MB, .* [MG]B are free"
            ):
                write(disk / name, large)
        assert torch.equal(checkpoint.read_state(disk / "state.pt")["a"], small["a"])
        assert torch.equal(load_file(disk / "w.safetensors")["a"], small["a"])
        digests.check_file(disk / "w.safetensors")
        assert sorted(os.listdir(disk)) == ["files.json", "state.pt", "w.safetensors"]
