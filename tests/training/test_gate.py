"""What BDCA's gate learns when one modality turns to noise now and then.

Shown on the fusion between two linear layers, where nothing else can leave noise out. In whole models
the TCNs and the Transformer can as well, and single trainings then move the gate either way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from synth import affwild2
from torch import Tensor, nn

from vacli import recipe
from vacli.models.bdca import Bdca

SEEDS = (0, 1, 2, 3)
WIDTH, FRAMES, STEPS, BATCH = 16, 40, 400, 24
NOBODY, VISUAL, AUDIO = -1, 0, 1  # which stream is noise


class Fused(nn.Module):
    """Both streams through a linear layer each, the fusion, and one more: only the gate can leave out."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.ModuleList(nn.Linear(dim, WIDTH) for dim in (affwild2.VISUAL_DIM, affwild2.AUDIO_DIM))
        self.fusion = Bdca((WIDTH, WIDTH), recipe.Bdca())
        self.leave = nn.Linear(2 * WIDTH, 2)

    def forward(self, streams: list[Tensor]) -> Tensor:
        there = torch.ones(streams[0].shape[:2], dtype=torch.bool)
        entered = [layer(x) for layer, x in zip(self.enter, streams, strict=True)]
        return self.leave(self.fusion(entered, [there, there], there))


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
        return cls([(visual - 3).nan_to_num(0.0), audio - 3], labels.nan_to_num(0.0))

    def spoilt(self, noisy: Tensor) -> list[Tensor]:
        """The streams with noise of the same size in place of the one that `noisy` (N,) says."""
        return [
            torch.where((noisy == number)[:, None, None], 1.1 * torch.randn(x.shape), x)
            for number, x in enumerate(self.streams)
        ]


def trained(clips: Clips) -> Fused:
    """A net that saw every clip with one stream spoilt, with the other, and with neither."""
    net = Fused()
    optimiser = torch.optim.Adam(net.parameters(), 5e-3)
    for _ in range(STEPS):
        chosen = torch.randint(len(clips.labels), (BATCH,))
        some = Clips([x[chosen] for x in clips.streams], clips.labels[chosen])
        predicted = net(some.spoilt(torch.randint(NOBODY, 2, (BATCH,))))
        optimiser.zero_grad()
        (predicted - some.labels).square().mean().backward()
        optimiser.step()
    return net


@contextmanager
def attended(branch: nn.Module) -> Iterator[list[float]]:
    """Collects the gate's mean weight of what a branch took from the other stream."""
    weights: list[float] = []

    def note(gate: nn.Module, given: object, logits: Tensor) -> None:
        weights.append(torch.softmax(logits / branch.temperature, dim=-1)[..., 1].mean().item())

    handle = branch.gate.register_forward_hook(note)
    yield weights
    handle.remove()


def weights(net: Fused, clips: Clips, noisy: int) -> tuple[float, float]:
    """How much the visual and the audio branch take from each other."""
    with torch.no_grad(), attended(net.fusion.first) as visual, attended(net.fusion.second) as audio:
        net(clips.spoilt(torch.full((len(clips.labels),), noisy)))
    return visual[0], audio[0]


def shifts(seed: int) -> list[tuple[float, float]]:
    """For noise in either stream, how much more the noisy stream's branch takes, and the clean one's."""
    torch.manual_seed(seed)
    # Either stream shows all, so either will do; it lasts, since attention without positions fetches means.
    world = affwild2.World(videos=60, frames=80, seed=seed, noise=1.0, lag_frames=1, mood=0.9, redundant=True)
    trials = affwild2.make(world)
    net, held = trained(Clips.of(trials, "train")), Clips.of(trials, "validation")
    before = weights(net, held, NOBODY)
    after = {noisy: weights(net, held, noisy) for noisy in (VISUAL, AUDIO)}
    return [
        (after[noisy][noisy] - before[noisy], after[noisy][clean] - before[clean])
        for noisy, clean in ((VISUAL, AUDIO), (AUDIO, VISUAL))
    ]


def test_the_gate_shifts_to_the_clean_modality() -> None:
    """Over several trainings: one alone may learn to look at a single stream from the start."""
    moved = np.array([shifts(seed) for seed in SEEDS])
    towards_clean, towards_noise = moved.mean(axis=(0, 1))
    assert towards_clean > 0.03
    assert towards_noise < towards_clean / 2
    assert moved[..., 0].min() > -0.02  # never away from it
