"""Detection around a face that is known already, always at the same size of face.

The detector's points depend on how large the face is in its input: by 4 to 7 % of the distance between
the eyes between one scale and another. So the neighbourhood of the face is brought to one size, and what
comes out is the same whatever the resolution of the video. The points are the mean over all anchors that
agree on the face, weighted by their scores, as in box voting (Gidaris & Komodakis, ICCV 2015): they
tremble less than those of the single best anchor.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnxruntime

from vacli.faces.box_voting import BOX, POINTS, SCORE, voted
from vacli.faces.detect import MEAN_BGR, Detection, anchor_table, overlap
from vacli.faces.resampling import Grid, resampled
from vacli.faces.retinaface import coarse_session

FACE_PX = 208  # longer side of the face's box in the detector's input
INPUT_PX = 224
MEAN_RGB = np.array(MEAN_BGR[::-1])
LOWEST_OVERLAP = 0.2  # with the box before, for it to be the same face


@dataclass(frozen=True)
class RegionDetector:
    """Finds a known face again; thread-safe."""

    threads: int = 1
    score_threshold: float = 0.9
    session: onnxruntime.InferenceSession = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "session", coarse_session(self.threads))

    def near(self, rgb: np.ndarray, box: np.ndarray, quarter_turns: int = 0) -> Detection | None:
        """The face in (H, W, 3) uint8 `rgb` that overlaps `box` (4,) most; None where there is none.

        It is looked for in the picture turned counter-clockwise by `quarter_turns`; what is returned is where
        `rgb` itself shows it.
        """
        side = float(max(box[2] - box[0], box[3] - box[1])) * INPUT_PX / FACE_PX
        corner = (box[:2] + box[2:] - side) / 2
        scale = side / INPUT_PX
        faces = self._faces(_network_input(rgb, corner, side), quarter_turns)
        if not faces:
            return None
        there = (box - np.tile(corner, 2)) / scale
        shared = overlap(there, np.stack([face.box for face in faces]))
        best = int(shared.argmax())
        if shared[best] <= LOWEST_OVERLAP:
            return None
        return faces[best].placed(scale, (float(corner[0]), float(corner[1])))

    def _faces(self, planes: np.ndarray, quarter_turns: int) -> list[Detection]:
        if quarter_turns:
            turned = np.ascontiguousarray(np.rot90(planes, quarter_turns, axes=(2, 3)))
            faces = self._faces(turned, 0)
            return [face.turned_back(quarter_turns, (INPUT_PX, INPUT_PX)) for face in faces]
        out = self.session.run(None, {"input": planes})
        heads = tuple(np.concatenate([out[k][0], out[k + 3][0]]) for k in range(3))
        anchors = anchor_table(INPUT_PX, INPUT_PX, first_stride=1)
        return [
            Detection(face[BOX], float(face[SCORE]), face[POINTS].reshape(5, 2))
            for face in voted(heads, anchors, self.score_threshold)
        ]


def _network_input(rgb: np.ndarray, corner: np.ndarray, side: float) -> np.ndarray:
    """The square of `side` px at `corner` (x, y), both to fractions of a pixel, as the network takes it.

    (1, 3, INPUT_PX, INPUT_PX) float32, blue first, less the mean, which is also what lies outside.
    """
    grid = Grid(float(corner[0]), float(corner[1]), side / INPUT_PX, INPUT_PX, INPUT_PX)
    return resampled(rgb, grid, MEAN_RGB, blue_first=True)[np.newaxis]
