"""From the name of an encoder to its objective, its default training settings and its record."""

from __future__ import annotations

from vacli.errors import UsageError
from vacli.features.backbones.vit import is_vision_transformer
from vacli.features.compact.layout import weights_file
from vacli.features.compact.network import CompactFace, load_weights
from vacli.features.encoder_run import EncoderRun
from vacli.progress import Progress
from vacli.recipe import schema as recipe
from vacli.training.encoder.compact_objective import CompactObjective
from vacli.training.encoder.objective import EncoderRequest, EncoderSetup, EncoderTrainingConfig
from vacli.training.encoder.timm_objective import create_timm_setup
from vacli.training.encoder.vit_objectives import create_vit_setup

COMPACT_CONFIG = EncoderTrainingConfig(
    epochs=30,
    batch_size=128,
    layer_decay=1.0,
    patience_epochs=None,
    optim=recipe.Optim(lr=2e-3, weight_decay=0.05),
    schedule=recipe.Schedule(warmup_epochs=1.0),
)


def encoder_factory(request: EncoderRequest, progress: Progress) -> EncoderSetup:
    """Create the requested encoder; loads or downloads its weights unless it is trained from scratch.

    Raises UsageError for options that the encoder has not or that exclude each other, WeightsError.
    """
    if request.from_scratch and request.weights is not None:
        raise UsageError("--weights and --from-scratch exclude each other", hint="leave out one of them")
    if request.encoder == "compact":
        return _compact(request, progress)
    create = create_vit_setup if is_vision_transformer(request.encoder) else create_timm_setup
    return create(request, progress)


def _compact(request: EncoderRequest, progress: Progress) -> EncoderSetup:
    if request.objective != "va":
        raise UsageError(
            "the encoder compact has no objective `reconstruct`",
            hint="pre-train a vision transformer instead",
        )
    if request.freeze_blocks:
        raise UsageError("the encoder compact has no blocks to freeze", hint="leave out --freeze-blocks")
    if request.normalise is not None:
        raise UsageError(
            "the encoder compact has no pixel statistics: it standardises each face by its own",
            hint="leave out --normalise",
        )
    face = CompactFace()
    if not request.from_scratch:
        load_weights(face, weights_file(request.weights, progress))
    objective = CompactObjective(face, COMPACT_CONFIG.loss)
    return EncoderSetup(objective, COMPACT_CONFIG, EncoderRun(encoder="compact", objective="va"))
