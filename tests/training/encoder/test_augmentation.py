from __future__ import annotations

import pytest
import torch

from vacli.training.encoder.augmentation import ImageAugmentation, augment_images

STILL = ImageAugmentation(rotation_deg=0.0, flip=False, scale=(1.0, 1.0))


@pytest.fixture
def images():
    torch.manual_seed(0)
    return torch.rand(4, 3, 64, 64) * 255


def test_augmentation_without_settings_changes_nothing(images):
    assert torch.allclose(augment_images(images, STILL), images, atol=1e-2)


def test_flip_mirrors_about_half_of_the_images():
    images = torch.rand(64, 1, 16, 16) * 255
    out = augment_images(images, ImageAugmentation(rotation_deg=0.0, flip=True, scale=(1.0, 1.0)))
    same = (out - images).abs().amax((1, 2, 3)) < 0.1
    mirrored = (out - images.flip(3)).abs().amax((1, 2, 3)) < 0.1
    assert (same ^ mirrored).all()
    assert 15 < int(same.sum()) < 49


def test_rotation_stays_within_its_limit():
    x, y = torch.meshgrid(torch.arange(65.0) - 32, torch.arange(65.0) - 32, indexing="xy")
    wedge = (torch.atan2(y, x).abs() < 0.02) & (x > 5)  # a thin ray to the right
    rays = wedge.float().mul(255).expand(200, 1, 65, 65)
    out = augment_images(rays, ImageAugmentation(rotation_deg=10.0, flip=False, scale=(1.0, 1.0)))
    weight = out[:, 0] / out[:, 0].sum((1, 2), keepdim=True)
    angle = torch.atan2((weight * y).sum((1, 2)), (weight * x).sum((1, 2))).rad2deg()
    assert angle.abs().max() < 11
    assert angle.max() > 8
    assert angle.min() < -8


def test_crop_magnifies_and_stays_inside():
    white = torch.full((50, 1, 32, 32), 255.0)
    inside = augment_images(white, ImageAugmentation(rotation_deg=0.0, scale=(0.5, 0.9)))
    beyond = augment_images(white, ImageAugmentation(rotation_deg=0.0, scale=(1.2, 1.3)))
    assert inside.min() > 254.9
    assert (beyond.amin((1, 2, 3)) == 0).all()


def test_each_augmentation_changes_the_image_and_keeps_its_shape(images):
    for change in ({"blur": 1.0}, {"gamma": 0.5}, {"noise_levels": 8.0}, {"erase": 1.0}):
        how = ImageAugmentation(rotation_deg=0.0, flip=False, scale=(1.0, 1.0), **change)
        out = augment_images(images, how)
        assert out.shape == images.shape
        assert (out - images).abs().amax((1, 2, 3)).max() > 1, change


def test_equal_seeds_give_equal_images(images):
    how = ImageAugmentation(blur=1.0, gamma=0.3, noise_levels=4.0, erase=0.5)
    torch.manual_seed(3)
    one = augment_images(images, how)
    torch.manual_seed(3)
    assert torch.equal(one, augment_images(images, how))
