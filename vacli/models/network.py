"""The whole network: streams -> (a TCN each) -> fusion -> TCN -> temporal module -> head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from torch import Tensor, nn

from vacli.errors import InputError, UsageError
from vacli.models.base import Fusion, Slots, TemporalModule, select
from vacli.models.heads import Head, zero_padding


@dataclass(frozen=True)
class NetState:
    """The state of a causal network after the past frames."""

    encoders: tuple[Any, ...]
    tcn: Any
    temporal: Any

    def select(self, slots: Slots) -> NetState:
        """The state of other recordings, see `base.select`."""
        return NetState(select(self.encoders, slots), select(self.tcn, slots), select(self.temporal, slots))


class VaNet(nn.Module):
    """Streams of features to (valence, arousal) per frame.

    A row with a NaN is a frame that the stream lacks: it enters as zeros (the mean of z-scored features),
    and a fusion with `availability_flags` gets a 0/1 column for each stream. A NaN does not reach other
    frames.
    """

    def __init__(
        self,
        encoders: Mapping[str, TemporalModule],
        fusion: Fusion,
        tcn: TemporalModule,
        temporal: TemporalModule,
        head: Head,
    ) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict(encoders)
        self.fusion, self.tcn, self.temporal, self.head = fusion, tcn, temporal, head
        self.causal = all(stage.causal for stage in (*encoders.values(), fusion, tcn, temporal, head))
        self.receptive_field = _total_receptive_field(
            [widest([e.receptive_field for e in encoders.values()])]
            + [stage.receptive_field for stage in (fusion, tcn, temporal, head)]
        )

    def train(self, mode: bool = True) -> VaNet:
        """As in torch, but a part whose parameters are all frozen stays in evaluation mode: no dropout."""
        super().train(mode)
        for part in self.children():
            if mode and not any(p.requires_grad for p in part.parameters()):
                part.eval()
        return self

    @property
    def widths(self) -> dict[str, int]:
        """The number of values per frame of each stream."""
        return {name: cast(TemporalModule, encoder).in_dim for name, encoder in self.encoders.items()}

    def forward(
        self, streams: Mapping[str, Tensor], mask: Tensor, availability: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """`streams` name -> (B, T, D), `mask` (B, T) bool, True = real frame -> (B, T, 2).

        availability: name of a stream -> (B, T) in [0, 1], which its rows and its availability flag are
        multiplied by; 0 is a missing row. Streams without an entry have 1.
        """
        rows, present = self._rows(streams, availability or {})
        encoded = [enc(x, mask) for enc, x in zip(self.encoders.values(), rows, strict=True)]
        fused = self.fusion(encoded, present, mask)
        return self.head(self.temporal(self.tcn(fused, mask), mask), mask)

    def initial_state(self, batch: int) -> NetState:
        """The state before the first frame of `batch` recordings."""
        if not self.causal:
            raise UsageError(
                "this model depends on later frames and cannot predict frame by frame",
                hint="use a causal one (temporal mamba or none, causal tcn, fusion concat) or whole windows",
            )
        return NetState(
            tuple(cast(TemporalModule, encoder).initial_state(batch) for encoder in self.encoders.values()),
            self.tcn.initial_state(batch),
            self.temporal.initial_state(batch),
        )

    def step(
        self,
        streams: Mapping[str, Tensor],
        state: NetState,
        availability: Mapping[str, Tensor] | None = None,
    ) -> tuple[Tensor, NetState]:
        """One frame: `streams` name -> (B, D) after `state` -> (B, 2) and the state after it.

        availability: name of a stream -> (B,), as in `forward`.
        """
        rows, present = self._rows(streams, availability or {})
        encoded, pasts = [], []
        for encoder, x, past in zip(self.encoders.values(), rows, state.encoders, strict=True):
            y, past = cast(TemporalModule, encoder).step(x, past)
            encoded.append(y)
            pasts.append(past)
        fused = self.fusion(encoded, present, None)
        y, tcn = self.tcn.step(fused, state.tcn)
        y, temporal = self.temporal.step(y, state.temporal)
        return self.head.step(y), NetState(tuple(pasts), tcn, temporal)

    def _rows(
        self, streams: Mapping[str, Tensor], availability: Mapping[str, Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Streams in the model's order with zeros for missing rows, and the presence of the rows of each.

        The presence is bool, or the availability of a stream that has one.
        """
        rows, present = [], []
        for name, width in self.widths.items():
            if name not in streams:
                raise InputError(f"stream {name!r} is missing", hint=f"given: {', '.join(streams) or 'none'}")
            x = streams[name]
            if x.shape[-1] != width:
                raise InputError(
                    f"stream {name!r}: the model needs {width} values per frame, got {x.shape[-1]}",
                    hint="use the features that the model's recipe names",
                )
            there = (x * 0).sum(dim=-1) == 0  # NaN and infinite values give NaN: quicker than isfinite
            x = zero_padding(x, there)
            if name in availability:
                there = there * availability[name].to(x.dtype)
                x = x * there.unsqueeze(-1)
            rows.append(x)
            present.append(there)
        return rows, present


def widest(fields: list[int | None]) -> int | None:
    """The widest of parallel receptive fields."""
    known = [field for field in fields if field is not None]
    return max(known) if len(known) == len(fields) else None


def _total_receptive_field(fields: list[int | None]) -> int | None:
    """The receptive field of stages one after the other."""
    known = [field for field in fields if field is not None]
    return 1 + sum(field - 1 for field in known) if len(known) == len(fields) else None
