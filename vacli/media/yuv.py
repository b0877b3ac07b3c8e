"""Pictures as planes of luma and chroma, 8 bits, limited range, chroma of half size (yuv420p).

The matrix of a video is kept, so that its pictures are not converted. Source of the coefficients: ITU-R
BT.601, BT.709 and BT.2020.
"""

from __future__ import annotations

from dataclasses import dataclass

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from vacli.media.probe import VideoStream

FORMAT = "yuv420p"
LIMITED_RANGE = 1  # AVCOL_RANGE_MPEG
BLACK_LUMA, WHITE_LUMA, GREY_CHROMA = 16, 235, 128
HD_HEIGHT_PX = 720  # players assume BT.709 from here on if a file names no matrix
UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED


@dataclass(frozen=True)
class ColourMatrix:
    """A matrix between RGB and YUV.

    code: AVColorSpace of a file. scaler_code: of libswscale. red, blue: their shares of luma.
    """

    code: int
    scaler_code: int
    red: float
    blue: float

    @property
    def luma_weights(self) -> np.ndarray:
        """(3,) float32: the shares of red, green and blue in luma."""
        return np.array([self.red, 1 - self.red - self.blue, self.blue], np.float32)

    def yuv(self, rgb: tuple[int, int, int]) -> tuple[int, int, int]:
        """A colour in limited range."""
        planes = planes_of_rgb(np.full((2, 2, 3), rgb, np.uint8), self)
        return int(planes.y[0, 0]), int(planes.u[0, 0]), int(planes.v[0, 0])


BT601 = ColourMatrix(6, 5, 0.299, 0.114)
BT709 = ColourMatrix(1, 1, 0.2126, 0.0722)
BT2020 = ColourMatrix(9, 9, 0.2627, 0.0593)
MATRICES = {1: BT709, 9: BT2020, 10: BT2020}  # AVColorSpace -> matrix; all others are near BT.601


def matrix_of(picture: av.VideoFrame) -> ColourMatrix:
    """The matrix of a decoded picture, or the one that players assume for its size."""
    if picture.colorspace == UNSPECIFIED:
        return BT709 if picture.height >= HD_HEIGHT_PX else BT601
    return MATRICES.get(picture.colorspace, BT601)


@dataclass(frozen=True, eq=False)
class Planes:
    """y: (H, W) uint8, u, v: (H/2, W/2) uint8; H and W are even."""

    y: np.ndarray
    u: np.ndarray
    v: np.ndarray

    @classmethod
    def of(cls, picture: av.VideoFrame) -> Planes:
        """The planes of a picture of format FORMAT, which share its memory."""
        return cls(*(_plane(picture, index) for index in range(3)))

    @classmethod
    def filled(cls, width_px: int, height_px: int, colour: tuple[int, int, int]) -> Planes:
        """Planes of one colour (y, u, v)."""
        y, u, v = colour
        half = (height_px // 2, width_px // 2)
        return cls(
            np.full((height_px, width_px), y, np.uint8),
            np.full(half, u, np.uint8),
            np.full(half, v, np.uint8),
        )

    def view(self, left: int, top: int, width: int, height: int) -> Planes:
        """A part, which shares the memory; all four numbers are even."""
        rows, columns = slice(top, top + height), slice(left, left + width)
        half = slice(top // 2, (top + height) // 2), slice(left // 2, (left + width) // 2)
        return Planes(self.y[rows, columns], self.u[half], self.v[half])

    def copy_from(self, other: Planes) -> None:
        """Replace all pixels by those of planes of the same size."""
        self.y[:], self.u[:], self.v[:] = other.y, other.u, other.v


class UprightScaler:
    """Scales stored pictures of any format to upright planes of one size, with square pixels."""

    def __init__(self, video: VideoStream, width_px: int, height_px: int, matrix: ColourMatrix) -> None:
        self._orientation = video.orientation
        self._stored_px = video.orientation.size(width_px, height_px)
        self._matrix = matrix
        self._scaler = VideoReformatter()

    def scale(self, picture: av.VideoFrame) -> Planes:
        """The planes; they may share the memory of the picture, so they must not be changed.

        Raises av.FFmpegError or ValueError for a format that libswscale cannot convert.
        """
        width, height = self._stored_px
        scaled = self._scaler.reformat(
            picture,
            width,
            height,
            FORMAT,
            src_colorspace=self._matrix.scaler_code,
            dst_colorspace=self._matrix.scaler_code,
            src_color_range=picture.color_range,
            dst_color_range=LIMITED_RANGE,
            threads=1,
        )
        planes = Planes.of(scaled)
        turn = self._orientation.turn
        return Planes(turn(planes.y), turn(planes.u), turn(planes.v))


def planes_of_rgb(rgb: np.ndarray, matrix: ColourMatrix) -> Planes:
    """Convert (H, W, 3) uint8 with even sizes; chroma is the mean of four pixels."""
    pixels = rgb.astype(np.float32) / 255
    height, width = rgb.shape[:2]
    luma = pixels @ matrix.luma_weights
    colours = pixels.reshape(height // 2, 2, width // 2, 2, 3).mean(axis=(1, 3))
    half = colours @ matrix.luma_weights
    u = (colours[..., 2] - half) / (2 - 2 * matrix.blue)
    v = (colours[..., 0] - half) / (2 - 2 * matrix.red)
    return Planes(_rounded(BLACK_LUMA + 219 * luma), _rounded(128 + 224 * u), _rounded(128 + 224 * v))


def _rounded(values: np.ndarray) -> np.ndarray:
    return np.rint(values).astype(np.uint8)


def _plane(picture: av.VideoFrame, index: int) -> np.ndarray:
    plane = picture.planes[index]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : plane.width]
