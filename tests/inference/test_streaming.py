"""Told while it comes, a trajectory is the one of the whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synth.runs import LENGTH, RECIPE, sequence, write_run

from vacli.errors import InputError
from vacli.inference.calibration import ALONE, Calibration, Error, Stretch
from vacli.inference.prediction import predict_sequence
from vacli.inference.run import Run, load_run
from vacli.inference.speech_detection import Speech
from vacli.inference.streaming import Unfolding
from vacli.recipe.schema import Tcn

CENTRED = replace(RECIPE, model=replace(RECIPE.model, tcn=Tcn(channels=(8,), kernel=3, causal=False)))
SMOOTH = replace(RECIPE, window=replace(RECIPE.window, smooth_frames=9))


def judging(run: Run) -> Run:
    """To tell of a recording without a face, most of whose sound is a little unlike speech."""
    speech = Speech(
        least=np.full(2, 0.01),
        centre=np.array([-1, -1, 0.8, 0.8]),
        scale=np.array([0.25, 0.25, 0.1, 0.1]),
        middle=np.zeros(4),
        whitening=np.eye(4),
    )
    stretch = Stretch(centre=(0, 0), factor=(1, 1), target=(0, 0))
    calibration = Calibration({ALONE: Error((0.1, 0.1), (1, 1), stretch)})
    return replace(run, faceless=True, calibration=calibration, speech=speech)


@pytest.mark.parametrize("judged", [False, True], ids=["", "judged"])
@pytest.mark.parametrize("recipe", [RECIPE, CENTRED, SMOOTH], ids=["causal", "centred", "smooth"])
@pytest.mark.parametrize("frames", [1, 7, LENGTH, LENGTH + 1, 3 * LENGTH + 5])
@pytest.mark.parametrize("step", [1, 11, 1000])
def test_the_parts_are_the_whole(tmp_path: Path, recipe, frames: int, step: int, judged: bool) -> None:
    for fold in (1, 2):
        write_run(tmp_path / "run" / f"fold_{fold}", seed=fold, recipe=recipe)
    run, rows = load_run(tmp_path / "run"), sequence(frames)
    rows.streams["audio"][frames // 3 : frames // 2] = np.nan
    if judged:
        run = judging(run)
        rows.streams["visual"][:] = np.nan
    whole = predict_sequence(run, rows, rows.times_s)
    coming = sequence(frames)
    for stream in coming.streams.values():
        stream[:] = np.nan
    unfolding, parts = Unfolding(run, coming, rows.times_s), []
    for known in [*range(0, frames, step), frames]:
        for name, stream in coming.streams.items():
            stream[:known] = rows.streams[name][:known]
        if known >= unfolding.due and unfolding.told < frames:
            parts.append(unfolding.upto(known))
            assert unfolding.told <= known
    assert unfolding.told == frames
    for name in ("times_s", "values", "sd", "spread"):
        together = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_allclose(together, getattr(whole, name), atol=1e-6)
    assert np.concatenate([part.states for part in parts]).tolist() == whole.states.tolist()


@pytest.mark.parametrize("ahead", [CENTRED, SMOOTH], ids=["centred", "smooth"])
def test_a_causal_run_tells_the_beginning_early_and_another_waits_for_a_window(tmp_path: Path, ahead) -> None:
    rows = sequence(200)
    causal = Unfolding(load_run(write_run(tmp_path / "a")), rows, rows.times_s)
    centred = Unfolding(load_run(write_run(tmp_path / "b", recipe=ahead)), rows, rows.times_s)
    assert (causal.due, centred.due) == (1, LENGTH)
    assert len(causal.upto(9).values) == 9
    assert causal.due == LENGTH
    assert len(centred.upto(LENGTH).values) == RECIPE.window.stride_frames


def test_other_widths_are_refused_at_once(tmp_path: Path) -> None:
    rows = sequence(9)
    rows.streams["audio"] = np.zeros((9, 5), np.float32)
    with pytest.raises(InputError, match="audio"):
        Unfolding(load_run(write_run(tmp_path / "a")), rows, rows.times_s)
