"""Pixels of any of Pillow's modes as RGB, and of large pictures as many as are needed.

Grey of more than 8 bits is scaled by what the picture holds: whole numbers from the range of the smallest of
8, 10, 12, 14, 16, 24 or 32 bits that holds the largest one; fractions from [0, 1] if all lie there, else as
whole numbers; with negative values from the smallest to the largest. Sixteen bits a colour keep the upper
eight. What is transparent lies on white. Colour profiles are not applied.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from PIL import Image

from vacli.errors import InputError

LARGEST_PX = 25_000_000  # larger pictures are worked on at a half, a third, ... of their size
MOST_BYTES = 800_000_000  # that decoding may take
# Bytes a pixel that decoding takes at most, beyond the four of Pillow's own RGB.
DECODER_BYTES = {"AVIF": 8, "HEIF": 8, "JPEG2000": 12, "WEBP": 8, "GIF": 8}
STRIP_ROWS = 64
DEPTH_BITS = (8, 10, 12, 14, 16, 24, 32)
ALPHA_MODES = ("RGBA", "LA", "PA", "RGBa", "La")
BACKGROUND = "white"


def as_rgb(image: Image.Image, white_is_zero: bool = False) -> Image.Image:
    """A picture of any mode of Pillow as RGB; `white_is_zero` concerns deep grey alone."""
    if image.mode.startswith(("I", "F")):
        grey = scaled_to_bytes(np.asarray(image))
        return Image.fromarray(255 - grey if white_is_zero else grey).convert("RGB")
    if image.mode in ALPHA_MODES or "transparency" in image.info:
        image = image.convert("RGBA")
        behind = Image.new("RGBA", image.size, BACKGROUND)
        return Image.alpha_composite(behind, image).convert("RGB")
    return image.convert("RGB")


def scaled_to_bytes(grey: np.ndarray) -> np.ndarray:
    """Grey (H, W) of any type as uint8, by the rule of this module; what is not finite becomes black."""
    shade = grey.astype(np.float32)
    np.nan_to_num(shade, copy=False, posinf=0, neginf=0)
    low, high = min(float(shade.min()), 0.0), float(shade.max())
    if low == 0:
        is_share = grey.dtype.kind == "f" and high <= 1
        fitting = (2**bits - 1 for bits in DEPTH_BITS if high <= 2**bits - 1)
        high = 1.0 if is_share else float(next(fitting, high))
    shade -= low
    shade *= 255 / max(high - low, 1e-30)
    shade += 0.5
    return shade.clip(0, 255, out=shade).astype(np.uint8)


def check_size(path: Path, image: Image.Image) -> None:
    """Raises InputError for a picture that takes more memory than it should."""
    width, height = image.size
    pixels = width * height
    if image.format in ("JPEG", "MPO"):
        taken = pixels * _jpeg_bytes(image)
    else:
        taken = pixels * (4 + DECODER_BYTES.get(image.format, 0))
    if taken > MOST_BYTES:
        raise InputError(
            f"{path}: {width} x {height} pixels are too many, decoding them would take {taken / 1e9:.1f} GB",
            hint="save a smaller copy",
        )


def _jpeg_bytes(image: Image.Image) -> float:
    """What decoding at an eighth of the size takes a pixel; a progressive one holds all its coefficients."""
    if not image.info.get("progressive"):
        return 4 / 64
    areas = [across * down for _, across, down, *_ in image.layer]
    return 4 / 64 + 2 * sum(areas) / max(areas)


def reduced(image: Image.Image) -> Image.Image:
    """At most LARGEST_PX of a picture: RGB, the means of squares, or every so manieth pixel of deep grey."""
    factor = math.ceil(math.sqrt(image.width * image.height / LARGEST_PX))
    if factor < 2:
        return image
    image.draft(image.mode, (image.width // factor, image.height // factor))  # only JPEG can do that
    image.load()  # which turns a TIFF upright
    factor = math.ceil(math.sqrt(image.width * image.height / LARGEST_PX))
    small = (math.ceil(image.width / factor), math.ceil(image.height / factor))
    if image.mode.startswith(("I", "F")):
        return image.resize(small, Image.Resampling.NEAREST)
    means = Image.new("RGB", small)
    rows = STRIP_ROWS * factor  # at a time: other colours for all of it would take as much memory again
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        means.paste(as_rgb(strip).reduce(factor), (0, top // factor))
    return means
