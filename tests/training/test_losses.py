from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vacli.recipe.schema import Loss
from vacli.sequences.dataset import Batch
from vacli.training.losses import batch_loss, ccc_loss


def direct_ccc(x: np.ndarray, y: np.ndarray) -> float:
    """The definition with a correlation and standard deviations (1/n)."""
    rho = np.corrcoef(x, y)[0, 1]
    return 2 * rho * x.std() * y.std() / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)


def correlated(seed: int, frames: int = 240) -> tuple[torch.Tensor, torch.Tensor]:
    """Predictions and labels (4, frames / 4, 2) that correlate, with a shift and a gain."""
    rng = np.random.default_rng(seed)
    y = rng.uniform(-1, 1, (frames, 2))
    x = 0.6 * y + 0.15 + 0.2 * rng.normal(size=(frames, 2))
    shape = (4, frames // 4, 2)
    return torch.tensor(x.reshape(shape), dtype=torch.float32), torch.tensor(y.reshape(shape)).float()


def everything(x: torch.Tensor) -> torch.Tensor:
    return torch.ones(x.shape[:2], dtype=torch.bool)


@given(seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_loss_is_one_minus_ccc_summed_over_dimensions(seed: int) -> None:
    x, y = correlated(seed)
    flat_x, flat_y = x.double().flatten(0, 1).numpy(), y.double().flatten(0, 1).numpy()
    expected = sum(1 - direct_ccc(flat_x[:, d], flat_y[:, d]) for d in range(2))
    assert ccc_loss(x, y, everything(x), Loss()).item() == pytest.approx(expected, abs=1e-9)


def test_weights_and_squared_error() -> None:
    x, y = correlated(3)
    mask = everything(x)
    valence = ccc_loss(x, y, mask, Loss(arousal=0.0))
    arousal = ccc_loss(x, y, mask, Loss(valence=0.0))
    assert ccc_loss(x, y, mask, Loss(valence=0.3, arousal=2.0)).item() == pytest.approx(
        0.3 * valence.item() + 2 * arousal.item()
    )
    with_mse = ccc_loss(x, y, mask, Loss(mse=0.5)).item()
    squared = (x - y).double().square().mean((0, 1)).sum().item()
    assert with_mse == pytest.approx(valence.item() + arousal.item() + 0.5 * squared, abs=1e-7)


def test_padding_and_missing_labels_do_not_count() -> None:
    x, y = correlated(5)
    mask = everything(x)
    mask[:, 40:] = False
    y[1, 3, 0] = torch.nan
    x.requires_grad_()
    loss = ccc_loss(x, y, mask, Loss())
    loss.backward()
    kept = mask.clone()
    kept[1, 3] = False
    keep_x, keep_y = x.detach().double().numpy(), y.double().numpy()
    valence = direct_ccc(keep_x[..., 0][kept.numpy()], keep_y[..., 0][kept.numpy()])
    arousal = direct_ccc(keep_x[..., 1][mask.numpy()], keep_y[..., 1][mask.numpy()])
    assert loss.item() == pytest.approx(2 - valence - arousal, abs=1e-9)
    assert x.grad is not None
    assert not x.grad[:, 40:].any()
    assert x.grad[1, 3, 0] == 0
    assert x.grad[1, 3, 1] != 0


def test_nan_in_padding_does_not_spread() -> None:
    x, y = correlated(6)
    mask = everything(x)
    mask[0, -5:] = False
    clean = ccc_loss(x, y, mask, Loss())
    x[0, -5:] = torch.nan
    x.requires_grad_()
    loss = ccc_loss(x, y, mask, Loss())
    loss.backward()
    assert loss == clean
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("frames", [0, 1])
def test_fewer_than_two_frames_give_loss_and_gradient_0(frames: int) -> None:
    x, y = correlated(7)
    x.requires_grad_()
    mask = torch.zeros(x.shape[:2], dtype=torch.bool)
    mask[0, :frames] = True
    loss = ccc_loss(x, y, mask, Loss(mse=1.0))
    loss.backward()
    assert loss.item() == 0.0
    assert x.grad is not None
    assert not x.grad.any()


@pytest.mark.parametrize(("prediction", "label"), [(0.0, None), (None, 0.3), (0.3, 0.3), (0.2, 0.3)], ids=str)
def test_constants_have_finite_gradients(prediction: float | None, label: float | None) -> None:
    x, y = correlated(8)
    x = x if prediction is None else torch.full_like(x, prediction)
    y = y if label is None else torch.full_like(y, label)
    x.requires_grad_()
    loss = ccc_loss(x, y, everything(x), Loss())
    loss.backward()
    assert loss.item() == pytest.approx(2.0, abs=1e-6)
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_bfloat16_predictions_are_summed_exactly() -> None:
    x, y = correlated(9)
    half = x.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = ccc_loss(half, y, everything(x), Loss())
    assert loss.dtype == torch.float64
    assert loss == ccc_loss(half.double(), y, everything(x), Loss())


def test_gradient_equals_the_numerical_one() -> None:
    x, y = correlated(10, frames=24)
    x = x.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda p: ccc_loss(p, y.double(), everything(p), Loss(mse=0.1)), (x,))


def test_unimodal_weight_adds_the_loss_of_each_stream():
    torch.manual_seed(0)
    x, y = torch.randn(2, 30, 2), torch.randn(2, 30, 2)
    face, voice = torch.zeros(2, 30, 3), torch.zeros(2, 30, 1)
    face[:, :10, 1] = torch.nan  # voice alone, from one missing number on
    voice[:, 20:] = torch.nan  # face alone
    face[:, 28:] = torch.nan  # neither
    everywhere = everything(x)
    batch = Batch(streams={"face": face, "voice": voice}, labels=y, label_mask=everywhere, mask=everywhere)

    def over(frames: slice) -> torch.Tensor:
        return ccc_loss(x[:, frames], y[:, frames], everywhere[:, frames], Loss())

    assert batch_loss(x, batch, Loss()) == ccc_loss(x, y, everywhere, Loss())
    expected = over(slice(None)) + 0.5 * (over(slice(0, 10)) + over(slice(20, 28)))
    torch.testing.assert_close(batch_loss(x, batch, Loss(unimodal_weight=0.5)), expected)


def test_window_mean_weight_adds_the_loss_of_window_means():
    torch.manual_seed(1)
    x, y = torch.randn(3, 20, 2), torch.randn(3, 20, 2)
    annotated = torch.ones(3, 20, dtype=torch.bool)
    annotated[0, 5:] = False  # the shorter one counts as much
    annotated[2] = False
    x[0, 5:] = torch.inf  # where nothing is annotated anything may be predicted
    batch = Batch(streams={}, labels=y, label_mask=annotated, mask=everything(x))
    means = [torch.stack([z[0, :5].mean(0), z[1].mean(0)]) for z in (x, y)]
    pooled = ccc_loss(*means, torch.ones(2, dtype=torch.bool), Loss())
    expected = batch_loss(x, batch, Loss()) + 0.5 * pooled
    torch.testing.assert_close(batch_loss(x, batch, Loss(window_mean_weight=0.5)), expected)
    assert batch_loss(x, replace(batch, label_mask=annotated & False), Loss(window_mean_weight=0.5)) == 0
