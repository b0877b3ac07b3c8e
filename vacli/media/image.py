"""Single images as RGB, of all supported formats, depths and sizes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from vacli.errors import InputError, PackageMissing
from vacli.media.jpeg import DAMAGE_WARNINGS, jpeg_error
from vacli.media.pixels import check_size, reduce_large, to_rgb
from vacli.media.signature import image_format, read_head
from vacli.packages import require

ANIMATION_FORMATS = ("GIF", "PNG")  # FFmpeg reads animations of these formats only
JPEG_FORMATS = ("JPEG", "MPO")
EXTERNAL_FORMATS = ("EPS",)  # Pillow runs another program to read them
ORIENTATION_TAG = 0x0112
EXIF_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
WHITE_IS_ZERO_TAG = 262  # of TIFF, with the value 0


@dataclass(frozen=True, eq=False)
class LoadedImage:
    """rgb: (H, W, 3) uint8, upright. reduced_by: factor of the reduction. note: for the user, or None."""

    rgb: np.ndarray
    reduced_by: float = 1.0
    note: str | None = None


def read_image(path: Path) -> LoadedImage:
    """Read an image file and make it upright by its EXIF tag.

    Raises InputError if it cannot be read or is too large, PackageMissing for a format that needs another
    package.
    """
    with _open_image(path) as image:
        size = image.size
        check_size(path, image)
        pages = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
        white_is_zero = getattr(image, "tag_v2", {}).get(WHITE_IS_ZERO_TAG) == 0
        small = reduce_large(image)
        image.load()
        orientation = image.getexif().get(ORIENTATION_TAG, 1)  # 1 if loading has made it upright
        if small is not image:
            image.close()  # frees its memory
        rgb = to_rgb(small, white_is_zero)
    if orientation in EXIF_TRANSPOSES:
        rgb = rgb.transpose(EXIF_TRANSPOSES[orientation])
    notes = [f"has {pages} images, of which the first is used"] if pages > 1 else []
    notes += _jpeg_damage(path) if image.format in JPEG_FORMATS else []
    return LoadedImage(np.array(rgb), max(size) / max(rgb.size), "; ".join(notes) or None)


def _jpeg_damage(path: Path) -> list[str]:
    """Return a note if libjpeg has a warning of damage, which Pillow ignores."""
    error = jpeg_error(path.read_bytes())
    if error and error.startswith(DAMAGE_WARNINGS):
        return [f"the file is damaged, and a part of the image may be wrong ({error})"]
    return []


def read_rgb(path: Path) -> np.ndarray:
    """Return the pixels of `read_image`, (H, W, 3) uint8."""
    return read_image(path).rgb


def is_image_file(path: Path) -> bool:
    """Return whether Pillow can open a file."""
    try:
        with _open_image(path):
            return True
    except (InputError, PackageMissing):
        return False


def is_animation(path: Path, image_format: str) -> bool:
    """Return whether an image of this format is an animation that can be read as a video."""
    if image_format not in ANIMATION_FORMATS:
        return False
    try:
        with _open_image(path) as image:
            return bool(getattr(image, "is_animated", False))
    except InputError:
        return False  # reading it reports the error


@contextmanager
def _open_image(path: Path) -> Iterator[Image.Image]:
    """Open an image without decoding it; all errors, also of decoding in this context, become InputErrors."""
    try:
        name = image_format(read_head(path))
        if name == "HEIF":
            _register_heif(path)
        elif name == "AVIF" and "AVIF" not in _known_formats():
            hint = "pip install --upgrade 'pillow>=11.3'"
            raise PackageMissing(f"{path}: AVIF images need a newer Pillow", package="PIL", hint=hint)
        formats = [name] if name else [other for other in _known_formats() if other not in EXTERNAL_FORMATS]
        with _without_limit(), Image.open(path, formats=formats) as image:
            yield image
    except (InputError, PackageMissing):
        raise
    except MemoryError:
        raise InputError(f"{path}: there is not enough memory for this image") from None
    except Exception as problem:  # the parsers of Pillow raise errors of many types
        reason = str(problem).replace(f" {str(path)!r}", "") or type(problem).__name__
        raise InputError(f"{path}: cannot be read as an image ({reason})") from None


@contextmanager
def _without_limit() -> Iterator[None]:
    """Switch off Pillow's limit on the size of images, because `check_size` limits their memory."""
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _known_formats() -> list[str]:
    Image.init()
    return list(Image.ID)


def _register_heif(path: Path) -> None:
    require("pillow_heif", f"{path}, a HEIC image,")
    import pillow_heif

    pillow_heif.register_heif_opener()
