"""A speech network from a checkpoint to a table: beside the bundled model, and in a model of one's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.torch
pytest.importorskip("torch", reason="needs torch (pip install '.[train]')")
pytest.importorskip("transformers", reason="needs transformers (pip install '.[speech]')")
pytest.importorskip("opensmile", reason="needs opensmile")

from synth.faces import scene, write_video  # noqa: E402
from synth.speech_checkpoints import write_emotion_checkpoint  # noqa: E402
from synth.stores import put_labels  # noqa: E402

from vacli.datasets.audio_augmentation import write_wav  # noqa: E402
from vacli.features.registry import create_audio  # noqa: E402
from vacli.inference.voice import VoiceEvidence  # noqa: E402
from vacli.media.audio import read_sound  # noqa: E402
from vacli.media.synthetic_speech import syllables  # noqa: E402
from vacli.output.frame_table import FrameTable  # noqa: E402
from vacli.steps import extract_audio, train  # noqa: E402
from vacli.steps.predict import PredictSettings, run  # noqa: E402
from vacli.store import Store  # noqa: E402

FEATURE = "wav2vec2-msp-dim"
PUBLISHED_STD = (0.48, 0.40)  # of the registry's entry


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    return write_emotion_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def spoken(tmp_path_factory) -> list[Path]:
    """Recordings of synthetic voices."""
    folder = tmp_path_factory.mktemp("spoken")
    paths = [folder / f"{number}.wav" for number in range(4)]
    for number, path in enumerate(paths):
        write_wav(path, syllables(4.0, number))
    return paths


def predicted(path: Path, **more: object) -> FrameTable:
    made: list[FrameTable] = []
    assert not run(PredictSettings(inputs=(path,), device="cpu", **more), made.append).failed
    (table,) = made
    return table


def pairs(table: FrameTable, suffix: str = "") -> np.ndarray:
    return np.stack([table.columns[name + suffix] for name in ("valence", "arousal")], axis=1)


def test_a_voice_has_the_precision_weighted_mean_of_both_estimates(spoken, checkpoint):
    own = predicted(spoken[0])
    fused = predicted(spoken[0], speech_model=FEATURE, weights={FEATURE: checkpoint})
    sound, times_s = read_sound(spoken[0]), own.columns["time_s"]
    arousal, _, valence = create_audio(FEATURE, {"weights": checkpoint}).extract(sound, times_s).T
    speech = create_audio("speech", {}).extract(sound, times_s)[:, 0]
    weight = VoiceEvidence(speech, np.full(len(speech), np.nan)).weight[:, np.newaxis]
    assert weight.min() > 0.5
    theirs = np.clip(2 * np.stack([valence, arousal], axis=1) - 1, -1, 1)
    precisions = np.stack([1 / pairs(own, "_uncertainty") ** 2, weight / np.square(PUBLISHED_STD)])
    expected = (precisions * np.stack([pairs(own), theirs])).sum(axis=0) / precisions.sum(axis=0)
    np.testing.assert_allclose(pairs(fused), expected, atol=1e-3)
    assert np.abs(pairs(fused) - pairs(own)).max() > 0.05
    deviations = np.square(np.stack([pairs(own), theirs]) - expected)
    scale = np.sqrt(np.maximum((precisions * deviations).sum(axis=0), 1))
    spread = scale / np.sqrt(precisions.sum(axis=0))
    np.testing.assert_allclose(pairs(fused, "_uncertainty"), spread, atol=1e-3)
    assert set(fused.columns["modality"].tolist()) == {"audio"}


def test_a_face_without_a_voice_is_unchanged(checkpoint, tmp_path):
    silent = write_video(tmp_path / "face.mp4", [scene((110, 120))] * 20)
    fused = predicted(silent, speech_model=FEATURE, weights={FEATURE: checkpoint})
    np.testing.assert_array_equal(pairs(fused), pairs(predicted(silent)))


def test_a_model_is_trained_on_the_feature_and_predicts_files_and_stores(spoken, checkpoint, tmp_path):
    settings = extract_audio.ExtractAudioSettings(
        inputs=tuple(spoken), store=tmp_path / "s.zarr", features=(FEATURE,), weights=checkpoint
    )
    assert not extract_audio.run(settings).failed
    store = Store.open(tmp_path / "s.zarr")
    for number, view in enumerate(store.videos()):
        put_labels(store, view.id, np.full((len(view.times_s), 2), 0.2 * number))
    assignments = (
        f"model.streams.audio.features=['{FEATURE}']",
        "model.streams.audio.dim=3",
        "model.tcn={channels=[8], kernel=3, dropout=0.0}",
        "model.temporal={n_layers=1, d_model=8, d_state=4, dropout=0.0}",
        "window={length_frames=50, stride_frames=25}",
        "training.epochs=1",
    )
    trained = tmp_path / "run"
    train.run(
        train.TrainSettings(
            store=store.path, out=trained, preset="compact-audio", assignments=assignments, device="cpu"
        )
    )
    table = predicted(spoken[0], model=trained, weights={FEATURE: checkpoint})
    assert np.isfinite(pairs(table)).all()
    assert set(table.columns["modality"].tolist()) == {"audio"}
    stored: list[FrameTable] = []
    run(PredictSettings(inputs=(store.path,), model=trained, device="cpu"), stored.append)
    assert len(stored) == len(spoken)
    np.testing.assert_allclose(pairs(stored[0]), pairs(table), atol=0.01)  # stored as float16
