"""Typed, frozen configuration of a model and its training; no torch in here.

A `Recipe` is a value: presets are recipes, a run directory holds one as recipe.json, and
`--recipe file.toml` and `--set model.temporal.n_layers=6` change values of one. Alternatives are
records that differ in `kind`.
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
    """Post-norm selective state-space layers (Gu and Dao 2023) and, if asked for, a linear projection."""

    kind: Literal["mamba"] = "mamba"
    n_layers: int = 4
    d_model: int = 256
    d_state: int = 32
    d_conv: int = 4
    expand: int = 2
    dropout: float = 0.0
    init: Init = "mamba"
    input_norm: bool = False  # per-frame standardisation without parameters, as Charon has it
    output_projection: bool = True  # a linear map behind the layers, as Charon has it


@dataclass(frozen=True, kw_only=True)
class Transformer:
    """Post-norm encoder layers over the window, no position embedding."""

    kind: Literal["transformer"] = "transformer"
    n_layers: int = 8
    d_model: int = 512
    n_heads: int = 4
    dim_feedforward: int = 512
    dropout: float = 0.3


@dataclass(frozen=True, kw_only=True)
class NoTemporal:
    """No temporal module: frames are independent."""

    kind: Literal["none"] = "none"


Temporal = Mamba | Transformer | Tcn | NoTemporal


@dataclass(frozen=True, kw_only=True)
class Concat:
    """Streams side by side; `availability_flags` adds a 0/1 column a stream, 0 where it is missing."""

    kind: Literal["concat"] = "concat"
    availability_flags: bool = False


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
    tanh_output: bool = False  # tanh at the end: output in [-1, 1]
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
    """Windows of a sequence, in frames; the last window is right-aligned.

    `smooth_frames`: predictions are a moving average over the frame and smooth_frames // 2 frames on each
    side, within the window; 0 for no smoothing. It applies to validation and prediction, not to the loss.
    """

    length_frames: int = 300
    stride_frames: int = 200
    smooth_frames: int = 0


@dataclass(frozen=True, kw_only=True)
class Loss:
    """1 - CCC over all valid frames of the batch, per dimension, plus `mse` times the squared error.

    `unimodal_weight`: weight of the same loss over the frames that have one stream only, stream by stream.
    With 0 a model that relies on one stream predicts little where it has only the other.
    `window_mean_weight`: weight of the same loss over the means of windows, for labels of whole recordings.
    """

    mse: float = 0.0
    unimodal_weight: float = 0.0
    window_mean_weight: float = 0.0
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
    """Linear warm-up from `warmup_start_factor` x lr, then `shape` down to `min_lr_factor` x lr.

    Lengths are in epochs; the rate changes at every step. `period_steps` is the first restart period in
    optimiser steps, in place of `period_epochs`.
    """

    shape: Literal["constant", "cosine", "warm-restarts"] = "cosine"
    warmup_epochs: float = 5.0
    warmup_start_factor: float = 0.0
    period_epochs: float | None = None  # first restart period; None: all that follows the warm-up
    period_steps: int | None = None
    period_growth: int = 2
    min_lr_factor: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Augment:
    """Augmentation of training windows, see `training.temporal.augmentation.augment_windows`."""

    modality_dropout: float = 0.0
    time_mask: float = 0.0
    noise: float = 0.0
    shift: float = 0.0


Freeze = Literal["none", "all-but-last", "all-but-head"]


@dataclass(frozen=True, kw_only=True)
class Training:
    """Training loop and optimisation.

    `keep`: the epoch whose weights are kept, the best on the validation videos or the last. `freeze`: the
    layers that are not trained; the last layers are the temporal module and the head.
    """

    epochs: int = 50
    batch_size: int = 16
    patience_epochs: int | None = None  # None: no early stop
    amp: bool = False
    seed: int = 42
    clip_z: float = 5.0  # z-scored features are clipped to this; unvoiced frames have heavy tails
    loss: Loss = Loss()
    optim: Optim = Optim()
    schedule: Schedule = Schedule()
    augment: Augment = Augment()
    keep: Literal["best", "last"] = "best"
    freeze: Freeze = "none"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The complete configuration of a run."""

    name: str
    summary: str = ""
    source: str = ""
    model: Model = field(default_factory=lambda: Model(streams=()))
    window: Window = Window()
    training: Training = Training()
