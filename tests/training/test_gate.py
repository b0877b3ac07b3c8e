"""What BDCA's gate does when one modality turns to noise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from synth import affwild2, recipes

from vacli.inference import load_run
from vacli.predictor import Predictor
from vacli.steps import train
from vacli.steps.train import TrainSettings

SEED = 1
WORLD = affwild2.World(videos=12, frames=300, seed=SEED)
NOISES = (None, "audio", "visual")


def spoilt(trial: affwild2.Trial, stream: str | None, rng: np.random.Generator) -> affwild2.Trial:
    """The trial with noise of the same size in place of one stream."""
    if stream is None:
        return trial
    x = getattr(trial, stream)
    return replace(trial, **{stream: (3.0 + 1.1 * rng.normal(size=x.shape)).astype(np.float32)})


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """BDCA trained on videos of which a third have no sound to speak of and a third no face."""
    folder, rng = tmp_path_factory.mktemp("gate"), np.random.default_rng(SEED)
    trials = affwild2.make(WORLD)
    mixed = [spoilt(trial, NOISES[i % 3], rng) for i, trial in enumerate(trials)]
    store = affwild2.write_store(folder / "s.zarr", mixed)
    small = (
        *recipes.STREAMS,
        *recipes.OWN_TCN,
        *recipes.TRAINING,
        recipes.TRANSFORMER,
        "model.head.hidden=[16]",
    )
    settings = TrainSettings(
        store=store.path,
        out=folder / "run",
        preset="bdca",
        assignments=(*small, "training.epochs=12", f"training.seed={SEED}"),
        device="cpu",
    )
    train.run(settings)
    return load_run(folder / "run").members[0].predictor


@contextmanager
def attended(branch: torch.nn.Module) -> Iterator[list[float]]:
    """Collects the gate's mean weight of what a branch took from the other stream."""
    weights: list[float] = []

    def note(gate: torch.nn.Module, given: object, logits: torch.Tensor) -> None:
        weights.append(torch.softmax(logits / branch.temperature, dim=-1)[..., 1].mean().item())

    handle = branch.gate.register_forward_hook(note)
    yield weights
    handle.remove()


def weights(predictor: Predictor, noisy: str | None) -> dict[str, float]:
    """How much each stream's branch takes from the other one, over the videos that were held out."""
    rng, fusion = np.random.default_rng(99), predictor.net.fusion
    clips = [trial for trial in affwild2.make(WORLD) if trial.split == "validation"]
    with attended(fusion.first) as visual, attended(fusion.second) as audio:
        for clip in clips:
            predictor(spoilt(clip, noisy, rng).sequence())
    return {"visual": float(np.mean(visual)), "audio": float(np.mean(audio))}


@pytest.mark.parametrize(("noisy", "clean"), [("audio", "visual"), ("visual", "audio")])
def test_the_gate_shifts_to_the_clean_modality(predictor: Predictor, noisy: str, clean: str) -> None:
    before, after = weights(predictor, None), weights(predictor, noisy)
    towards_clean = after[noisy] - before[noisy]  # the noisy stream's branch takes more from the clean one
    towards_noise = after[clean] - before[clean]  # the clean stream's branch keeps to itself
    assert towards_clean > 0.02
    assert towards_clean > 2 * towards_noise
