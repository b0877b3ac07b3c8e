"""Conversion of images of all Pillow modes to RGB, and reduction of large images.

Grey of more than 8 bits is scaled by its range: integers by the smallest of 8, 10, 12, 14, 16, 24 or 32 bits
that holds the largest value; floats in [0, 1] by 1, other floats as integers; with negative values from the
smallest to the largest value. Of 16 bits per colour the upper eight are kept. Transparent pixels are drawn on
white. Colour profiles are not applied.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from PIL import Image

from vacli.errors import InputError

MAX_IMAGE_PX = 25_000_000  # larger images are reduced to a half, a third, ... of their size
MAX_DECODE_BYTES = 800_000_000
# Bytes per pixel that decoding needs at most, in addition to the four of Pillow's RGB.
DECODER_BYTES = {"AVIF": 8, "HEIF": 8, "JPEG2000": 12, "WEBP": 8, "GIF": 8}
STRIP_ROWS = 64
DEPTH_BITS = (8, 10, 12, 14, 16, 24, 32)
ALPHA_MODES = ("RGBA", "LA", "PA", "RGBa", "La")
BACKGROUND = "white"


def to_rgb(image: Image.Image, white_is_zero: bool = False) -> Image.Image:
    """Convert an image of any Pillow mode to RGB. white_is_zero: for grey of more than 8 bits only."""
    if image.mode.startswith(("I", "F")):
        grey = scale_to_uint8(np.asarray(image))
        return Image.fromarray(255 - grey if white_is_zero else grey).convert("RGB")
    if image.mode in ALPHA_MODES or "transparency" in image.info:
        image = image.convert("RGBA")
        background = Image.new("RGBA", image.size, BACKGROUND)
        return Image.alpha_composite(background, image).convert("RGB")
    return image.convert("RGB")


def scale_to_uint8(grey: np.ndarray) -> np.ndarray:
    """Scale grey (H, W) of any type to uint8, by the rule of this module; non-finite pixels become black."""
    shade = grey.astype(np.float32)
    np.nan_to_num(shade, copy=False, posinf=0, neginf=0)
    low, high = min(float(shade.min()), 0.0), float(shade.max())
    if low == 0:
        is_fraction = grey.dtype.kind == "f" and high <= 1
        ranges = (2**bits - 1 for bits in DEPTH_BITS if high <= 2**bits - 1)
        high = 1.0 if is_fraction else float(next(ranges, high))
    shade -= low
    shade *= 255 / max(high - low, 1e-30)
    shade += 0.5
    return shade.clip(0, 255, out=shade).astype(np.uint8)


def check_size(path: Path, image: Image.Image) -> None:
    """Raise InputError for an image whose decoding needs more than MAX_DECODE_BYTES."""
    width, height = image.size
    pixels = width * height
    if image.format in ("JPEG", "MPO"):
        needed = pixels * _jpeg_bytes(image)
    else:
        needed = pixels * (4 + DECODER_BYTES.get(image.format or "", 0))
    if needed > MAX_DECODE_BYTES:
        raise InputError(
            f"{path}: {width} x {height} pixels are too many, decoding them needs {needed / 1e9:.1f} GB",
            hint="save a smaller copy",
        )


def _jpeg_bytes(image: Image.Image) -> float:
    """Return the bytes per pixel for an eighth of the size; progressive images hold all coefficients."""
    if not image.info.get("progressive"):
        return 4 / 64
    areas = [across * down for _, across, down, *_ in getattr(image, "layer", ())]
    return 4 / 64 + 2 * sum(areas) / max(areas)


def reduce_large(image: Image.Image) -> Image.Image:
    """Reduce an image to at most MAX_IMAGE_PX: RGB by means, deep grey by nearest neighbours."""
    factor = math.ceil(math.sqrt(image.width * image.height / MAX_IMAGE_PX))
    if factor < 2:
        return image
    image.draft(image.mode, (image.width // factor, image.height // factor))  # has an effect on JPEG only
    image.load()  # this also makes a TIFF upright
    factor = math.ceil(math.sqrt(image.width * image.height / MAX_IMAGE_PX))
    small = (math.ceil(image.width / factor), math.ceil(image.height / factor))
    if image.mode.startswith(("I", "F")):
        return image.resize(small, Image.Resampling.NEAREST)
    means = Image.new("RGB", small)
    rows = STRIP_ROWS * factor  # a conversion of the whole image would double the memory
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        means.paste(to_rgb(strip).reduce(factor), (0, top // factor))
    return means
