"""From the name of an encoder to what can be trained: its task, its usual plan, its record."""

from __future__ import annotations

from vacli.errors import UsageError
from vacli.features.compact.network import CompactFace, load_weights
from vacli.features.encoder_run import EncoderRun
from vacli.progress import Progress
from vacli.recipe import schema as recipe
from vacli.training.encoder.compact_task import CompactTask
from vacli.training.encoder.learner import Learner, Request
from vacli.training.encoder.trainer import Plan
from vacli.training.encoder.vit_tasks import vit_learner

COMPACT_PLAN = Plan(
    epochs=30,
    batch_size=128,
    layer_decay=1.0,
    patience_epochs=None,
    optim=recipe.Optim(lr=2e-3, weight_decay=0.05),
    schedule=recipe.Schedule(warmup_epochs=1.0),
)


def learner(request: Request, progress: Progress) -> Learner:
    """Build what `request` asks for; loads weights, or fetches them, unless it starts from scratch."""
    if request.encoder == "compact":
        return _compact(request)
    return vit_learner(request, progress)


def _compact(request: Request) -> Learner:
    if request.objective != "va":
        raise UsageError(
            "compact has no reconstruct objective", hint="pre-training needs a vision transformer"
        )
    if request.freeze_blocks:
        raise UsageError("compact has no blocks to freeze", hint="leave out --freeze-blocks")
    face = CompactFace()
    if request.weights is not None:
        load_weights(face, request.weights)
    task = CompactTask(face, COMPACT_PLAN.loss)
    return Learner(task, COMPACT_PLAN, EncoderRun(encoder="compact", objective="va"))
