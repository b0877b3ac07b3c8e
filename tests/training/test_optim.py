from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from vacli.recipe.schema import Optim
from vacli.training.optim import adamw, decays, layer_decay, load_state, parameter_groups, set_lr


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = weight_norm(nn.Conv1d(3, 4, 5))
        self.norm = nn.LayerNorm(4)
        self.a_log = nn.Parameter(torch.zeros(4, 2))
        self.a_log._no_weight_decay = True
        self.frozen = nn.Linear(4, 4).requires_grad_(False)
        self.out = nn.Linear(4, 2)


def test_only_matrices_are_decayed() -> None:
    decayed = {name for name, parameter in Net().named_parameters() if decays(name, parameter)}
    assert decayed == {"conv.parametrizations.weight.original1", "frozen.weight", "out.weight"}


def test_groups_contain_each_trainable_parameter_once() -> None:
    net = Net()
    groups = parameter_groups(net.named_parameters(), 1e-3)
    held = [id(p) for group in groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in net.parameters() if p.requires_grad)
    assert [group["weight_decay"] for group in groups] == [0.0, 1e-3]


def test_undecayed_parameters_do_not_change_without_gradient() -> None:
    net = Net()
    optimiser = adamw(net, Optim(lr=0.1, weight_decay=0.5))
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    changed = {name for name, p in net.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {"conv.parametrizations.weight.original1", "out.weight"}


def test_layers_near_the_input_have_lower_rates() -> None:
    net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    optimiser = adamw(net, Optim(lr=1.0), layer_decay(lambda name: int(name.split(".")[0]), 2, 0.5))
    set_lr(optimiser, 0.1)
    rates = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
    assert [rates[id(layer.weight)] for layer in net] == pytest.approx([0.025, 0.05, 0.1])


def steps(optimiser: torch.optim.Optimizer, net: nn.Module, seeds: range) -> list[torch.Tensor]:
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        for parameter in net.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimiser.step()
    return [parameter.detach().clone() for parameter in net.parameters()]


def twin(net: Net) -> Net:
    other = Net()
    other.load_state_dict(net.state_dict())
    return other


def plain_adamw(net: nn.Module, config: Optim) -> torch.optim.AdamW:
    groups = parameter_groups(net.named_parameters(), config.weight_decay)
    return torch.optim.AdamW(groups, lr=config.lr, eps=config.eps, foreach=False)


def test_a_step_in_one_pass_is_that_of_torch_s_plain_form() -> None:
    config, net = Optim(lr=0.1, weight_decay=0.5), Net()
    other = twin(net)
    got = steps(adamw(net, config), net, range(5))
    torch.testing.assert_close(got, steps(plain_adamw(other, config), other, range(5)))


def test_training_goes_on_from_the_state_of_the_plain_form() -> None:
    config, net = Optim(lr=0.1), Net()
    plain = plain_adamw(net, config)
    steps(plain, net, range(3))
    copied = twin(net)
    optimiser = adamw(copied, config)
    fused = [group["fused"] for group in optimiser.param_groups]
    load_state(optimiser, copy.deepcopy(plain.state_dict()))
    assert [group["fused"] for group in optimiser.param_groups] == fused
    torch.testing.assert_close(steps(optimiser, copied, range(3, 6)), steps(plain, net, range(3, 6)))
