"""The parts of a streamed trajectory equal the trajectory of the whole video."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synth.runs import LENGTH, RECIPE, sequence, write_run

from vacli.errors import InputError
from vacli.inference import prediction
from vacli.inference.calibration import Calibration
from vacli.inference.error_model import ErrorModel
from vacli.inference.postprocessing import PostProcessor
from vacli.inference.prediction import predict_sequence
from vacli.inference.run import BUNDLED, Run, load_run
from vacli.inference.speech_detection import SpeechDetector
from vacli.inference.states import FrameState
from vacli.inference.streaming import StreamingPredictor
from vacli.inference.voice import VoiceEvidence
from vacli.recipe.schema import Tcn
from vacli.sequences.base import FeatureSequence

CENTRED = replace(RECIPE, model=replace(RECIPE.model, tcn=Tcn(channels=(8,), kernel=3, causal=False)))
SMOOTH = replace(RECIPE, window=replace(RECIPE.window, smooth_frames=9))


def with_speech_gate(run: Run) -> Run:
    """For a recording without a face, most of whose sound has speech scores between 0 and 1."""
    speech = SpeechDetector(
        min_movement=np.full(2, 0.01),
        centre=np.array([-1, -1, 0.8, 0.8]),
        scale=np.array([0.25, 0.25, 0.1, 0.1]),
        mean=np.zeros(4),
        whitening=np.eye(4),
    )
    calibration = Calibration({FrameState.AUDIO_ONLY: ErrorModel((0.1, 0.1), (1, 1), prior_std=(0.5, 0.5))})
    return replace(run, postprocess=PostProcessor(calibration, speech, audio_only=True))


@pytest.mark.parametrize("gated", [False, True], ids=["", "gated"])
@pytest.mark.parametrize("recipe", [RECIPE, CENTRED, SMOOTH], ids=["causal", "centred", "smooth"])
@pytest.mark.parametrize("frames", [1, 7, LENGTH, LENGTH + 1, 3 * LENGTH + 5])
@pytest.mark.parametrize("step", [1, 11, 1000])
def test_the_parts_equal_the_whole(tmp_path: Path, recipe, frames: int, step: int, gated: bool) -> None:
    for fold in (1, 2):
        write_run(tmp_path / "run" / f"fold_{fold}", seed=fold, recipe=recipe)
    run, rows = load_run(tmp_path / "run"), sequence(frames)
    rows.streams["audio"][frames // 3 : frames // 2] = np.nan
    if gated:
        run = with_speech_gate(run)
        rows.streams["visual"][:] = np.nan
    whole = predict_sequence(run, rows, rows.times_s)
    coming = sequence(frames)
    for stream in coming.streams.values():
        stream[:] = np.nan
    predictor, parts = StreamingPredictor(run, coming, rows.times_s), []
    for known in [*range(0, frames, step), frames]:
        for name, stream in coming.streams.items():
            stream[:known] = rows.streams[name][:known]
        if known >= predictor.next_ready and predictor.n_emitted < frames:
            parts.append(predictor.advance(known))
            assert predictor.n_emitted <= known
    assert predictor.n_emitted == frames
    for name in ("times_s", "values", "uncertainty", "ensemble_std"):
        together = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_allclose(together, getattr(whole, name), atol=1e-6)
    assert np.concatenate([part.states for part in parts]).tolist() == whole.states.tolist()


@pytest.mark.parametrize("audio_only", [False, True], ids=["faces", "audio_only"])
def test_a_video_of_several_blocks_equals_one_of_a_single_block(monkeypatch, audio_only: bool) -> None:
    run, draw, frames = load_run(BUNDLED), np.random.default_rng(0), 400
    run = replace(run, postprocess=replace(run.postprocess, audio_only=audio_only))
    streams = {
        s.name: draw.standard_normal((frames, s.dim)).astype(np.float32) for s in run.recipe.model.streams
    }
    streams["visual"][slice(None) if audio_only else slice(100, 140)] = np.nan
    rows = FeatureSequence(video="x", times_s=np.arange(frames) / 25, streams=streams)
    voice = VoiceEvidence(draw.uniform(size=frames), np.full(frames, np.nan))
    whole = predict_sequence(run, rows, rows.times_s, voice)
    monkeypatch.setattr(prediction, "BLOCK_ROWS", 64)
    blocks = predict_sequence(run, rows, rows.times_s, voice)
    for name in ("values", "uncertainty", "ensemble_std"):  # products round by the number of their rows
        np.testing.assert_allclose(getattr(blocks, name), getattr(whole, name), atol=1e-6)
    assert blocks.states.tolist() == whole.states.tolist()


@pytest.mark.parametrize("ahead", [CENTRED, SMOOTH], ids=["centred", "smooth"])
def test_a_causal_run_emits_early_rows_and_another_waits_for_a_window(tmp_path: Path, ahead) -> None:
    rows = sequence(200)
    causal = StreamingPredictor(load_run(write_run(tmp_path / "a")), rows, rows.times_s)
    centred = StreamingPredictor(load_run(write_run(tmp_path / "b", recipe=ahead)), rows, rows.times_s)
    assert (causal.next_ready, centred.next_ready) == (1, LENGTH)
    assert len(causal.advance(9).values) == 9
    assert causal.next_ready == LENGTH
    assert len(centred.advance(LENGTH).values) == RECIPE.window.stride_frames


def test_other_widths_are_refused(tmp_path: Path) -> None:
    rows = sequence(9)
    rows.streams["audio"] = np.zeros((9, 5), np.float32)
    with pytest.raises(InputError, match="audio"):
        StreamingPredictor(load_run(write_run(tmp_path / "a")), rows, rows.times_s)
