"""Steps of a run's models equal its windows over a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synth.runs import LENGTH, RECIPE, sequence, write_run

from vacli.errors import UsageError
from vacli.inference import run as run_module
from vacli.inference.prediction import model_outputs
from vacli.inference.run import Run, load_run
from vacli.inference.step_predictor import StepPredictor, ensemble_stepper
from vacli.recipe.schema import Tcn, Transformer
from vacli.sequences import windows

CENTRED = replace(RECIPE, model=replace(RECIPE.model, tcn=Tcn(channels=(8,), kernel=3, causal=False)))
ATTENTION = replace(RECIPE, model=replace(RECIPE.model, temporal=Transformer(d_model=16, n_heads=2)))
STRIDE = RECIPE.window.stride_frames


def two_folds(path: Path, recipe=RECIPE) -> Run:
    for fold in (1, 2):
        write_run(path / f"fold_{fold}", seed=fold, recipe=recipe)
    return load_run(path)


def stepped(run: Run, rows) -> np.ndarray:
    """(M, T, 2)."""
    predictor = StepPredictor(run)
    outputs = [
        predictor.step({name: x[t : t + 1] for name, x in rows.streams.items()}, {})[0]
        for t in range(len(rows))
    ]
    return np.stack(outputs, axis=1)


@pytest.mark.parametrize(
    "in_torch", [False, pytest.param(True, marks=pytest.mark.torch)], ids=["numpy", "torch"]
)
@pytest.mark.parametrize("frames", [1, LENGTH, 3 * STRIDE + LENGTH, 3 * STRIDE + LENGTH + 2])
def test_steps_equal_windows_before_the_last_window_is_moved(tmp_path, monkeypatch, frames, in_torch):
    if in_torch:
        pytest.importorskip("torch")
        monkeypatch.setattr(run_module.arrays, "supports", lambda model: False)
    run, rows = two_folds(tmp_path), sequence(frames)
    rows.streams["audio"][frames // 3 : frames // 2] = np.nan
    whole = model_outputs(run, rows)
    regular = np.arange(0, frames, STRIDE)  # the windows of a source that goes on
    planned = windows.plan(frames, RECIPE.window)
    differing = np.setdiff1d(regular, planned).tolist() + np.setdiff1d(planned, regular).tolist()
    same = min(differing, default=frames)
    assert same > 0
    np.testing.assert_allclose(stepped(run, rows)[:, :same], whole[:, :same], atol=1e-5)


def test_a_smoothing_run_averages_over_the_past(tmp_path):
    recipe = replace(RECIPE, window=replace(RECIPE.window, smooth_frames=9))
    smooth, plain = two_folds(tmp_path / "smooth", recipe), two_folds(tmp_path / "plain")
    rows = sequence(LENGTH)
    raw = stepped(plain, rows)[:, :STRIDE]
    got = stepped(smooth, rows)[:, :STRIDE]
    wanted = np.stack([raw[:, max(0, t - 4) : t + 1].mean(axis=1) for t in range(STRIDE)], axis=1)
    np.testing.assert_allclose(got, wanted, atol=1e-6)


def test_a_sequence_that_continues_another_has_its_past(tmp_path):
    run, rows = two_folds(tmp_path), sequence(LENGTH)
    wanted = stepped(run, rows)
    predictor = StepPredictor(run)
    for t in range(LENGTH):
        if t == 3:
            predictor.select([0, 0])
        if t == 5:
            predictor.select([1])
        here = {name: np.repeat(x[t : t + 1], predictor.n_sequences, 0) for name, x in rows.streams.items()}
        if t in (3, 4):
            for x in here.values():
                x[0] += 1  # of the other one
        got = predictor.step(here, {})
        np.testing.assert_allclose(got[-1], wanted[:, t], atol=1e-6)


@pytest.mark.torch
@pytest.mark.parametrize("recipe", [CENTRED, ATTENTION], ids=["centred", "transformer"])
def test_models_that_depend_on_later_frames_are_refused(tmp_path, recipe):
    pytest.importorskip("torch")
    run = two_folds(tmp_path, recipe)
    with pytest.raises(UsageError, match="depends on later frames") as error:
        ensemble_stepper(run)
    assert "causal" in error.value.hint
    assert "\n" not in error.value.one_line()
