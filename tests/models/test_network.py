"""The whole network: missing rows, wrong widths, steps, declared receptive field."""

from __future__ import annotations

import pytest
import torch

from vacli.errors import InputError, UsageError
from vacli.models.build import build
from vacli.models.network import VaNet
from vacli.recipe.modules import with_fusion, with_temporal
from vacli.recipe.presets import COMPACT
from vacli.recipe.schema import Concat, Head, Model, Stream, Tcn

FRAMES = 30
STREAMS = (
    Stream(name="face", features=("a",), dim=5, tcn=Tcn(channels=(8,), kernel=3)),
    Stream(name="voice", features=("b", "c"), dim=3),
)


def small(**parts) -> VaNet:
    torch.manual_seed(0)
    return build(Model(streams=STREAMS, **parts)).eval()


def inputs(net: VaNet, dtype=torch.float32) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    torch.manual_seed(1)
    given = {name: torch.randn(2, FRAMES, width, dtype=dtype) for name, width in net.widths.items()}
    return given, torch.ones(2, FRAMES, dtype=torch.bool)


VARIANTS = {
    "compact": COMPACT.model,
    "compact-bdca": with_fusion(COMPACT.model, "bdca"),
    "compact-transformer": with_temporal(COMPACT.model, "transformer"),
    "compact-tcn": with_temporal(COMPACT.model, "tcn"),
}


@pytest.fixture(params=VARIANTS)
def net(request) -> VaNet:
    torch.manual_seed(0)
    return build(VARIANTS[request.param]).eval()


def test_a_nan_affects_its_row_only(net):
    streams, mask = inputs(net)
    name, width = next(iter(net.widths.items()))
    streams[name][0, 10, width // 2] = float("nan")  # one number
    streams[name][1] = float("nan")  # a whole stream of a whole recording
    with torch.no_grad():
        assert net(streams, mask).isfinite().all()
    net(streams, mask).sum().backward()
    assert all(p.grad.isfinite().all() for p in net.parameters() if p.grad is not None)


def test_padding_does_not_change_the_output(net):
    streams, mask = inputs(net)
    mask[1, 17:] = False
    other = {k: v.masked_fill(~mask.unsqueeze(-1), float("nan")) for k, v in streams.items()}
    with torch.no_grad():
        assert torch.equal(net(streams, mask)[mask], net(other, mask)[mask])


def test_missing_rows_are_zeros_and_flagged_with_availability_flags():
    for presence in (False, True):
        net = small(fusion=Concat(availability_flags=presence))
        streams, mask = inputs(net)
        missing, zero = ({**streams, "voice": streams["voice"].clone()} for _ in range(2))
        missing["voice"][:, 4] = float("nan")
        zero["voice"][:, 4] = 0.0
        with torch.no_grad():
            assert torch.equal(net(missing, mask), net(zero, mask)) is not presence


def test_availability_is_between_a_missing_and_a_present_row(net):
    streams, mask = inputs(net)
    name, rows = list(streams.items())[-1]
    absent = {**streams, name: torch.full_like(rows, float("nan"))}

    def output(weight: float) -> torch.Tensor:
        return net(streams, mask, {name: torch.full(mask.shape, weight)})

    with torch.no_grad():
        torch.testing.assert_close(output(1.0), net(streams, mask))
        torch.testing.assert_close(output(0.0), net(absent, mask))
        assert not torch.allclose(output(0.5), output(0.0))


def test_declared_receptive_field_and_causality_hold(net):
    net = net.double()
    streams, mask = inputs(net, torch.float64)
    with torch.no_grad():
        before = net(streams, mask)
        other = {name: x.clone() for name, x in streams.items()}
        for x in other.values():
            x[:, 12] += 1.0
        seen = (net(other, mask) != before).any(-1).any(0).nonzero().flatten().tolist()
    assert (seen[0] >= 12) == net.causal
    if net.receptive_field is None:
        assert seen[-1] == FRAMES - 1


def test_receptive_fields_add_up():
    net = small(tcn=Tcn(channels=(8, 8), kernel=3), temporal=Tcn(channels=(8,), kernel=2))
    assert net.receptive_field == 1 + 2 * 2 * 1 + 2 * 2 * 3 + 2 * 1 * 1
    assert small().receptive_field == 5
    assert small(temporal=COMPACT.model.temporal).receptive_field is None


def test_steps_equal_the_whole_sequence():
    torch.manual_seed(0)
    net = build(COMPACT.model).eval()
    streams, mask = inputs(net)
    streams["audio"][0, 5:9] = float("nan")
    with torch.no_grad():
        want = net(streams, mask)
        state, frames = net.initial_state(2), []
        for t in range(FRAMES):
            y, state = net.step({name: x[:, t] for name, x in streams.items()}, state)
            frames.append(y)
    assert (torch.stack(frames, 1) - want).abs().max() < 1e-5


def test_a_non_causal_model_has_no_steps():
    net = build(with_temporal(COMPACT.model, "transformer"))
    with pytest.raises(UsageError, match="depends on later frames") as error:
        net.initial_state(1)
    assert "mamba" in error.value.hint


def test_wrong_width_names_the_stream_and_both_widths():
    net = small()
    streams, mask = inputs(net)
    streams["voice"] = streams["voice"][..., :2]
    with pytest.raises(InputError, match="stream 'voice': the model needs 3 values per frame, got 2"):
        net(streams, mask)


def test_absent_stream_is_named():
    net = small()
    streams, mask = inputs(net)
    del streams["voice"]
    with pytest.raises(InputError, match="'voice' is missing") as error:
        net(streams, mask)
    assert error.value.hint == "given: face"


def test_training_lowers_the_loss():
    net = small(head=Head(hidden=(8,), batch_norm=True), temporal=COMPACT.model.temporal).train()
    streams, mask = inputs(net)
    target = torch.tanh(streams["face"][..., :2])
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
    losses = []
    for _ in range(15):
        loss = (net(streams, mask) - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
