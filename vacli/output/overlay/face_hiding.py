"""Hide the faces of a video: their boxes at every frame, and the change of the pixels.

A detector misses single frames, so a box stays before its first and after its last frame, and is
interpolated in between. In a box only the means of a few cells remain. Networks recognise faces behind
mosaics of 8 and more cells a side (McPherson et al. 2016, https://arxiv.org/abs/1609.00408).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from vacli.media.yuv import Planes

HOLD_S = 0.5
MAX_GAP_S = 3.0  # a longer one within a track is not interpolated
GROWTH = 0.35  # of the box on each side: hair, ears and chin
CELLS = 4  # along the shorter side of a box


@dataclass(frozen=True, eq=False)
class BoxSpan:
    """The boxes of a face in consecutive frames. first: its first frame. boxes: (K, 4), its edges."""

    first: int
    boxes: np.ndarray


def box_spans(times_s: np.ndarray, rows: np.ndarray, boxes: np.ndarray) -> list[BoxSpan]:
    """The boxes (K, 4) that a track has at the frames `rows` (K,), at all frames around and between them."""
    breaks = np.flatnonzero(np.diff(times_s[rows]) > MAX_GAP_S) + 1
    spans = []
    for part in np.split(np.arange(len(rows)), breaks):
        seen_s = times_s[rows[part]]
        first = int(np.searchsorted(times_s, seen_s[0] - HOLD_S))
        end = int(np.searchsorted(times_s, seen_s[-1] + HOLD_S, "right"))
        here_s = times_s[first:end]
        edges = [np.interp(here_s, seen_s, boxes[part, edge]) for edge in range(4)]
        spans.append(BoxSpan(first, np.stack(edges, axis=1)))
    return spans


def boxes_at(spans: Iterable[BoxSpan], row: int) -> np.ndarray:
    """(K, 4): all boxes of a frame."""
    here = [span.boxes[row - span.first] for span in spans if 0 <= row - span.first < len(span.boxes)]
    return np.array(here).reshape(-1, 4)


def hide_faces(picture: Planes, boxes: np.ndarray) -> None:
    """Replace the boxes (K, 4), left, top, right and bottom in pixels, by a few blurred cells each."""
    height, width = picture.y.shape
    for left, top, right, bottom in boxes:
        dx, dy = GROWTH * (right - left), GROWTH * (bottom - top)
        x, y = (2 * int(max(edge, 0) // 2) for edge in (left - dx, top - dy))
        end_x, end_y = 2 * int(min(right + dx, width) // 2), 2 * int(min(bottom + dy, height) // 2)
        if end_x <= x or end_y <= y:
            continue
        part = picture.view(x, y, end_x - x, end_y - y)
        for plane in (part.y, part.u, part.v):
            plane[:] = _cells(plane)


def _cells(plane: np.ndarray) -> np.ndarray:
    """The means of CELLS cells along the shorter side, interpolated to the former size."""
    height, width = plane.shape
    side = max(min(height, width) / CELLS, 1)
    count = max(1, round(width / side)), max(1, round(height / side))
    means = Image.fromarray(np.ascontiguousarray(plane)).resize(count, Image.Resampling.BOX)
    return np.asarray(means.resize((width, height), Image.Resampling.BICUBIC))
