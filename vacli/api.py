"""Prediction from Python: `vacli.predict`, `vacli.predict_frames` and `vacli.Predictor`."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vacli.clock import median_rate_hz
from vacli.errors import InputError, UsageError
from vacli.faces.selection import check_face_choice
from vacli.media.array_audio import sound_of_array
from vacli.media.array_video import ArrayVideo
from vacli.media.audio import Sound
from vacli.output.columns import COLUMNS
from vacli.output.frame_table import FrameTable
from vacli.output.quality_filter import QualityFilter
from vacli.progress import Progress, RecordingProgress
from vacli.steps._batch import Batch
from vacli.steps._prediction_settings import PredictSettings
from vacli.steps._recording_predictor import RecordingPredictor
from vacli.steps._recordings import ModelLoader, predicted_recordings, refuse_parts

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Predictor", "Table", "predict", "predict_frames"]

FRAMES_NAME = "frames"  # the column `input` of predicted arrays


class Table:
    """Columns of equal length by name, as a data frame has them; it is returned if pandas is not installed.

    `table["valence"]` is an array (N,), `len(table)` is N, and iteration gives the names of the columns.
    """

    def __init__(self, columns: Mapping[str, np.ndarray]) -> None:
        self._columns = dict(columns)

    @property
    def columns(self) -> list[str]:
        """The names of the columns, in their order."""
        return list(self._columns)

    def __getitem__(self, name: str) -> np.ndarray:
        return self._columns[name]

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    def __repr__(self) -> str:
        return f"Table of {len(self)} rows: {', '.join(self._columns)}"


class Predictor:
    """A model that is loaded once and predicts many recordings.

    model: a run of `va train`, None for the bundled model. face: which face, "largest", "speaker",
    "left", "right", "all" or the number of a face. device: "auto", "cpu", "cuda", "cuda:1" or "mps". fill:
    keep the values of frames whose `modality` is "none"; otherwise they are NaN. min_quality: frames with a
    lower `quality` become frames without a prediction. progress: receives progress and warnings, None to
    ignore them. Raises VaError if the model cannot be loaded or a setting is wrong.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        face: str | int = "largest",
        device: str = "auto",
        *,
        fill: bool = False,
        min_quality: float | None = None,
        progress: Progress | None = None,
    ) -> None:
        face = str(face)
        check_face_choice(face)
        run = None if model is None else Path(model)
        self._settings = PredictSettings(
            inputs=(), model=run, face=face, device=device, fill=fill, min_quality=min_quality
        )
        QualityFilter(min_quality)  # raises for a wrong value before the model is loaded
        self._progress = progress or RecordingProgress()
        self._loader = ModelLoader(self._settings, self._progress)
        self._predictor = RecordingPredictor(
            self._settings, self._loader.extracting, refuse_parts, self._progress
        )

    def predict(self, path: str | os.PathLike[str]) -> pd.DataFrame | Table:
        """The rows of a video, a sound file, a folder of either, or a store: those of `va predict PATH`.

        Returns a pandas DataFrame, or a Table without pandas. It has a row for each frame and the columns of
        the README; `face_id` is -1 if no face was detected. Values are not rounded. Raises VaError if an
        input cannot be read.
        """
        inputs = PredictSettings(inputs=(Path(path),), model=self._settings.model, face=self._settings.face)
        batch = Batch(Path(path))
        tables = [
            table
            for recording in predicted_recordings(inputs, batch, self._progress, self._loader)
            for table in recording.load()
        ]
        for failure in batch.failed:
            raise InputError(failure.reason)
        return self._result(tables)

    def predict_frames(
        self,
        frames: Iterable[np.ndarray],
        times_s: Iterable[float],
        audio: np.ndarray | None = None,
        rate_hz: int | None = None,
    ) -> pd.DataFrame | Table:
        """The rows of frames that are in memory, as `predict` gives those of a file.

        frames: (N, H, W, 3) uint8, RGB and upright, or an iterable of N such pictures, which are not kept.
        times_s: (N,) seconds, strictly ascending. audio: (S,) or (S, channels), floats of full scale 1 or
        integers; its first sample belongs to time 0. rate_hz: samples a second, needed with audio. Raises
        InputError for other shapes, types and values.
        """
        video = ArrayVideo(frames, times_s)
        sound = None if audio is None else _sound(audio, rate_hz, video.times_s)
        return self._result(list(self._predictor.frame_tables(FRAMES_NAME, video, sound)))

    def _result(self, tables: list[FrameTable]) -> pd.DataFrame | Table:
        made = tables if self._settings.fill else [table.without_unsupported() for table in tables]
        filtered = QualityFilter(self._settings.min_quality)
        made = [filtered(table) for table in made]
        if filtered.report:
            self._progress.info(filtered.report)
        return _joined(made)


def predict(
    path: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] | None = None,
    face: str | int = "largest",
    device: str = "auto",
    fill: bool = False,
    min_quality: float | None = None,
) -> pd.DataFrame | Table:
    """The rows of one recording, or of all in a folder; see `Predictor` and `Predictor.predict`."""
    return Predictor(model, face, device, fill=fill, min_quality=min_quality).predict(path)


def predict_frames(
    frames: Iterable[np.ndarray],
    times_s: Iterable[float],
    audio: np.ndarray | None = None,
    rate_hz: int | None = None,
    *,
    model: str | os.PathLike[str] | None = None,
    face: str | int = "largest",
    device: str = "auto",
    fill: bool = False,
    min_quality: float | None = None,
) -> pd.DataFrame | Table:
    """The rows of frames that are in memory; see `Predictor` and `Predictor.predict_frames`."""
    return Predictor(model, face, device, fill=fill, min_quality=min_quality).predict_frames(
        frames, times_s, audio, rate_hz
    )


def _sound(audio: np.ndarray, rate_hz: int | None, times_s: np.ndarray) -> Sound:
    if rate_hz is None:
        raise UsageError("audio needs rate_hz", hint="give its samples a second")
    frame_hz = median_rate_hz(times_s)
    last_s = 1 / frame_hz if np.isfinite(frame_hz) else 0.0  # the last frame lasts as long as the others
    return sound_of_array(audio, rate_hz, float(times_s[-1]) + last_s)


def _joined(tables: list[FrameTable]) -> pd.DataFrame | Table:
    """The rows of all tables below each other."""
    columns: dict[str, Any] = {
        name: np.concatenate([table.columns[name] for table in tables]) for name in COLUMNS if name != "input"
    }
    columns["input"] = np.concatenate([np.full(len(table), table.name, object) for table in tables])
    if importlib.util.find_spec("pandas") is None:
        return Table(columns)
    import pandas as pd

    return pd.DataFrame(columns)
