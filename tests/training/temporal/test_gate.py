"""What BDCA's gate learns when one modality turns to noise now and then.

Shown on whole small networks of the preset `bdca`, on videos that training has not seen. The noise is drawn
anew for every batch: noise that stays the same in a video is learnt by heart, and moves no gate.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from synth import affwild2, recipes
from torch import Tensor, nn

from vacli.models.build import build
from vacli.models.network import VaNet
from vacli.recipe import io as recipe_io
from vacli.recipe import presets
from vacli.recipe import schema as recipe
from vacli.training.losses import ccc_loss

SEEDS = (1, 2, 3, 4)
FRAMES, STEPS, BATCH, RATE = 40, 300, 24, 1e-2
SMALL = (*recipes.STREAMS, *recipes.OWN_TCN, recipes.TRANSFORMER, "model.head.hidden=[16]")
NOBODY, VISUAL, AUDIO = -1, 0, 1  # which stream is noise


@dataclass(frozen=True, eq=False)
class Clips:
    """The look-alike's trials of one split: streams (N, T, D) around zero and labels (N, T, 2)."""

    streams: list[Tensor]
    labels: Tensor

    @classmethod
    def of(cls, trials: list[affwild2.Trial], split: str) -> Clips:
        mine = [trial for trial in trials if trial.split == split]
        parts = ("visual", "audio", "labels")
        arrays = (np.stack([getattr(trial, part)[:FRAMES] for trial in mine]) for part in parts)
        visual, audio, labels = map(torch.from_numpy, arrays)
        return cls([visual - 3, audio - 3], labels)

    def spoilt(self, noisy: Tensor) -> dict[str, Tensor]:
        """The streams with noise of the same size in place of the one that `noisy` (N,) says."""
        return {
            name: torch.where((noisy == number)[:, None, None], 1.1 * torch.randn(x.shape), x)
            for number, (name, x) in enumerate(zip(("visual", "audio"), self.streams, strict=True))
        }


def said(net: VaNet, streams: dict[str, Tensor]) -> Tensor:
    return net(streams, torch.ones(streams["audio"].shape[:2], dtype=torch.bool))


def trained(clips: Clips) -> VaNet:
    """A net that saw every clip with one stream spoilt, with the other, and with neither."""
    net = build(recipe_io.set_values(presets.preset("bdca"), SMALL).model)
    optimiser = torch.optim.AdamW(net.parameters(), RATE)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=STEPS)
    for _ in range(STEPS):
        chosen = torch.randint(len(clips.labels), (BATCH,))
        some = Clips([x[chosen] for x in clips.streams], clips.labels[chosen])
        predicted = said(net, some.spoilt(torch.randint(NOBODY, 2, (BATCH,))))
        annotated = some.labels.isfinite().all(-1)
        optimiser.zero_grad()
        ccc_loss(predicted, some.labels, annotated, recipe.Loss()).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        rates.step()
    return net.eval()


@contextmanager
def attended(branch: nn.Module) -> Iterator[list[float]]:
    """Collects the gate's mean weight of what a branch took from the other stream."""
    weights: list[float] = []

    def note(gate: nn.Module, given: object, logits: Tensor) -> None:
        weights.append(torch.softmax(logits / branch.temperature, dim=-1)[..., 1].mean().item())

    handle = branch.gate.register_forward_hook(note)
    yield weights
    handle.remove()


def weights(net: VaNet, clips: Clips, noisy: int) -> tuple[float, float]:
    """How much the visual and the audio branch take from each other."""
    with torch.no_grad(), attended(net.fusion.first) as visual, attended(net.fusion.second) as audio:
        said(net, clips.spoilt(torch.full((len(clips.labels),), noisy)))
    return visual[0], audio[0]


def shifts(seed: int) -> list[float]:
    """For noise in either stream: how much more the branch of the noisy stream takes from the other one,
    less how much more the branch of the clean stream does.
    """
    torch.manual_seed(seed)
    # Either stream shows all, so either will do; it lasts, since attention without positions fetches means.
    world = affwild2.World(videos=60, frames=80, seed=seed, noise=1.0, lag_frames=1, mood=0.9, redundant=True)
    trials = affwild2.make(world)
    net, held = trained(Clips.of(trials, "train")), Clips.of(trials, "validation")
    before = np.array(weights(net, held, NOBODY))
    of_visual, of_audio = (np.array(weights(net, held, noisy)) - before for noisy in (VISUAL, AUDIO))
    return [of_visual[VISUAL] - of_visual[AUDIO], of_audio[AUDIO] - of_audio[VISUAL]]


def test_gate_shifts_to_the_clean_modality() -> None:
    """Over several trainings: one alone may learn to look at a single stream from the start."""
    moved = np.array([shifts(seed) for seed in SEEDS])
    assert moved.mean() > 0.05
    assert moved.min() > -0.05  # never much the other way
