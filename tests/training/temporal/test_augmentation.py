from __future__ import annotations

import pytest
import torch

from vacli.recipe.schema import Augment
from vacli.training.temporal.augmentation import augment_windows

WINDOWS, FRAMES = 400, 60


def streams() -> dict[str, torch.Tensor]:
    return {"visual": torch.ones(WINDOWS, FRAMES, 3), "audio": torch.zeros(WINDOWS, FRAMES, 2)}


def changed(augment: Augment, seed: int = 0) -> dict[str, torch.Tensor]:
    return augment_windows(streams(), augment, torch.Generator().manual_seed(seed))


def test_augmentation_without_settings_changes_nothing() -> None:
    assert all(torch.equal(x, streams()[name]) for name, x in changed(Augment()).items())


def test_window_keeps_at_least_one_stream() -> None:
    lost = torch.stack([x.isnan().all(dim=(1, 2)) for x in changed(Augment(modality_dropout=1.0)).values()])
    assert (lost.sum(dim=0) == 1).all()
    share = lost.float().mean(dim=1)
    assert share.tolist() == pytest.approx([0.5, 0.5], abs=0.1)
    alone = augment_windows({"visual": torch.ones(4, 5, 2)}, Augment(modality_dropout=1.0), torch.Generator())
    assert alone["visual"].isfinite().all()


def test_streams_are_dropped_with_the_given_probability() -> None:
    dropped = changed(Augment(modality_dropout=0.3))
    lost = sum(x.isnan().all(dim=(1, 2)).float().mean().item() for x in dropped.values())
    assert lost == pytest.approx(0.3, abs=0.07)


def test_time_masks_are_contiguous_and_at_most_half_a_window() -> None:
    missing = changed(Augment(time_mask=0.5))["visual"].isnan()
    assert torch.equal(missing.any(dim=2), missing.all(dim=2))
    rows = missing.all(dim=2).float()
    assert rows.sum(dim=1).max() <= FRAMES / 2 + 1
    assert (rows.diff(dim=1).abs().sum(dim=1) <= 2).all()
    assert (rows.sum(dim=1) > 0).float().mean().item() == pytest.approx(0.5, abs=0.08)


def test_noise_has_the_given_deviation() -> None:
    noisy = changed(Augment(noise=0.2))
    assert noisy["audio"].std().item() == pytest.approx(0.2, rel=0.02)
    assert noisy["visual"].mean().item() == pytest.approx(1.0, abs=0.01)


def test_an_offset_is_that_of_a_whole_window_and_a_feature() -> None:
    offset = changed(Augment(shift=0.5))["audio"]
    torch.testing.assert_close(offset, offset[:, :1].expand_as(offset))
    assert offset[:, 0].std(dim=0).tolist() == pytest.approx([0.5, 0.5], rel=0.1)
    assert offset[:, 0].T.corrcoef()[0, 1].item() == pytest.approx(0, abs=0.15)


def test_augmentation_depends_on_the_seed() -> None:
    augment = Augment(modality_dropout=0.3, time_mask=0.3, noise=0.1, shift=0.1)
    one, same, other = changed(augment, 1), changed(augment, 1), changed(augment, 2)
    assert all(torch.equal(one[name].nan_to_num(9), same[name].nan_to_num(9)) for name in one)
    assert not torch.equal(one["audio"].nan_to_num(9), other["audio"].nan_to_num(9))
