"""The whole network: streams -> (a TCN each) -> fusion -> TCN -> temporal module -> head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vacli.errors import InputError, UsageError


@dataclass(frozen=True)
class NetState:
    """All that a causal network knows of the past frames."""

    encoders: tuple[Any, ...]
    tcn: Any
    temporal: Any


class VaNet(nn.Module):
    """Streams of features to (valence, arousal) per frame.

    A row of a stream with a NaN in it is a frame that the stream lacks: it enters as zeros (the mean,
    once features are z-scored), and a fusion with `availability_flags` gets a 0/1 column a stream. A NaN
    never reaches another frame.
    """

    def __init__(
        self,
        encoders: Mapping[str, nn.Module],
        fusion: nn.Module,
        tcn: nn.Module,
        temporal: nn.Module,
        head: nn.Module,
    ) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict(encoders)
        self.fusion, self.tcn, self.temporal, self.head = fusion, tcn, temporal, head
        stages = [*self.encoders.values(), fusion, tcn, temporal, head]
        self.causal: bool = all(stage.causal for stage in stages)
        self.receptive_field = _reach(
            [max_or_none([e.receptive_field for e in self.encoders.values()])]
            + [stage.receptive_field for stage in (fusion, tcn, temporal, head)]
        )

    @property
    def widths(self) -> dict[str, int]:
        """How many numbers a frame each stream must have."""
        return {name: encoder.in_dim for name, encoder in self.encoders.items()}

    def forward(self, streams: Mapping[str, Tensor], mask: Tensor) -> Tensor:
        """`streams` name -> (B, T, D), `mask` (B, T) bool, True = real frame -> (B, T, 2)."""
        rows, present = self._rows(streams)
        encoded = [enc(x, mask) for enc, x in zip(self.encoders.values(), rows, strict=True)]
        fused = self.fusion(encoded, present, mask)
        return self.head(self.temporal(self.tcn(fused, mask), mask), mask)

    def initial_state(self, batch: int) -> NetState:
        """The state before the first frame of `batch` recordings."""
        if not self.causal:
            raise UsageError(
                "this model looks ahead and cannot go frame by frame",
                hint="use a causal one (temporal mamba or none, causal tcn, fusion concat) or whole windows",
            )
        return NetState(
            tuple(encoder.initial_state(batch) for encoder in self.encoders.values()),
            self.tcn.initial_state(batch),
            self.temporal.initial_state(batch),
        )

    def step(self, streams: Mapping[str, Tensor], state: NetState) -> tuple[Tensor, NetState]:
        """One frame: `streams` name -> (B, D) after `state` -> (B, 2) and the state after it."""
        rows, present = self._rows(streams)
        encoded, pasts = [], []
        for encoder, x, past in zip(self.encoders.values(), rows, state.encoders, strict=True):
            y, past = encoder.step(x, past)
            encoded.append(y)
            pasts.append(past)
        fused = self.fusion(encoded, present, None)
        y, tcn = self.tcn.step(fused, state.tcn)
        y, temporal = self.temporal.step(y, state.temporal)
        return self.head.step(y), NetState(tuple(pasts), tcn, temporal)

    def _rows(self, streams: Mapping[str, Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Streams in the model's order with zeros for missing rows, and where each is there."""
        rows, present = [], []
        for name, width in self.widths.items():
            if name not in streams:
                raise InputError(
                    f"stream {name!r} is not given", hint=f"given: {', '.join(streams) or 'none'}"
                )
            x = streams[name]
            if x.shape[-1] != width:
                raise InputError(
                    f"stream {name!r}: the model wants {width} numbers a frame, it got {x.shape[-1]}",
                    hint="use the features that the model's recipe names",
                )
            there = torch.isfinite(x).all(dim=-1)
            rows.append(x.masked_fill(~there.unsqueeze(-1), 0.0))
            present.append(there)
        return rows, present


def max_or_none(fields: list[int | None]) -> int | None:
    """The widest of parallel receptive fields."""
    return None if None in fields else max(fields)


def _reach(fields: list[int | None]) -> int | None:
    """The receptive field of stages one after the other."""
    return None if None in fields else 1 + sum(field - 1 for field in fields)
