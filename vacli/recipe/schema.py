"""Typed, frozen configuration of a model and its training; no torch in here.

A `Recipe` is a value: presets are recipes, a run directory holds one as recipe.json, and
`--recipe file.toml` and `--set model.temporal.depth=6` lay changes over one. Alternatives are
records told apart by their `kind`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Init = Literal["mamba", "charon"]
Activation = Literal["relu", "prelu", "tanh", "none"]


@dataclass(frozen=True, kw_only=True)
class Tcn:
    """Dilated residual convolutions (Bai et al. 2018): one block a channel count, dilation 2^i."""

    kind: Literal["tcn"] = "tcn"
    channels: tuple[int, ...] = (128,)
    kernel: int = 15
    dropout: float = 0.3
    causal: bool = True
    activation: Activation = "relu"


@dataclass(frozen=True, kw_only=True)
class Mamba:
    """Post-norm selective state-space layers (Gu and Dao 2023) and a linear projection."""

    kind: Literal["mamba"] = "mamba"
    depth: int = 4
    width: int = 256
    state: int = 32
    conv: int = 4
    expand: int = 2
    dropout: float = 0.0
    init: Init = "mamba"
    input_norm: bool = False  # per-frame standardisation without parameters, as Charon has it


@dataclass(frozen=True, kw_only=True)
class Transformer:
    """Post-norm encoder layers over the window, no position embedding."""

    kind: Literal["transformer"] = "transformer"
    depth: int = 8
    width: int = 512
    heads: int = 4
    feedforward: int = 512
    dropout: float = 0.3


@dataclass(frozen=True, kw_only=True)
class NoTemporal:
    """Every frame for itself."""

    kind: Literal["none"] = "none"


Temporal = Mamba | Transformer | Tcn | NoTemporal


@dataclass(frozen=True, kw_only=True)
class Concat:
    """Streams side by side; with `presence`, a 0/1 column a stream tells where it is missing."""

    kind: Literal["concat"] = "concat"
    presence: bool = False


@dataclass(frozen=True, kw_only=True)
class Bdca:
    """Bidirectional dynamic cross-modal attention between two streams of equal width."""

    kind: Literal["bdca"] = "bdca"
    gate: bool = True
    temperature: float = 0.5


Fusion = Concat | Bdca


@dataclass(frozen=True, kw_only=True)
class Stream:
    """One modality: which stored features, side by side, and an optional TCN of its own."""

    name: str
    features: tuple[str, ...]
    dim: int
    tcn: Tcn | None = None


@dataclass(frozen=True, kw_only=True)
class Head:
    """Per-frame regression to (valence, arousal)."""

    hidden: tuple[int, ...] = ()
    activation: Activation = "relu"
    batch_norm: bool = False
    squash: bool = False  # tanh at the end: never outside [-1, 1]
    dropout: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Model:
    """streams -> (tcn each) -> fusion -> tcn -> temporal -> head."""

    streams: tuple[Stream, ...]
    fusion: Fusion = Concat()
    tcn: Tcn | None = None
    temporal: Temporal = NoTemporal()
    head: Head = Head()


@dataclass(frozen=True, kw_only=True)
class Window:
    """How long sequences are cut, in frames; the last window is right-aligned, never lost.

    `smooth_frames`: what is predicted of a frame becomes the mean over it and half so many frames, rounded
    down, to each side, within its window; 0 leaves it as it is. The loss does not see it, validation does.
    """

    length_frames: int = 300
    stride_frames: int = 200
    smooth_frames: int = 0


@dataclass(frozen=True, kw_only=True)
class Loss:
    """1 - CCC over all valid frames of the batch, per dimension, plus `mse` times the squared error.

    `alone`: weight of the same over the frames that have one stream only, each stream for itself. Without it
    a model that reads one stream better than the other says little where it has the other alone.
    `pooled`: weight of the same over windows, each by the means of its frames, as fits labels that were given
    to whole recordings.
    """

    mse: float = 0.0
    alone: float = 0.0
    pooled: float = 0.0
    valence: float = 1.0
    arousal: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Optim:
    """AdamW."""

    lr: float = 3e-4
    weight_decay: float = 1e-3
    eps: float = 1e-8
    clip_norm: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Linear warm-up from `start` x lr, then `shape`; lengths in epochs, stepped per iteration."""

    shape: Literal["constant", "cosine", "warm-restarts"] = "cosine"
    warmup_epochs: float = 5.0
    start: float = 0.0
    period_epochs: float | None = None  # first restart period; None: all that follows the warm-up
    period_growth: int = 2
    floor: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Augment:
    """Disturbances of training windows: whole streams dropped, spans dropped."""

    drop_stream: float = 0.0
    drop_span: float = 0.0
    noise: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Training:
    """The loop around the model."""

    epochs: int = 50
    batch_windows: int = 16
    patience_epochs: int | None = None  # None: no early stop
    amp: bool = False
    seed: int = 42
    clip_z: float = 5.0  # z-scored features are cut to this; unvoiced frames have heavy tails
    loss: Loss = Loss()
    optim: Optim = Optim()
    schedule: Schedule = Schedule()
    augment: Augment = Augment()


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that a run is made from."""

    name: str
    summary: str = ""
    source: str = ""
    model: Model = field(default_factory=lambda: Model(streams=()))
    window: Window = Window()
    training: Training = Training()
