"""The regression head."""

from __future__ import annotations

import torch

from vacli.models.heads import Head
from vacli.recipe import schema as recipe


def test_batch_norm_sees_real_frames_only():
    torch.manual_seed(0)
    head = Head(5, recipe.Head(hidden=(4,), activation="none", batch_norm=True)).train()
    x, mask = torch.randn(2, 6, 5), torch.ones(2, 6, dtype=torch.bool)
    mask[1, 3:] = False
    hidden = head.layers[0](x[mask])
    normed = (hidden - hidden.mean(0)) / (hidden.var(0, unbiased=False) + 1e-5).sqrt()
    got = head(x.masked_fill(~mask.unsqueeze(-1), 1e6), mask)
    torch.testing.assert_close(got[mask], head.layers[-1](normed), rtol=1e-4, atol=1e-5)
    assert not got[~mask].any()


def test_tanh_output_stays_in_range():
    head = Head(3, recipe.Head(tanh_output=True))
    y = head(1000 * torch.randn(1, 50, 3), torch.ones(1, 50, dtype=torch.bool))
    assert y.abs().max() <= 1


def test_half_precision_rows_are_accepted():
    head = Head(3, recipe.Head(hidden=(4,)))
    mask = torch.ones(1, 5, dtype=torch.bool)
    with torch.autocast("cpu", torch.bfloat16):
        assert head(torch.randn(1, 5, 3), mask).shape == (1, 5, 2)
