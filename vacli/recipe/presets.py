"""Named recipes, each with the source of its values.

Sources: [L] "LightMamba: A Multimodal Audio-Visual Framework for Continuous Emotion Recognition";
[B] the paper on bidirectional dynamic cross-modal attention (BDCA) by the same authors;
[C] Charon, "Mamba-VA" (arXiv 2503.10104), and its released configurations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from vacli.errors import UsageError, nearest
from vacli.recipe.migration import RENAMED_PRESETS
from vacli.recipe.schema import (
    Augment,
    Bdca,
    Concat,
    Fusion,
    Head,
    Loss,
    Mamba,
    Model,
    NoTemporal,
    Optim,
    Recipe,
    Schedule,
    Stream,
    Tcn,
    Temporal,
    Training,
    Transformer,
    Window,
)

# MFCC 39 + eGeMAPS low-level 23 make the 62 columns that [L] calls eGeMAPS; [B] names both.
MAE = Stream(name="visual", features=("mae-vit-l",), dim=1024)
SOUND = Stream(name="audio", features=("vggish", "egemaps", "mfcc39"), dim=128 + 23 + 39)

LIGHTMAMBA = Recipe(
    name="lightmamba",
    summary="MAE + VGGish + openSMILE, concatenated; TCN of 5 blocks, 4 Mamba layers: the published size",
    source="[L] Table III (116.5 M parameters); widths, 5 blocks, PReLU, state 32, expand 2 follow from "
    "that count (the text has 4 blocks and ReLU)",
    model=Model(
        streams=(MAE, SOUND),
        fusion=Concat(),
        tcn=Tcn(channels=(1214, 1024, 768, 512, 256), activation="prelu"),
        temporal=Mamba(),
        head=Head(hidden=(128,)),
    ),
    training=Training(epochs=50, optim=Optim(lr=3e-4, weight_decay=1e-3), schedule=Schedule(warmup_epochs=5)),
)

LIGHTMAMBA_TEXT = replace(
    LIGHTMAMBA,
    name="lightmamba-text",
    summary="as the paper's text describes it: TCN of 4 blocks (dilation 1, 2, 4, 8), 4 Mamba layers",
    source="[L] section III.D and E; state 32 and expand 2 as in lightmamba",
    model=replace(LIGHTMAMBA.model, tcn=Tcn(channels=(1024, 768, 512, 256), activation="prelu")),
)

LIGHTMAMBA_TRANSFORMER = replace(
    LIGHTMAMBA,
    name="lightmamba-transformer",
    summary="the Transformer that LightMamba is compared with; its TCN is smaller too",
    source="[L] Table III (85.7 M parameters)",
    model=Model(
        streams=(MAE, SOUND),
        fusion=Concat(),
        tcn=Tcn(channels=(1214, 768, 256, 128), activation="prelu"),
        temporal=Transformer(),
        head=Head(hidden=(256,), activation="none", batch_norm=True),
    ),
)

VISUAL_TCN = Tcn(channels=(1024, 768, 256, 128), activation="prelu")
AUDIO_TCN = Tcn(channels=(190, 128, 128, 128), activation="prelu")

BDCA = Recipe(
    name="bdca",
    summary="a TCN to 128 for each modality, bidirectional cross-modal attention with a gate, Transformer",
    source="[B] equations 1 to 6, T = 0.5; TCN and Transformer sizes are not given there: as in [L]'s "
    "Transformer; lr 3e-4, not the 5e-3 of section IV, from which post-norm layers tend to diverge",
    model=Model(
        streams=(replace(MAE, tcn=VISUAL_TCN), replace(SOUND, tcn=AUDIO_TCN)),
        fusion=Bdca(),
        temporal=Transformer(),
        head=Head(hidden=(256,)),
    ),
    training=Training(
        optim=Optim(lr=3e-4),
        schedule=Schedule(shape="warm-restarts", warmup_start_factor=0.1),  # from 3e-5, as in [B]
    ),
)

BDCA_NO_GATE = replace(
    BDCA,
    name="bdca-no-gate",
    summary="bdca without the dynamic weights",
    source="[B] Table IV, row 'BDCA w/o DW'",
    model=replace(BDCA.model, fusion=Bdca(gate=False)),
)

CONCAT = replace(
    BDCA,
    name="concat",
    summary="bdca with concatenation instead of attention",
    source="[B] Table IV, row 'Concat w/o BDCA'",
    model=replace(BDCA.model, fusion=Concat()),
)

AUDIO_ONLY = replace(
    BDCA,
    name="audio-only",
    summary="the audio half of bdca",
    source="[B] Table IV, row 'Only Audio'",
    model=replace(BDCA.model, streams=BDCA.model.streams[1:], fusion=Concat()),
)

VISUAL_ONLY = replace(
    BDCA,
    name="visual-only",
    summary="the visual half of bdca",
    source="[B] Table IV, row 'Only Visual'",
    model=replace(BDCA.model, streams=BDCA.model.streams[:1], fusion=Concat()),
)

CHARON = Recipe(
    name="charon",
    summary="MAE, TCN of 4 blocks, 4 small Mamba layers; face only",
    source="[C] the released configuration of folds 1 to 5",
    model=Model(
        streams=(MAE,),
        tcn=Tcn(channels=(1024, 768, 512, 256), dropout=0.2, activation="prelu"),
        temporal=Mamba(d_state=8, expand=1, init="charon", input_norm=True),
        head=Head(hidden=(128,)),
    ),
    training=Training(
        optim=Optim(lr=3e-5, weight_decay=1e-3, eps=1e-7), schedule=Schedule(shape="warm-restarts")
    ),
)

BASELINE = Recipe(
    name="baseline",
    summary="ResNet-50 features and one linear layer, frame by frame",
    source="the baseline of the 8th ABAW challenge, as [L] and [B] describe it",
    model=Model(streams=(Stream(name="visual", features=("resnet50",), dim=2048),)),
)

COMPACT = Recipe(
    name="compact",
    summary="small and causal, for a CPU and for live use; needs no large network",
    source="this project",
    model=Model(
        streams=(
            Stream(name="visual", features=("compact",), dim=128),
            Stream(name="audio", features=("egemaps", "mfcc39"), dim=23 + 39),
        ),
        fusion=Concat(availability_flags=True),
        tcn=Tcn(channels=(96, 96, 96), kernel=5, dropout=0.2),
        temporal=Mamba(n_layers=2, d_model=96, d_state=8, expand=2, dropout=0.2),
        head=Head(tanh_output=True),
    ),
    training=Training(epochs=30, augment=Augment(modality_dropout=0.3, time_mask=0.2)),
)

COMPACT_AUDIO = Recipe(
    name="compact-audio",
    summary="the audio half of compact, smaller, for recordings without a face",
    source="this project",
    model=replace(
        COMPACT.model,
        streams=COMPACT.model.streams[1:],
        tcn=Tcn(channels=(48, 48, 48), kernel=5, dropout=0.2),
        temporal=Mamba(n_layers=2, d_model=48, d_state=8, expand=2, dropout=0.2),
    ),
    window=Window(smooth_frames=50),  # two seconds: single frames of a voice are ambiguous
    training=Training(
        epochs=1,  # of many samples: it overfits to repeated ones
        loss=Loss(window_mean_weight=1.0),
        optim=Optim(lr=2e-3, weight_decay=1e-2),
        schedule=Schedule(warmup_epochs=0.1),
        augment=Augment(noise=0.2),
    ),
)

PRESETS: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        COMPACT,
        COMPACT_AUDIO,
        LIGHTMAMBA,
        LIGHTMAMBA_TEXT,
        LIGHTMAMBA_TRANSFORMER,
        BDCA,
        BDCA_NO_GATE,
        CONCAT,
        AUDIO_ONLY,
        VISUAL_ONLY,
        CHARON,
        BASELINE,
    )
}

# Names for `--temporal` (from a depth and a width) and `--fusion`.
TEMPORAL: dict[str, Callable[[int, int], Temporal]] = {
    "mamba": lambda depth, width: Mamba(n_layers=depth, d_model=width),
    "transformer": lambda depth, width: Transformer(n_layers=depth, d_model=width, dim_feedforward=width),
    "tcn": lambda depth, width: Tcn(channels=(width,) * depth),
    "none": lambda depth, width: NoTemporal(),
}
FUSION: dict[str, Fusion] = {"concat": Concat(), "bdca": Bdca()}


def preset(name: str) -> Recipe:
    """The recipe of a preset; raises UsageError with the nearest name for an unknown one."""
    if name not in PRESETS:
        renamed = RENAMED_PRESETS.get(name)
        hint = f"it is called {renamed!r} now" if renamed else nearest(name, PRESETS)
        raise UsageError(f"no preset {name!r}", hint=hint)
    return PRESETS[name]


def with_temporal(model: Model, kind: str) -> Model:
    """The model with another temporal module of the same width and depth; UsageError if unknown."""
    if kind == model.temporal.kind:
        return model
    if kind not in TEMPORAL:
        raise UsageError(f"no temporal module {kind!r}", hint=nearest(kind, TEMPORAL))
    depth, width = _size(model.temporal)
    return replace(model, temporal=TEMPORAL[kind](depth, width))


def with_fusion(model: Model, kind: str) -> Model:
    """The model with another fusion; BDCA gets streams of equal width, by one TCN a stream if needed.

    These TCNs have four blocks of width 128, as in [B], with the kernel and dropout of the TCN behind the
    fusion, which they replace. Raises UsageError for an unknown fusion.
    """
    if kind == model.fusion.kind:
        return model
    if kind not in FUSION:
        raise UsageError(f"no fusion {kind!r}", hint=nearest(kind, FUSION))
    model = replace(model, fusion=FUSION[kind])
    if kind != "bdca" or len({s.tcn.channels[-1] if s.tcn else s.dim for s in model.streams}) == 1:
        return model
    tcn = replace(model.tcn or Tcn(), channels=(128,) * 4)
    return replace(model, tcn=None, streams=tuple(replace(s, tcn=tcn) for s in model.streams))


def _size(temporal: Temporal) -> tuple[int, int]:
    if isinstance(temporal, NoTemporal):
        return 4, 256
    if isinstance(temporal, Tcn):
        return len(temporal.channels), temporal.channels[-1]
    return temporal.n_layers, temporal.d_model
