"""The videos of several stores."""

from __future__ import annotations

import pytest
from synth import stores

from vacli.errors import UsageError
from vacli.progress import RecordingProgress
from vacli.steps import predict
from vacli.steps._prediction_settings import PredictSettings
from vacli.steps.summarize import SummarizeSettings
from vacli.steps.summarize import run as summarize


def test_videos_of_one_name_in_two_stores_are_refused(tmp_path):
    """Their rows would be pooled as those of one recording."""
    inputs = []
    for name in ("a", "b"):
        made = stores.empty(tmp_path / f"{name}.zarr")
        stores.add_video(made, "clip", 5)
        inputs.append(made.path)
    settings = PredictSettings(inputs=tuple(inputs), device="cpu")
    with pytest.raises(UsageError, match=r"a\.zarr and .*b\.zarr both have a video clip"):
        predict.run(settings, lambda table: None, RecordingProgress())
    with pytest.raises(UsageError, match="both have a video clip"):
        summarize(SummarizeSettings(prediction=settings), RecordingProgress())
