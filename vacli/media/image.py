"""Single pictures as RGB, whatever their format, depth and size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image

from vacli.errors import InputError, PackageMissing
from vacli.media.pixels import as_rgb, check_size, reduced
from vacli.media.signature import head_of, picture_format
from vacli.packages import require

PLAYED = ("GIF", "PNG")  # animated ones are videos to FFmpeg; of other formats it does not show them
JPEG_FORMATS = ("JPEG", "MPO")
JPEG_DAMAGE = ("Corrupt JPEG data", "Premature end of JPEG file")  # how libjpeg's warnings of damage begin
RUN_PROGRAMS = ("EPS",)  # formats that Pillow has another program read
ORIENTATION_TAG = 0x0112
UPRIGHT = {
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
class Picture:
    """rgb (H, W, 3) uint8, upright. reduced_by: how many times larger the picture itself is. note: what a
    user should know of it, or None."""

    rgb: np.ndarray
    reduced_by: float = 1.0
    note: str | None = None


def read_picture(path: Path) -> Picture:
    """A picture file, turned as its EXIF tag asks.

    Raises InputError if it cannot be read or is too large, PackageMissing for a format that needs another
    package.
    """
    with _opened(path) as image:
        size = image.size
        check_size(path, image)
        pages = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
        white_is_zero = getattr(image, "tag_v2", {}).get(WHITE_IS_ZERO_TAG) == 0
        small = reduced(image)
        image.load()
        orientation = image.getexif().get(ORIENTATION_TAG, 1)  # 1 where loading has turned it already
        if small is not image:
            image.close()  # which frees the large one
        rgb = as_rgb(small, white_is_zero)
    if orientation in UPRIGHT:
        rgb = rgb.transpose(UPRIGHT[orientation])
    notes = [f"holds {pages} pictures, of which the first is used"] if pages > 1 else []
    notes += _jpeg_damage(path) if image.format in JPEG_FORMATS else []
    return Picture(np.array(rgb), max(size) / max(rgb.size), "; ".join(notes) or None)


def _jpeg_damage(path: Path) -> list[str]:
    """What libjpeg warns of while it decodes a file, which Pillow does not pass on."""
    try:
        simplejpeg.decode_jpeg(path.read_bytes(), min_height=1, min_width=1, strict=True)
    except ValueError as problem:
        reason = str(problem)
        if reason.startswith(JPEG_DAMAGE):
            return [f"the file is damaged, and a part of the picture may be wrong ({reason})"]
    return []


def read_image(path: Path) -> np.ndarray:
    """The pixels of `read_picture`, (H, W, 3) uint8."""
    return read_picture(path).rgb


def is_picture(path: Path) -> bool:
    """Whether a file begins like a picture of any format that is known."""
    try:
        with _opened(path):
            return True
    except (InputError, PackageMissing):
        return False


def is_played(path: Path, picture_format: str) -> bool:
    """Whether a picture of this format is an animation that can be read as a video."""
    if picture_format not in PLAYED:
        return False
    try:
        with _opened(path) as image:
            return bool(getattr(image, "is_animated", False))
    except InputError:
        return False  # which is said when it is read


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """The picture, not decoded yet; whatever goes wrong with it is an InputError."""
    try:
        name = picture_format(head_of(path))
        if name == "HEIF":
            _register_heif(path)
        elif name == "AVIF" and "AVIF" not in _known_formats():
            hint = "pip install --upgrade 'pillow>=11.3'"
            raise PackageMissing(f"{path}: AVIF pictures need a newer Pillow", package="PIL", hint=hint)
        formats = [name] if name else [other for other in _known_formats() if other not in RUN_PROGRAMS]
        with _without_limit(), Image.open(path, formats=formats) as image:
            yield image
    except (InputError, PackageMissing):
        raise
    except MemoryError:
        raise InputError(f"{path}: there is not enough memory for this picture") from None
    except Exception as problem:  # Pillow raises whatever a broken file leads its parsers to
        reason = str(problem).replace(f" {str(path)!r}", "") or type(problem).__name__
        raise InputError(f"{path}: cannot be read as a picture ({reason})") from None


@contextmanager
def _without_limit() -> Iterator[None]:
    """Pillow warns of large pictures, or refuses them; here the memory that they take is limited."""
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _known_formats() -> list[str]:
    Image.init()
    return list(Image.ID)


def _register_heif(path: Path) -> None:
    require("pillow_heif", f"{path}, a HEIC picture,")
    import pillow_heif

    pillow_heif.register_heif_opener()
