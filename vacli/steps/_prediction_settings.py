"""The settings of `va predict`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vacli.faces.selection import DEFAULT_FACE
from vacli.inference.run import BUNDLED, is_bundled_run
from vacli.steps._parts import Part


@dataclass(frozen=True, kw_only=True)
class PredictSettings:
    """The inputs, the run (None: the bundled one) and the faces to select.

    weights: name of a feature -> its weights; "" is the single visual feature. allow_mismatch: predict
    from stored features that differ from those of the training, with a warning. live: rows are written
    while a video is read, if exactly one face is visible in the first second with a face
    (`live.LivePredictor`). audio_track: the number of the audio stream, from 1; None for the one that
    `media.audio_tracks` selects. min_quality: frames below it become frames without a prediction; None for
    all frames. one_recording: raise UsageError for several recordings. fill: keep the values of frames whose
    modality is `none`; otherwise they are NaN. speech_model: of `features.registry.speech_models`, whose
    estimate is combined with that of the run. raw: the models' values, without calibration and speech
    detection. record_inputs: hash the inputs for `PredictBatch.inputs`. part: of the inputs, None for all.
    dask: a Dask cluster (`runtime.executor.DaskChoice`), None for this process. given: the fields that a user
    has set, even to their defaults; other fields neither select from tables nor cause warnings.
    """

    inputs: tuple[Path, ...]
    model: Path | None = None
    weights: Mapping[str, Path] = field(default_factory=dict)
    face: str = DEFAULT_FACE
    images: bool = False
    backend: str = "auto"
    device: str = "auto"
    audio_track: int | None = None
    live: bool = False
    allow_mismatch: bool = False
    one_recording: bool = False
    fill: bool = False
    raw: bool = False
    speech_model: str | None = None
    record_inputs: bool = False
    min_quality: float | None = None
    part: Part | None = None
    dask: str | None = None
    given: frozenset[str] = frozenset()

    @property
    def run(self) -> Path:
        """The folder of the run."""
        return self.model or BUNDLED

    @property
    def selects_face(self) -> bool:
        """Whether a user has chosen the face, so that the choice also holds for the faces of a table."""
        return "face" in self.given or self.face not in (DEFAULT_FACE, "all")

    @property
    def is_bundled(self) -> bool:
        """Whether the run is the bundled one, named or not."""
        return is_bundled_run(self.run)
