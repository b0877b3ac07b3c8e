"""Detection of damage in JPEG data, which decoders replace with grey or smeared blocks without an error."""

from __future__ import annotations

import re

import simplejpeg

DAMAGE_WARNINGS = ("Corrupt JPEG data", "Premature end of JPEG file")  # first words of libjpeg's warnings
PADDING = re.compile(r"Corrupt JPEG data: (\d+) extraneous bytes before marker 0xd9")
MAX_PADDING_BYTES = 32
END_MARKER = b"\xff\xd9"


def jpeg_error(data: bytes) -> str | None:
    """Return the warning or error of libjpeg-turbo for a JPEG image, None if there is none.

    It decodes the luma at an eighth of the size, so that entropy decoding takes most of the time.
    """
    try:
        simplejpeg.decode_jpeg(
            data, "GRAY", fastdct=True, fastupsample=True, min_height=1, min_width=1, strict=True
        )
    except ValueError as error:
        return str(error)
    return None


class MotionJpegChecker:
    """Detects the damaged frames of a Motion JPEG stream.

    Some cameras pad frames with a few bytes or leave out the end marker; both are ignored. An error counts
    only after another frame of the stream has been decoded, because libjpeg supports fewer kinds of JPEG than
    FFmpeg.
    """

    def __init__(self) -> None:
        self._is_supported = False

    def is_damaged(self, data: bytes) -> bool:
        """Return whether the packet of a frame is damaged."""
        error = jpeg_error(data + END_MARKER)
        if error is None:
            self._is_supported = True
            return False
        if error.startswith(DAMAGE_WARNINGS):
            padding = PADDING.match(error)
            return padding is None or int(padding[1]) > MAX_PADDING_BYTES
        return self._is_supported
