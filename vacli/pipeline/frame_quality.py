"""The quality of a frame: the reliability of its prediction, from 0 to 1.

The factors of a face are those of `faces.quality`. Two more are 0 up to a first value of a measure, 1 from a
second one on, and linear in between:

| factor | measure | 0 | 1 |
|---|---|---|---|
| sound_level | level in dB over 1 s (`media.sound_level`) | -65 | -50 |
| uncertainty | root mean square of both uncertainties | 0.8 | 0.25 |

The quality of a face is its lowest factor. The quality of a frame is that of its face (`visual`), the
sound_level (`audio`), or the higher one of its face and SOUND_WEIGHT of the sound_level (`audiovisual`),
but at most the uncertainty's factor. It is 0 for `none`. A measure that is not known has no factor: stores
lack the sound level, folders of aligned faces all but sharpness and uncertainty.

The ends of the factors were chosen on FER+ faces that were blurred, darkened, reduced, turned or covered. On
its 3,579 validation faces, clean and under the eleven `image_degradation.DEGRADATIONS`, the error against
mapped labels is 0.17 (root mean square) at a quality of 1, 0.25 at 0.8 to 1, 0.27 at 0.5 to 0.8, 0.30 at 0.3
to 0.5, 0.32 at 0.2 to 0.3, and 0.34 below 0.2. Below RECOMMENDED_MIN_QUALITY it is 0.34, else 0.25; 2 % of
the clean faces are below it.
SOUND_WEIGHT: with a heavily blurred face, audiovisual predictions deviate by 0.25 from those of the clear
face, which is about the error at a quality of 0.25.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vacli.faces.quality import face_factors, ramp, stack_factors
from vacli.output.frame_table import NO_MODALITY
from vacli.pipeline.observation import Observation

LEVEL_DB = (-65.0, -50.0)
UNCERTAINTY = (0.8, 0.25)
SOUND_WEIGHT = 0.25  # of audiovisual frames


@dataclass(frozen=True, eq=False)
class FrameQuality:
    """values (N,) from 0 to 1. limits (N,): the lowest factor, empty where all are 1."""

    values: np.ndarray
    limits: np.ndarray


def frame_quality(observed: Observation, modality: np.ndarray, uncertainty: np.ndarray) -> FrameQuality:
    """The quality of the N frames of an observation.

    modality: (N,) as in the column. uncertainty: (N, 2), NaN where unknown.
    """
    faces = observed.faces
    face = _lowest(face_factors(faces.score, faces.box, faces.landmarks, faces.sharpness))
    sound = _lowest({"sound_level": ramp(observed.level_db, *LEVEL_DB)})
    is_audio = modality == "audio"
    both = np.maximum(face.values, np.where(modality == "audiovisual", SOUND_WEIGHT * sound.values, 0.0))
    values = np.where(is_audio, sound.values, both)
    limits = np.where(is_audio, sound.limits, face.limits)
    certainty = ramp(np.sqrt(np.mean(np.square(uncertainty, dtype=np.float64), axis=1)), *UNCERTAINTY)
    is_uncertain = certainty < values  # False where unknown
    is_none = modality == NO_MODALITY
    values = np.where(is_none, 0.0, np.where(is_uncertain, certainty, values))
    limits = np.where(is_uncertain, "uncertainty", limits)
    limits = np.where(is_none, "no_face_or_speech", np.where(values < 1, limits, ""))
    return FrameQuality(values, limits)


def _lowest(factors: Mapping[str, np.ndarray]) -> FrameQuality:
    """The lowest factor of each row and its name; 1 and the first name where all are unknown."""
    stacked = stack_factors(factors.values())
    return FrameQuality(stacked.min(axis=0), np.array(list(factors))[stacked.argmin(axis=0)])
