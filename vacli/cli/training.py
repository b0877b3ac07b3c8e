"""`va import-labels`, `va finetune-mae`, `va train`: from a store to a trained run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from vacli.cli import annotation_options, completion, options
from vacli.cli.console import Console
from vacli.cli.finite_range import FiniteRange
from vacli.cli.report import finish, print_plan
from vacli.cli.streams import put
from vacli.runtime.allocator import keep_freed_memory

REFINEMENTS = ("fill", "fill+repair", "off")


@click.command("import-labels", short_help="Annotations (Aff-Wild2 or CSV) -> store.")
@click.argument("annotations", type=click.Path(path_type=Path))
@options.store
@options.store_out
@annotation_options.reading
@click.option("--subjects", type=click.Path(path_type=Path), help="Table with the columns video and subject.")
@click.option("--subject-pattern", metavar="REGEX", help="Part of a video's name that is its subject.")
@click.option(
    "--refine",
    type=click.Choice(REFINEMENTS),
    default="fill",
    show_default=True,
    help="Correction of training labels; validation and test labels are never changed.",
)
@options.force
def import_labels(annotations: Path, store: str | None, out: Path | None, **chosen: Any) -> None:
    """Import annotations as labels of the frames of a store's videos.

    ANNOTATIONS is a folder of any edition of Aff-Wild2 (VA, EXPR and AU files), or of text tables, one for
    each video and named like it, or one table with a column of videos. Separator, decimal mark and encoding
    are detected. The columns time, valence and arousal are found by their usual names; without times row i
    is frame i. Folders distinguish videos of one name. STORE may be `-` (stdin).

    Labels of several raters (columns valence_1, valence_2, a column rater, files or folders) are combined,
    and their agreement is reported. A column subject names the person in a video.

    \b
    Examples:
      va import-labels annotations/ s.zarr
      va import-labels ratings.csv s.zarr --unit ms --range 1 7 --delay 2
      va import-labels labels/ s.zarr --subjects people.csv --raters ewe
    """
    from vacli.steps import import_labels as step

    console = Console()
    named = (options.read_input(store),) if store else ()
    reading = annotation_options.take(chosen)
    settings = step.ImportLabelsSettings(
        annotations=annotations, store=options.store_for(named, out), **vars(reading), **chosen
    )
    finish(step.run(settings, console), console)


@click.command("finetune-mae", short_help="Fine-tune a face encoder on single frames of a store.")
@options.inputs
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Run directory to write.")
@click.option(
    "--encoder",
    default="mae-vit-l",
    show_default=True,
    help="mae-vit-l, compact or any timm model.",
    shell_complete=completion.one_of(completion.ENCODERS),
)
@click.option("--objective", type=click.Choice(["va", "reconstruct"]), default="va", show_default=True)
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    help="Checkpoint to start from. [default: published weights, for compact the bundled ones]",
)
@click.option("--from-scratch", is_flag=True, help="Start from random weights instead.")
@click.option(
    "--freeze-blocks", type=click.IntRange(0), help="Number of first blocks to freeze. [default: two thirds]"
)
@click.option(
    "--normalise",
    type=click.Choice(["paper", "per-channel", "model", "signed"]),
    help="Pixel statistics: the paper's, each channel's own, those of the pre-training, or [-1, 1]; "
    "not for compact. [default: paper]",
)
@click.option("--frame-stride", type=click.IntRange(1), default=1, help="Use every Nth labelled frame.")
@click.option("--max-frames-per-video", type=click.IntRange(1), help="Use at most N frames of a video.")
@click.option(
    "--frame-list", type=click.Path(path_type=Path), help="CSV video,frame: the only frames to train on."
)
@click.option("--validation", multiple=True, metavar="PATTERN", help="Videos to validate on; repeatable.")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="Videos to leave out; repeatable.")
@click.option(
    "--exclude-subject", "exclude_subjects", multiple=True, metavar="NAME", help="Person to leave out."
)
@options.subjects
@options.subject_pattern
@click.option("--epochs", type=click.IntRange(1))
@click.option("--batch-size", type=click.IntRange(1))
@click.option("--grad-accum", type=click.IntRange(1), help="Batches for each optimiser step.")
@click.option("--lr", type=FiniteRange(0, min_open=True))
@click.option("--weight-decay", type=FiniteRange(0))
@click.option(
    "--layer-decay",
    type=FiniteRange(0, 1, min_open=True),
    help="Learning rate factor from each block to the one before.",
)
@click.option("--warmup-epochs", type=FiniteRange(0))
@click.option("--patience-epochs", type=click.IntRange(1), help="Stop after N epochs without a gain.")
@click.option(
    "--ema-decay",
    type=FiniteRange(0, 1, max_open=True),
    default=0.0,
    help="Decay of the weights' exponential moving average for each step, such as 0.998.",
)
@click.option("--seed", type=click.IntRange(0), default=42, show_default=True)
@click.option("--resume", is_flag=True, help="Continue an interrupted run.")
@options.device
@options.force
@options.dry_run
def finetune_mae(inputs: tuple[str, ...], out: Path, dry_run: bool, **chosen: Any) -> None:
    """Fine-tune the last blocks of a masked autoencoder for valence and arousal.

    This is the hierarchical fine-tuning of LightMamba III-B and BDCA III-B.

    INPUTS are stores with face crops and labels. `--objective reconstruct` pre-trains without labels.
    The command prints the run's path, for `va extract-visual --weights RUN`.

    \b
    Example:
      va finetune-mae s.zarr -o runs/mae --freeze-blocks 16
    """
    from vacli.steps import finetune_mae as step

    console = Console()
    settings = step.FinetuneMaeSettings(stores=options.read_inputs(inputs), out=out, **chosen)
    if dry_run:
        from vacli.steps.dry_run_training import plan_finetune_mae

        print_plan(plan_finetune_mae(settings, console), console)
        return
    keep_freed_memory()
    result = step.run(settings, console)
    put(f"{result.out}\n")


@click.command("train", short_help="Train a model on a store: a run directory.")
@options.store
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="Run directory. [default: runs/PRESET, or runs/adapted]",
)
@options.recipe
@click.option("--folds", type=click.IntRange(2), help="Cross-validate with N folds, a model for each.")
@click.option("--fold", type=click.IntRange(0), help="Train only this fold; 0 is the official split.")
@click.option(
    "--init",
    metavar="bundled|bundled-audio|RUN",
    help="Start from a model of the package or a run.",
    shell_complete=completion.any_of(completion.one_of(completion.BUNDLED), completion.runs),
)
@click.option(
    "--freeze",
    type=click.Choice(["all-but-head", "all-but-last", "none"]),
    help="With --init: layers that are not trained. [default: all-but-head]",
)
@options.subjects
@options.subject_pattern
@options.encoder_frames
@click.option("--resume", is_flag=True, help="Continue an interrupted run.")
@click.option("--bundle-encoder", is_flag=True, help="Copy the weights of the features into the run.")
@click.option(
    "--weights",
    multiple=True,
    metavar="[NAME=]FILE",
    callback=options.named_files,
    shell_complete=completion.named_paths(completion.weights),
    help="Weights to copy, where `va extract-visual` read them no longer has them; repeatable.",
)
@options.device
@options.dry_run
def train(store: str | None, out: Path | None, preset: str | None, dry_run: bool, **chosen: Any) -> None:
    """Train a temporal model on the features and labels of STORE.

    STORE defaults to $VA_STORE, else ./feats.zarr; `-` reads its path from stdin. The command prints the
    run's path.

    --init adapts a trained model to a few annotated videos. By default it is cross-validated, and the
    command shows the gain over the model that it started from on the same held-out videos.

    On several GPUs start it with PyTorch's torchrun: loss and gradients equal those of one process.

    \b
    Examples:
      va train s.zarr --preset bdca --folds 5 -o runs/bdca
      va train --temporal mamba
      va train mine.zarr --init bundled -o runs/mine
      torchrun --nproc-per-node 4 -m vacli train s.zarr --preset lightmamba
    """
    from vacli.steps import train as step

    named = options.store_or_default(store)
    run = out or Path("runs") / (preset or ("adapted" if chosen["init"] else step.DEFAULT_PRESET))
    settings, console = step.TrainSettings(store=named, out=run, preset=preset, **chosen), Console()
    if dry_run:
        from vacli.steps.dry_run_training import plan_train

        print_plan(plan_train(settings, console), console)
        return
    keep_freed_memory()
    result = step.run(settings, console)
    if os.environ.get("RANK", "0") == "0":  # of torchrun's processes only the main one prints
        put(f"{result.out}\n")


COMMANDS = (import_labels, finetune_mae, train)
