"""Degraded copies of face pictures, to measure errors under conditions that a corpus does not have.

Every condition is a function of one picture, (H, W, 3) uint8 RGB, and a random generator. The sizes are given
for a face that fills a picture of 224 px, as those of FER+ do after enlargement.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from PIL import Image, ImageFilter

Degradation = Callable[[np.ndarray, np.random.Generator], np.ndarray]

YAW_DEGREES = 55.0
CAMERA_DISTANCE = 3.0  # of the camera from the face, in picture widths
GAMMA, DARK_GAIN, SENSOR_NOISE = 2.0, 0.3, 6.0  # the noise in grey levels
CONTRAST = 0.15
NOISE = 30.0  # grey levels
JPEG_QUALITY, JPEG_PX = 10, 96  # the side at which the picture is compressed
COVER_GREY = (20, 235)


def blur(rgb: np.ndarray, rng: np.random.Generator, sigma_px: float) -> np.ndarray:
    """Blur with a Gaussian."""
    return np.asarray(Image.fromarray(rgb).filter(ImageFilter.GaussianBlur(sigma_px)))


def darken(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A dark room: gamma, gain, and the noise of a sensor."""
    return _with_noise(255 * DARK_GAIN * (rgb / 255) ** GAMMA, rng, SENSOR_NOISE)


def reduce_contrast(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Fog: CONTRAST of the contrast around middle grey."""
    return _with_noise(128 + CONTRAST * (rgb.astype(np.float64) - 128), rng, 0.0)


def add_noise(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """White Gaussian noise."""
    return _with_noise(rgb, rng, NOISE)


def reduce_size(rgb: np.ndarray, rng: np.random.Generator, face_px: int) -> np.ndarray:
    """Reduce the picture to `face_px` and enlarge it again."""
    image = Image.fromarray(rgb)
    small = image.resize((face_px, face_px), Image.Resampling.BOX)
    return np.asarray(small.resize(image.size, Image.Resampling.BICUBIC))


def compress(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """JPEG of JPEG_QUALITY at a side of JPEG_PX."""
    image, out = Image.fromarray(rgb), io.BytesIO()
    image.resize((JPEG_PX, JPEG_PX), Image.Resampling.BICUBIC).save(out, "jpeg", quality=JPEG_QUALITY)
    return np.asarray(Image.open(out).convert("RGB").resize(image.size, Image.Resampling.BICUBIC))


def turn(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn the picture, as a plane, by YAW_DEGREES to the left or right."""
    height, width = rgb.shape[:2]
    sign = 1 if rng.random() < 0.5 else -1
    yaw = sign * math.radians(YAW_DEGREES)
    distance, cx, cy = CAMERA_DISTANCE * width, width / 2, height / 2
    # A point (u, 0) of the plane is seen at x = d u cos / (d + u sin), so u = d x / (d cos - x sin).
    cosine, sine = math.cos(yaw), math.sin(yaw)
    plane = np.array([[distance, 0, 0], [0, distance * cosine, 0], [-sine, 0, distance * cosine]])
    centre = np.array([[1, 0, -cx], [0, 1, -cy], [0, 0, 1]])
    matrix = np.linalg.inv(centre) @ plane @ centre
    coefficients = (matrix / matrix[2, 2]).ravel()[:8].tolist()
    image = Image.fromarray(rgb)
    turned = image.transform(image.size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BICUBIC)
    return np.asarray(turned)


def cover_mouth(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cover the lower 45 % with a uniform grey, like a mask or a hand."""
    covered = rgb.copy()
    covered[round(0.55 * len(rgb)) :] = rng.integers(*COVER_GREY)
    return covered


def cover_side(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cover the left or right half with a uniform grey."""
    covered, half = rgb.copy(), rgb.shape[1] // 2
    side = slice(0, half) if rng.random() < 0.5 else slice(half, None)
    covered[:, side] = rng.integers(*COVER_GREY)
    return covered


DEGRADATIONS: Mapping[str, Degradation] = {
    "blur": partial(blur, sigma_px=6.0),
    "strong-blur": partial(blur, sigma_px=12.0),
    "dark": darken,
    "low-contrast": reduce_contrast,
    "noise": add_noise,
    "24px": partial(reduce_size, face_px=24),
    "16px": partial(reduce_size, face_px=16),
    "jpeg": compress,
    "turned": turn,
    "mouth-covered": cover_mouth,
    "side-covered": cover_side,
}


def _with_noise(levels: np.ndarray, rng: np.random.Generator, std: float) -> np.ndarray:
    """Grey levels (H, W, 3), with the same noise in all channels, as uint8."""
    noise = std * rng.normal(size=(*levels.shape[:2], 1))
    return (levels + noise).round().clip(0, 255).astype(np.uint8)
