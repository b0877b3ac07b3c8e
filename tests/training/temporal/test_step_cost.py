"""The cost of a training step of a temporal module."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vacli.recipe.presets import COMPACT
from vacli.recipe.schema import Mamba, NoTemporal, Transformer
from vacli.training.temporal.step_cost import temporal_step_cost

pytestmark = pytest.mark.torch
WINDOW = replace(COMPACT.window, length_frames=64)


def cost(temporal):
    return temporal_step_cost(
        replace(COMPACT, window=WINDOW, model=replace(COMPACT.model, temporal=temporal)), "cpu"
    )


def test_a_step_of_mamba_keeps_less_than_one_of_a_transformer_of_its_size():
    mamba = cost(Mamba(n_layers=1, d_model=96, d_state=8))
    transformer = cost(Transformer(n_layers=1, d_model=96, dim_feedforward=96, dropout=0.0))
    assert mamba.seconds > 0
    assert transformer.seconds > 0
    assert 2 * 64 * 96 * 4 < mamba.kept_bytes < transformer.kept_bytes


def test_deeper_modules_keep_more_and_random_numbers_of_a_training_stay():
    torch.manual_seed(5)
    want = torch.rand(3)
    torch.manual_seed(5)
    one, two = (cost(Mamba(n_layers=n, d_model=96, d_state=8)) for n in (1, 2))
    assert torch.equal(torch.rand(3), want)
    assert 1.2 < two.kept_bytes / one.kept_bytes < 2.5


def test_a_model_without_a_temporal_module_has_no_cost():
    assert cost(NoTemporal()) is None
