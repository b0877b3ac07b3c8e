"""Two processes see one loss over all their frames, and its gradient."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from synth.ranks import run_ranks
from torch import nn

from vacli.recipe import Loss
from vacli.training.distributed import World, total, world
from vacli.training.losses import ccc_loss

SHARES = (5, 2)  # windows of either rank: unequal, with unequal masks

WORKER = """
    import sys
    import torch
    from safetensors.torch import load_file, save_file
    from torch import nn
    from torch.nn.parallel import DistributedDataParallel
    from vacli.recipe import Loss
    from vacli.training.distributed import total, world
    from vacli.training.losses import ccc_loss

    source, out = sys.argv[1:]
    data = load_file(source)
    with world(torch.device("cpu")) as here:
        mine = slice(0, 5) if here.first else slice(5, 7)
        net = nn.Linear(3, 2, dtype=torch.float64)
        net.load_state_dict({"weight": data["weight"], "bias": data["bias"]})
        net = DistributedDataParallel(net)
        loss = ccc_loss(net(data["x"][mine]), data["y"][mine], data["mask"][mine], Loss(mse=0.3), total)
        loss.backward()
        gathered = torch.stack(here.gather(torch.tensor([float(here.rank), loss.item()])))
        grads = {name: p.grad for name, p in net.module.named_parameters()}
        save_file({"loss": loss.detach(), "gathered": gathered, **grads}, f"{out}/{here.rank}")
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, torch.Tensor], Path]:
    generator = torch.Generator().manual_seed(0)
    windows = sum(SHARES)
    y = torch.rand(windows, 20, 2, generator=generator, dtype=torch.float64)
    made = {
        "x": torch.randn(windows, 20, 3, generator=generator, dtype=torch.float64),
        "y": y + torch.arange(windows)[:, None, None],  # ranks have different means
        "mask": torch.rand(windows, 20, generator=generator) > 0.3,
        "weight": torch.randn(2, 3, generator=generator, dtype=torch.float64),
        "bias": torch.zeros(2, dtype=torch.float64),
    }
    folder = tmp_path_factory.mktemp("ranks")
    save_file(made, folder / "data")
    run_ranks(2, textwrap.dedent(WORKER), folder / "data", folder)
    return made, folder


def test_loss_and_gradients_are_those_of_one_process(data: tuple[dict[str, torch.Tensor], Path]) -> None:
    made, folder = data
    net = nn.Linear(3, 2, dtype=torch.float64)
    net.load_state_dict({"weight": made["weight"], "bias": made["bias"]})
    loss = ccc_loss(net(made["x"]), made["y"], made["mask"], Loss(mse=0.3))
    loss.backward()
    for rank in range(2):
        got = load_file(folder / str(rank))
        torch.testing.assert_close(got["loss"], loss.detach(), rtol=0, atol=1e-12)
        for name, parameter in net.named_parameters():
            torch.testing.assert_close(got[name], parameter.grad, rtol=0, atol=1e-12)


def test_the_mean_of_the_ranks_own_losses_would_be_another(
    data: tuple[dict[str, torch.Tensor], Path],
) -> None:
    made, _ = data
    net = nn.Linear(3, 2, dtype=torch.float64)
    net.load_state_dict({"weight": made["weight"], "bias": made["bias"]})
    both = ccc_loss(net(made["x"]), made["y"], made["mask"], Loss())
    own = [
        ccc_loss(net(made["x"][part]), made["y"][part], made["mask"][part], Loss())
        for part in (slice(0, 5), slice(5, 7))
    ]
    assert abs(both - sum(own) / 2) > 1e-3


def test_rows_are_gathered_in_order_of_ranks(data: tuple[dict[str, torch.Tensor], Path]) -> None:
    _, folder = data
    first, second = (load_file(folder / str(rank))["gathered"] for rank in range(2))
    assert torch.equal(first, second)
    assert first[:, 0].tolist() == [0.0, 1.0]


def test_a_lone_process_needs_no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    sums = torch.ones(3)
    assert total(sums) is sums
    with world(torch.device("cpu")) as here:
        assert here == World(rank=0, size=1, device=torch.device("cpu"))
        here.wait()


def test_ranks_draw_apart_and_the_same_again() -> None:
    assert World(0, 2).seed(42, 1) == World(0, 2).seed(42, 1)
    assert len({World(rank, 2).seed(42, epoch) for rank in range(2) for epoch in range(3)}) == 6
