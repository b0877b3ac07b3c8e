"""`va crossval`: cross-validation with an encoder that is fine-tuned for each fold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vacli.cli import completion, options
from vacli.cli.console import Console
from vacli.cli.finite_range import FiniteRange
from vacli.cli.report import print_plan
from vacli.cli.streams import put
from vacli.runtime.allocator import keep_freed_memory

ENCODER_OPTIONS = {  # option -> setting of `va finetune-mae`
    "encoder": "encoder",
    "weights": "weights",
    "from_scratch": "from_scratch",
    "freeze_blocks": "freeze_blocks",
    "normalise": "normalise",
    "frame_stride": "frame_stride",
    "max_frames_per_video": "max_frames_per_video",
    "encoder_epochs": "epochs",
    "encoder_batch_size": "batch_size",
    "encoder_lr": "lr",
    "encoder_seed": "seed",
}


@click.command("crossval", short_help="Cross-validate with an encoder fine-tuned for each fold.")
@options.store
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Run directory. [default: runs/crossval]")
@options.recipe
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True, help="Number of folds.")
@click.option("--fold", type=click.IntRange(1), help="Only this fold.")
@options.subjects
@options.subject_pattern
@options.encoder_frames
@click.option(
    "--encoder",
    default="mae-vit-l",
    show_default=True,
    help="mae-vit-l, compact or any timm model.",
    shell_complete=completion.one_of(completion.ENCODERS),
)
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    help="Checkpoint to start each encoder from. [default: published weights, for compact the bundled ones]",
)
@click.option("--from-scratch", is_flag=True, help="Start each encoder from random weights instead.")
@click.option("--freeze-blocks", type=click.IntRange(0), help="Number of first blocks to freeze.")
@click.option(
    "--normalise",
    type=click.Choice(["paper", "per-channel", "model", "signed"]),
    help="Pixel statistics of the encoder; signed is [-1, 1]. Not for compact. [default: paper]",
)
@click.option(
    "--frame-stride", type=click.IntRange(1), default=1, help="Fine-tune on every Nth labelled frame."
)
@click.option("--max-frames-per-video", type=click.IntRange(1), help="Fine-tune on at most N frames a video.")
@click.option("--encoder-epochs", type=click.IntRange(1))
@click.option("--encoder-batch-size", type=click.IntRange(1))
@click.option("--encoder-lr", type=FiniteRange(0, min_open=True))
@click.option("--encoder-seed", type=click.IntRange(0), default=42, show_default=True)
@click.option(
    "--dtype",
    default="auto",
    show_default=True,
    help="Of the extraction: auto or float32.",
    shell_complete=completion.one_of(completion.DTYPES[:2]),
)
@options.device
@options.force
@options.dry_run
def crossval(
    store: str | None, out: Path | None, device: str, force: bool, dry_run: bool, **chosen: Any
) -> None:
    """Fine-tune the encoder, extract its feature and train, for each fold on its training videos only.

    An encoder that is fine-tuned once for all folds is trained on the held-out people, and the scores are too
    high. Here the encoder of fold N is OUT/encoder_N, its feature NAME@foldN, and its model OUT/fold_N. The
    cost is one `va finetune-mae` and one `va extract-visual` for each fold. The same command continues
    where it was interrupted. Frames that fine-tune the encoder do not count in the loss, so give
    --frame-stride or --max-frames-per-video to leave frames for the model.

    \b
    Example:
      va crossval s.zarr --preset bdca --frame-stride 10 --subjects people.csv -o runs/bdca
    """
    from vacli.steps import crossval as step
    from vacli.steps.finetune_mae import FinetuneMaeSettings
    from vacli.steps.train import TrainSettings

    named = options.store_or_default(store)
    run = out or Path("runs") / "crossval"
    encoder = {setting: chosen.pop(option) for option, setting in ENCODER_OPTIONS.items()}
    dtype = chosen.pop("dtype")
    settings = step.CrossvalSettings(
        train=TrainSettings(store=named, out=run, device=device, **chosen),
        encoder=FinetuneMaeSettings(stores=(named,), out=run, device=device, **encoder),
        dtype=dtype,
        force=force,
    )
    console = Console()
    if dry_run:
        from vacli.steps.dry_run_training import plan_crossval

        print_plan(plan_crossval(settings, console), console)
        return
    keep_freed_memory()
    put(f"{step.run(settings, console).out}\n")


COMMANDS = (crossval,)
