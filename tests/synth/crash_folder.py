"""A job for `crashes`: write an output folder of `va predict`, with a fixed prediction of each file."""

from __future__ import annotations

import os
from pathlib import Path

from synth.frame_tables import frame_table

from vacli.output import subtitles, writers  # noqa: F401  (imported once, and not in each fork)
from vacli.steps import _recordings
from vacli.steps._prediction_settings import PredictSettings
from vacli.steps.predict_folder import PredictFolderSettings, run


def predict_media(folder: Path) -> None:
    """Write the files of `media` into `out`; relative paths give the same bytes in every folder."""
    os.chdir(folder)
    _recordings.with_extractors = lambda loaded, settings, progress: loaded
    _recordings.RecordingPredictor.tables = lambda self, item: iter([frame_table(str(item.path))])
    prediction = PredictSettings(inputs=(Path("media"),), device="cpu")
    assert not run(PredictFolderSettings(prediction=prediction, folder=Path("out"), also=(".vtt",))).failed
