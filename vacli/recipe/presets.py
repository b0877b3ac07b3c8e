"""Named recipes, each with the source of its values.

Sources: [L] "LightMamba: A Multimodal Audio-Visual Framework for Continuous Emotion Recognition";
[B] the paper on bidirectional dynamic cross-modal attention (BDCA) by the same authors;
[C] Charon, "Mamba-VA" (arXiv 2503.10104), and its released configurations.
"""

from __future__ import annotations

from dataclasses import replace

from vacli.errors import UsageError, nearest
from vacli.recipe.migration import RENAMED_PRESETS
from vacli.recipe.modules import without_fold_tags
from vacli.recipe.schema import (
    Augment,
    Bdca,
    Concat,
    Head,
    Loss,
    Mamba,
    Model,
    Optim,
    Recipe,
    Schedule,
    Stream,
    Tcn,
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
    summary="as the paper's text describes it: TCN of 4 blocks with ReLU, 4 Mamba layers, one linear layer",
    source="[L] III.D (4 blocks, dilation 1 to 8, ReLU), III.E (4 Mamba layers, one fully connected layer), "
    "IV.B (dropout 0.3 in both temporal modules); not in the text: widths, kernel, state 32, expand 2",
    model=replace(
        LIGHTMAMBA.model,
        tcn=Tcn(channels=(1024, 768, 512, 256), dropout=0.3, activation="relu"),
        temporal=Mamba(dropout=0.3, output_projection=False),
        head=Head(),
    ),
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
        # From 3e-5, as in [B]. Its restart period is not given: after 5 epochs, then after 10 and 20 more.
        schedule=Schedule(shape="warm-restarts", warmup_start_factor=0.1, period_epochs=5.0),
    ),
)

BDCA_TEXT = replace(
    BDCA,
    name="bdca-text",
    summary="bdca with the learning rates of the paper's text, 3e-5 to 5e-3, and ReLU in its TCNs",
    source="[B] IV.C (rates, warm restarts); ReLU as in [L] III.D; not in the text: restart period, widths, "
    "kernel, Transformer size",
    model=replace(
        BDCA.model,
        streams=(
            replace(MAE, tcn=replace(VISUAL_TCN, activation="relu")),
            replace(SOUND, tcn=replace(AUDIO_TCN, activation="relu")),
        ),
    ),
    training=replace(
        BDCA.training,
        optim=Optim(lr=5e-3),
        schedule=replace(BDCA.training.schedule, warmup_start_factor=3e-5 / 5e-3),
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

MAE_PRETRAINED = replace(
    VISUAL_ONLY,
    name="mae-pretrained",
    summary="visual-only on the features of MAE without fine-tuning",
    source="[B] Table III, row 'MAE w/o FT'",
    model=replace(
        VISUAL_ONLY.model, streams=(replace(MAE, features=("mae-vit-l@pretrained",), tcn=VISUAL_TCN),)
    ),
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
        optim=Optim(lr=3e-5, weight_decay=1e-3, eps=1e-7),
        # The period is 46 epochs there, but its scheduler is advanced at every step.
        schedule=Schedule(shape="warm-restarts", period_steps=46, min_lr_factor=1e-8 / 3e-5),
    ),
)

BASELINE = Recipe(
    name="baseline",
    summary="ResNet-50 features and one linear layer, frame by frame",
    source="the baseline of the 8th ABAW challenge, as [L] and [B] describe it",
    model=Model(streams=(Stream(name="visual", features=("resnet50",), dim=2048),)),
)

BASELINE_FINETUNED = replace(
    BASELINE,
    name="baseline-finetuned",
    summary="baseline on the features of a ResNet-50 that is fine-tuned on faces",
    source="this project, beside the frozen network of the challenge's baseline",
    model=Model(streams=(Stream(name="visual", features=("resnet50@finetuned",), dim=2048),)),
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
        augment=Augment(noise=0.6, shift=0.5),  # as in rooms and speakers not heard
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
        BDCA_TEXT,
        BDCA_NO_GATE,
        CONCAT,
        AUDIO_ONLY,
        VISUAL_ONLY,
        MAE_PRETRAINED,
        CHARON,
        BASELINE,
        BASELINE_FINETUNED,
    )
}


def preset(name: str) -> Recipe:
    """The recipe of a preset; raises UsageError with the nearest name for an unknown one."""
    if name not in PRESETS:
        renamed = RENAMED_PRESETS.get(name)
        hint = f"it is called {renamed!r} now" if renamed else nearest(name, PRESETS)
        raise UsageError(f"no preset {name!r}", hint=hint)
    return PRESETS[name]


def preset_of(model: Model) -> str:
    """The name of the preset with exactly this model, features included; "" if there is none.

    Features that were made for one fold (`va crossval`) count as those of the preset.
    """
    plain = without_fold_tags(model)
    return next((name for name, recipe in PRESETS.items() if recipe.model == plain), "")
