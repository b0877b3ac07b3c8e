"""Two processes see one loss over all their frames, and its gradient."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from synth.ranks import run_ranks
from torch import nn

from vacli.models.heads import Head
from vacli.recipe import schema as recipe
from vacli.training.distributed import SharedNorm, World, all_reduce_sum, world
from vacli.training.losses import ccc_loss

SHARES = (5, 2)  # windows of either rank: unequal, with unequal masks

WORKER = """
    import sys
    import torch
    from safetensors.torch import load_file, save_file
    from vacli.models.heads import Head
    from vacli.recipe.schema import Head as Config, Loss
    from vacli.training.distributed import all_reduce_sum, parallel, world
    from vacli.training.losses import ccc_loss

    folder = sys.argv[1]
    data = load_file(folder + "/data")
    with world(torch.device("cpu")) as here:
        x, y, mask = (data[name][slice(0, 5) if here.is_main else slice(5, 7)] for name in ("x", "y", "mask"))
        net = Head(3, Config(hidden=(4,), batch_norm=True)).double()
        net.load_state_dict(load_file(folder + "/net"))
        ranks = parallel(net, here)
        loss = ccc_loss(ranks(x, mask), y, mask, Loss(mse=0.3), all_reduce_sum)
        loss.backward()
        gathered = torch.stack(here.gather(torch.tensor([float(here.rank), loss.item()])))
        after = {name: p.grad for name, p in net.named_parameters()} | dict(net.named_buffers())
        save_file({"loss": loss.detach(), "gathered": gathered, **after}, f"{folder}/{here.rank}")
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
    }
    folder = tmp_path_factory.mktemp("ranks")
    save_file(made, folder / "data")
    save_file(head().state_dict(), folder / "net")
    run_ranks(2, textwrap.dedent(WORKER), folder)
    return made, folder


def head() -> Head:
    """Batch norm included: its moments too are those of all ranks' frames."""
    torch.manual_seed(0)
    return Head(3, recipe.Head(hidden=(4,), batch_norm=True)).double()


def test_loss_and_gradients_are_those_of_one_process(data: tuple[dict[str, torch.Tensor], Path]) -> None:
    made, folder = data
    net = head()
    loss = ccc_loss(net(made["x"], made["mask"]), made["y"], made["mask"], recipe.Loss(mse=0.3))
    loss.backward()
    expected = {name: p.grad for name, p in net.named_parameters()} | dict(net.named_buffers())
    for rank in range(2):
        got = load_file(folder / str(rank))
        torch.testing.assert_close(got["loss"], loss.detach(), rtol=0, atol=1e-12)
        for name, value in expected.items():
            torch.testing.assert_close(got[name], value, rtol=0, atol=1e-12)


def test_mean_of_per_rank_losses_differs_from_the_joint_loss(
    data: tuple[dict[str, torch.Tensor], Path],
) -> None:
    made, _ = data

    def loss(part: slice) -> torch.Tensor:
        x, y, mask = (made[name][part] for name in ("x", "y", "mask"))
        return ccc_loss(head()(x, mask), y, mask, recipe.Loss())

    own = (loss(slice(0, 5)) + loss(slice(5, 7))) / 2
    assert abs(loss(slice(None)) - own) > 1e-4


def test_shared_norm_in_evaluation_equals_batch_norm() -> None:
    rows, plain, shared = torch.randn(6, 3), nn.BatchNorm1d(3).eval(), SharedNorm(3).eval()
    torch.testing.assert_close(shared(rows), plain(rows))


def test_rows_are_gathered_in_order_of_ranks(data: tuple[dict[str, torch.Tensor], Path]) -> None:
    _, folder = data
    first, second = (load_file(folder / str(rank))["gathered"] for rank in range(2))
    assert torch.equal(first, second)
    assert first[:, 0].tolist() == [0.0, 1.0]


def test_single_process_needs_no_process_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    sums = torch.ones(3)
    assert all_reduce_sum(sums) is sums
    with world(torch.device("cpu")) as here:
        assert here == World(rank=0, size=1, device=torch.device("cpu"))
        here.wait()


def test_seeds_differ_by_rank_and_are_reproducible() -> None:
    assert World(0, 2).seed(42, 1) == World(0, 2).seed(42, 1)
    assert len({World(rank, 2).seed(42, epoch) for rank in range(2) for epoch in range(3)}) == 6
