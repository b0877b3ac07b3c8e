"""Detection in the region around a known face, which is scaled to one size of face.

The detector's landmarks depend on the size of the face in its input: they differ by 4 to 7 % of the distance
between the eyes between two scales. So the region is scaled to one size, and the result does not depend on
the resolution of the video. Box and landmarks are means over all anchors that agree on the face
(`box_voting`), which jitter less than those of the best anchor.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from vacli.faces.box_voting import BOX, POINTS, SCORE, box_voting
from vacli.faces.detect import MEAN_BGR, Detection, anchor_table, iou
from vacli.faces.resampling import Grid, resample
from vacli.faces.retinaface import coarse_session

if TYPE_CHECKING:
    import onnxruntime

FACE_PX = 208  # longer side of the face's box in the detector's input
INPUT_PX = 224
MEAN_RGB = np.array(MEAN_BGR[::-1])
MIN_IOU = 0.2  # with the known box


@dataclass(frozen=True)
class RegionDetector:
    """Detects a known face again; thread-safe. `threads` are those of onnxruntime."""

    threads: int = 1
    score_threshold: float = 0.9
    session: onnxruntime.InferenceSession = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "session", coarse_session(self.threads))

    def redetect(self, rgb: np.ndarray, box: np.ndarray, quarter_turns: int = 0) -> Detection | None:
        """Return the face in (H, W, 3) uint8 `rgb` that overlaps `box` (4,) most; None if there is none.

        The network is applied to the picture rotated counter-clockwise by `quarter_turns`; the result is in
        the coordinates of `rgb`.
        """
        side = float(max(box[2] - box[0], box[3] - box[1])) * INPUT_PX / FACE_PX
        corner = (box[:2] + box[2:] - side) / 2
        scale = side / INPUT_PX
        faces = self._faces(_network_input(rgb, corner, side), quarter_turns)
        if not faces:
            return None
        known = (box - np.tile(corner, 2)) / scale
        overlaps = iou(known, np.stack([face.box for face in faces]))
        best = int(overlaps.argmax())
        if overlaps[best] <= MIN_IOU:
            return None
        return faces[best].rescaled(scale, (float(corner[0]), float(corner[1])))

    def _faces(self, planes: np.ndarray, quarter_turns: int) -> list[Detection]:
        if quarter_turns:
            rotated = np.ascontiguousarray(np.rot90(planes, quarter_turns, axes=(2, 3)))
            faces = self._faces(rotated, 0)
            return [face.rotated_back(quarter_turns, (INPUT_PX, INPUT_PX)) for face in faces]
        out = self.session.run(None, {"input": planes})
        offsets, logits, points = (np.concatenate([out[k][0], out[k + 3][0]]) for k in range(3))
        anchors = anchor_table(INPUT_PX, INPUT_PX, first_stride=1)
        return [
            Detection(face[BOX], float(face[SCORE]), face[POINTS].reshape(5, 2))
            for face in box_voting((offsets, logits, points), anchors, self.score_threshold)
        ]


def _network_input(rgb: np.ndarray, corner: np.ndarray, side: float) -> np.ndarray:
    """Resample the square of `side` px at `corner` (x, y), both to fractions of a pixel, for the network.

    Returns: (1, 3, INPUT_PX, INPUT_PX) float32, blue first, minus the mean; 0 outside the picture.
    """
    grid = Grid(float(corner[0]), float(corner[1]), side / INPUT_PX, INPUT_PX, INPUT_PX)
    return resample(rgb, grid, MEAN_RGB, blue_first=True)[np.newaxis]
