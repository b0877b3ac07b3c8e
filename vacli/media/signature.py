"""Detection of file formats from the first bytes."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from vacli.files.object_path import ObjectPath

HEAD_BYTES = 4096

# Pillow's names of image formats and the first bytes of their files. Other formats are not supported.
IMAGE_SIGNATURES = {
    "JPEG": re.compile(rb"\xff\xd8\xff"),
    "PNG": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "GIF": re.compile(rb"GIF8[79]a"),
    "WEBP": re.compile(rb"RIFF....WEBP", re.DOTALL),
    "TIFF": re.compile(rb"II[*+]\0|MM\0[*+]"),
    "BMP": re.compile(rb"BM.{4}\0{4}.{4}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", re.DOTALL),
    "JPEG2000": re.compile(rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n"),
    "PPM": re.compile(rb"P[456]\s+[#\d]"),
    "AVIF": re.compile(rb".{4}ftyp(avif|avis|(mif1|msf1).{4}(....)*?(avif|avis))", re.DOTALL),
    "HEIF": re.compile(rb".{4}ftyp(heic|heix|heim|heis|hevc|hevx|hevm|hevs|mif1|msf1)", re.DOTALL),
}
# Formats that are not media, but in whose files a decoder may find frames.
OTHER_SIGNATURES = (
    b"PK\x03\x04",  # zip, and with it docx, xlsx, npz, jar, pt
    b"PK\x05\x06",
    b"%PDF",
    b"\x1f\x8b",  # gzip
    b"BZh",
    b"\xfd7zXZ\x00",
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!\x1a\x07",
    b"\x28\xb5\x2f\xfd",  # zstd
    b"\x89HDF\r\n\x1a\n",
    b"MATLAB 5.0",
    b"\x93NUMPY",
    b"SQLite format 3\x00",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",  # doc, xls, ppt
    b"\x7fELF",
    b"MZ",  # Windows programs
    b"\xca\xfe\xba\xbe",
    b"\xcf\xfa\xed\xfe",
    b"\x00asm",
    b"\x80\x02",  # pickles
    b"\x80\x03",
    b"\x80\x04",
    b"\x80\x05",
    b"PAR1",
    b"ARROW1",
)
BYTE_ORDER_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def read_head(path: Path) -> bytes:
    """Return the first bytes of a file. Raises OSError."""
    if isinstance(path, ObjectPath):
        return path.read_range(0, HEAD_BYTES)
    with open(path, "rb", buffering=0) as file:
        return file.read(HEAD_BYTES)


def image_format(head: bytes) -> str | None:
    """Return Pillow's name of the image format with these first bytes; None if it is no image."""
    for name, signature in IMAGE_SIGNATURES.items():
        if signature.match(head):
            return None if name == "PPM" and is_text(head) else name  # a table may begin with "P5 1"
    return None


def is_text(head: bytes) -> bool:
    """Return whether these are the first bytes of text in UTF-8, UTF-16, or an older code page."""
    if head.startswith(BYTE_ORDER_MARKS):
        return True
    if not head or CONTROL.search(head):
        return False
    return sum(byte < 0x80 for byte in head) > 0.7 * len(head)


def is_other_format(head: bytes) -> bool:
    """Return whether these are the first bytes of an archive, a document, a program or an array."""
    return head.startswith(OTHER_SIGNATURES)
