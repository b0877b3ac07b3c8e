"""The stepped NumPy networks against whole sequences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vacli.inference.run import BUNDLED, BUNDLED_AUDIO, load_run
from vacli.models.array_steps import ArrayStepper, select
from vacli.models.arrays import ArrayNet
from vacli.recipe import presets
from vacli.recipe import schema as recipe

COMPACT = presets.preset("compact").model
MODELS = {
    "no presence": replace(COMPACT, fusion=recipe.Concat(availability_flags=False)),
    "adapted": replace(COMPACT, temporal=replace(COMPACT.temporal, d_model=64, input_norm=True)),
    "hidden": replace(COMPACT, head=recipe.Head(hidden=(32, 16), activation="tanh")),
    "projected": replace(COMPACT, temporal=replace(COMPACT.temporal, output_projection=True)),
    "linear": replace(COMPACT, tcn=None, temporal=recipe.NoTemporal()),
}


def random_net(model: recipe.Model, seed: int) -> ArrayNet:
    torch = pytest.importorskip("torch")
    from vacli.models.build import build

    torch.manual_seed(seed)
    net = build(model).eval()
    for p in net.parameters():
        p.data += 0.02 * torch.randn_like(p)
    return ArrayNet(model, {k: v.numpy() for k, v in net.state_dict().items()})


def assert_steps_equal_the_sequence(nets: list[ArrayNet], batch: int = 3, frames: int = 70) -> None:
    draw = np.random.default_rng(1)
    model = nets[0].model
    streams = {s.name: draw.standard_normal((batch, frames, s.dim)).astype(np.float32) for s in model.streams}
    streams["audio"][1, 5, 3] = np.nan
    next(iter(streams.values()))[0, 10:30] = np.nan
    weight = {"audio": draw.uniform(0, 1, (batch, frames)).astype(np.float32)}
    whole = np.stack([net(streams, np.ones((batch, frames), bool), weight) for net in nets])
    stepper = ArrayStepper(nets)
    state, outputs = stepper.initial_state(batch), []
    for t in range(frames):
        rows = {name: np.repeat(x[np.newaxis, :, t], len(nets), axis=0) for name, x in streams.items()}
        y, state = stepper.step(rows, {"audio": weight["audio"][:, t]}, state)
        outputs.append(y)
    np.testing.assert_allclose(np.stack(outputs, axis=2), whole, atol=2e-6)
    assert np.ptp(whole, axis=2).min() > 1e-3  # the outputs change over time


@pytest.mark.torch
@pytest.mark.parametrize("name", MODELS)
def test_steps_equal_the_sequence(name):
    assert_steps_equal_the_sequence([random_net(MODELS[name], seed) for seed in (1, 2)])


@pytest.mark.parametrize("path", [BUNDLED, BUNDLED_AUDIO], ids=lambda path: path.name)
def test_steps_of_the_bundled_models_equal_the_sequence(path):
    members = load_run(path).members
    assert_steps_equal_the_sequence([member.predictor.standardised.net for member in members])


def test_selected_states_continue_their_sequences():
    net = load_run(BUNDLED).members[0].predictor.standardised.net
    stepper, draw = ArrayStepper([net]), np.random.default_rng(2)

    def frame(batch: int) -> dict[str, np.ndarray]:
        return {s.name: draw.standard_normal((1, batch, s.dim)).astype(np.float32) for s in net.model.streams}

    state = stepper.initial_state(2)
    for _ in range(9):
        _, state = stepper.step(frame(2), {}, state)
    last = frame(1)
    rows = {name: np.repeat(x, 3, axis=1) for name, x in last.items()}
    chosen, _ = stepper.step(rows, {}, select(state, [1, None, 0]))
    both, _ = stepper.step({name: x[:, :2] for name, x in rows.items()}, {}, state)
    fresh, _ = stepper.step(last, {}, stepper.initial_state(1))
    np.testing.assert_allclose(chosen[0, [2, 0]], both[0], atol=1e-6)
    np.testing.assert_allclose(chosen[0, 1], fresh[0, 0], atol=1e-6)
    assert np.abs(chosen[0, 0] - chosen[0, 1]).max() > 1e-3


def test_a_state_has_constant_size():
    net = load_run(BUNDLED).members[0].predictor.standardised.net
    stepper = ArrayStepper([net])
    state = stepper.initial_state(1)
    shapes = {name: x.shape for name, x in state.items()}
    for _ in range(3):
        rows = {s.name: np.zeros((1, 1, s.dim), np.float32) for s in net.model.streams}
        _, state = stepper.step(rows, {}, state)
        assert {name: x.shape for name, x in state.items()} == shapes
