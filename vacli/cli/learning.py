"""`va labels`, `va finetune-mae`, `va train`: from a store to a trained run."""

from __future__ import annotations

import os
from pathlib import Path

import click

from vacli.cli import options
from vacli.cli.console import Console
from vacli.cli.report import finish
from vacli.cli.streams import put

REFINEMENTS = ("fill", "fill+repair", "off")
CORPORA = ("ferplus", "ravdess", "emodb", "background")


@click.command("labels", short_help="Annotations (Aff-Wild2 or CSV) -> store.")
@click.argument("annotations", type=click.Path(path_type=Path))
@options.store
@options.store_out
@click.option(
    "--refine",
    type=click.Choice(REFINEMENTS),
    default="fill",
    show_default=True,
    help="What may be done to training labels; validation and test labels are never touched.",
)
@options.force
def labels(annotations: Path, store: str | None, out: Path | None, refine: str, force: bool) -> None:
    """Put annotations on the frames of a store's videos.

    ANNOTATIONS is a folder of any edition of Aff-Wild2 (VA, EXPR and AU files), or of CSV files with
    the columns time_s, valence and arousal, one a video, named like it. STORE may be `-` (stdin).

    \b
    Example:
      va labels annotations/ s.zarr
    """
    from vacli.steps import labels as step

    console = Console()
    named = options.read_inputs([store]) if store else ()
    settings = step.LabelsSettings(
        annotations=annotations, store=options.store_for(named, out), refine=refine, force=force
    )
    finish(step.run(settings, console), console)


@click.command("finetune-mae", short_help="Fine-tune a face encoder on single frames of a store.")
@options.inputs
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Run directory to write.")
@click.option("--encoder", default="mae-vit-l", show_default=True, help="mae-vit-l, compact or a timm ViT.")
@click.option("--objective", type=click.Choice(["va", "reconstruct"]), default="va", show_default=True)
@click.option("--weights", type=click.Path(path_type=Path), help="Checkpoint to start from.")
@click.option("--from-scratch", is_flag=True, help="Start from random weights.")
@click.option(
    "--freeze-blocks", type=click.IntRange(0), help="Blocks kept as they are. [default: two thirds]"
)
@click.option(
    "--normalise", type=click.Choice(["paper", "channels", "own"]), default="paper", show_default=True
)
@click.option("--every", type=click.IntRange(1), default=1, help="Take every Nth labelled frame.")
@click.option("--most-per-video", type=click.IntRange(1), help="At most so many frames of one video.")
@click.option("--validation", multiple=True, metavar="PATTERN", help="Videos to hold back; repeatable.")
@click.option("--epochs", type=click.IntRange(1))
@click.option("--batch-size", type=click.IntRange(1))
@click.option("--accumulate", type=click.IntRange(1), help="Batches an optimiser step.")
@click.option("--lr", type=float)
@click.option("--weight-decay", type=float)
@click.option("--layer-decay", type=float, help="Learning rate factor from one block to the one before.")
@click.option("--warmup-epochs", type=float)
@click.option("--patience-epochs", type=click.IntRange(1), help="Stop after so many epochs without gain.")
@click.option(
    "--average",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    help="Keep a running mean of the weights with this decay a step, such as 0.998.",
)
@click.option("--seed", type=int, default=42, show_default=True)
@click.option("--resume", is_flag=True, help="Go on where the run stopped.")
@options.device
@options.force
def finetune_mae(inputs: tuple[str, ...], out: Path, **chosen: object) -> None:
    """Fine-tune the last blocks of a masked autoencoder for valence and arousal.

    The hierarchical fine-tuning of LightMamba III-B and BDCA III-B.

    INPUTS are stores with crops and labels. `--objective reconstruct` pre-trains without labels.
    Prints the run's path; `va extract-visual --weights RUN` uses it.

    \b
    Example:
      va finetune-mae s.zarr -o runs/mae --freeze-blocks 16
    """
    from vacli.steps import finetune_mae as step

    console = Console()
    settings = step.FinetuneMaeSettings(stores=options.read_inputs(inputs), out=out, **chosen)
    result = step.run(settings, console)
    put(f"{result.out}\n")


@click.command("train", short_help="Train a model on a store: a run directory.")
@options.store
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Run directory. [default: runs/PRESET]")
@click.option("--preset", help="See `va presets`. [default: compact]")
@click.option("--recipe", "recipe_file", type=click.Path(path_type=Path), help="TOML laid over the preset.")
@click.option("--set", "assignments", multiple=True, metavar="PATH=VALUE", help="One value; repeatable.")
@click.option("--temporal", metavar="mamba|transformer|tcn|none", help="Temporal module.")
@click.option("--fusion", metavar="concat|bdca", help="How streams are joined.")
@click.option("--folds", type=click.IntRange(2), help="Cross-validate: one model a fold.")
@click.option("--fold", type=click.IntRange(0), help="Only this fold; 0 is the official split.")
@click.option("--resume", is_flag=True, help="Go on where the run stopped.")
@options.device
def train(store: str | None, out: Path | None, preset: str | None, **chosen: object) -> None:
    """Train a temporal model on the features and labels of STORE.

    STORE defaults to $VA_STORE, else ./feats.zarr; `-` reads it from stdin. Prints the run's path.

    On several GPUs PyTorch's torchrun starts it; loss and gradients are those of one process.

    \b
    Examples:
      va train s.zarr --preset bdca --folds 5 -o runs/bdca
      va train --temporal mamba
      torchrun --nproc-per-node 4 -m vacli train s.zarr --preset lightmamba
    """
    from vacli.steps import train as step

    named = options.read_inputs([store]) if store else (options.default_store(),)
    run = out or Path("runs") / (preset or step.DEFAULT_PRESET)
    result = step.run(step.TrainSettings(store=named[0], out=run, preset=preset, **chosen), Console())
    if os.environ.get("RANK", "0") == "0":  # one of torchrun's processes speaks for all
        put(f"{result.out}\n")


@click.command("corpus", short_help="FER+, RAVDESS or EmoDB -> store, labels mapped.")
@click.argument("kind", type=click.Choice(CORPORA))
@click.argument("path", type=click.Path(path_type=Path))
@options.store_out
@click.option(
    "--copies", type=click.IntRange(0), default=0, help="Disturbed copies of each utterance besides."
)
@click.option(
    "--sounds", type=click.Path(path_type=Path), help="Folder that disturbed copies are written to."
)
@click.option("--seed", type=int, default=42, show_default=True, help="Of the disturbances.")
def corpus(kind: str, path: Path, out: Path | None, copies: int, sounds: Path | None, seed: int) -> None:
    """Bring a corpus of emotion categories into a store, as mapped valence and arousal.

    FER+ faces are aligned as `va predict --stills` aligns pictures. RAVDESS is licensed
    CC BY-NC-SA 4.0: not for commercial use, and neither are weights trained on it.

    Disturbed copies of speech differ in level, noise, reverberation, pace, tone and telephone band.
    `background` is a folder of sounds without speech; --copies says how many are made there first.

    \b
    Examples:
      va corpus ravdess data/ravdess -o voices.zarr --copies 2 --sounds worse
      va corpus background silence --copies 150 -o voices.zarr
    """
    from vacli.steps import corpus as step

    console = Console()
    settings = step.CorpusSettings(
        kind=kind, path=path, store=options.store_for((), out), copies=copies, sounds=sounds, seed=seed
    )
    finish(step.run(settings, console), console)


@click.command("compose", short_help="Stills + utterances -> a store of sequences to train on.")
@click.argument("faces", type=click.Path(path_type=Path))
@click.argument("voices", type=click.Path(path_type=Path))
@options.store_out
@click.option("--sequences", type=click.IntRange(1), default=600, show_default=True)
@click.option(
    "--groups", type=click.IntRange(2), default=5, show_default=True, help="Groups of people, kept apart."
)
@click.option("--seed", type=int, default=42, show_default=True)
@click.option("--held", is_flag=True, help="Of the faces and speakers that are otherwise left out.")
@click.option("--utterances", is_flag=True, help="Single utterances only, for a model of the voice.")
def compose(
    faces: Path,
    voices: Path,
    out: Path | None,
    sequences: int,
    groups: int,
    seed: int,
    held: bool,
    utterances: bool,
) -> None:
    """Compose sequences of faces and voices of matching valence and arousal.

    FACES and VOICES are stores made by `va corpus` with their features extracted. Pieces without a
    face, without a voice, silent or in disagreement are among them. A sixth of the speakers and the
    validation split's faces are left out, for --held.

    With --utterances no face is shown, a twentieth are other sound or none, and utterances are drawn so that
    arousal says nothing of valence, which it does in acted speech; with --held evenly.

    \b
    Examples:
      va compose faces.zarr voices.zarr -o mix.zarr
      va compose faces.zarr voices.zarr --utterances -o said.zarr
      va compose faces.zarr voices.zarr --held -o held.zarr
    """
    from vacli.datasets.synthesis import UTTERANCES, Mixture
    from vacli.steps import compose as step

    console = Console()
    settings = step.ComposeSettings(
        faces=faces,
        voices=voices,
        store=options.store_for((), out),
        sequences=sequences,
        groups=groups,
        seed=seed,
        held=held,
        balanced=utterances and not held,
        mixture=UTTERANCES if utterances else Mixture(),
    )
    finish(step.run(settings, console), console)


@click.command("bundle", short_help="A run -> the weights that the package ships.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Folder. [default: the package's own]")
def bundle(run: Path, out: Path | None) -> None:
    """Put a run of `va train` or `va finetune-mae --encoder compact` where `va predict` finds it by itself.

    A run of the preset voice goes beside the model of face and voice; any other takes that one's place.
    Weights are halved in precision; what is needed only to resume is left out.

    \b
    Example:
      va bundle runs/compact
    """
    from vacli.steps import bundle as step

    settings = step.BundleSettings(run, out) if out else step.BundleSettings(run)
    put(f"{step.run(settings, Console())}\n")


@click.command("calibrate", short_help="What a run's spread is worth, measured on unseen videos.")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("stores", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--speech", type=click.Path(path_type=Path), help="A store with much speech, to tell other sound by."
)
def calibrate(run: Path, stores: tuple[Path, ...], speech: Path | None) -> None:
    """Turn the spread of a run's models into a standard deviation of the error.

    STORES hold features and labels of people that no model of RUN was trained on, stills among them
    as `va corpus ferplus` brings them. The figures go to RUN/calibration.json, which `va predict` then
    uses; a table of what was measured is printed. Values for recordings that never show a face, state
    "audio alone", are moved and stretched to lie and vary as their labels do.

    --speech names a store with much speech; what RUN was trained on will do. By RUN/speech.safetensors it is
    told from other sound: where a recording without a face has that (noise, tones, a beat), `va predict`
    draws the values to 0 and calls the rows none.

    \b
    Examples:
      va calibrate runs/compact held.zarr faces.zarr
      va calibrate runs/voice said-held.zarr --speech said.zarr
    """
    from vacli.steps import calibrate as step

    states = step.run(step.CalibrateSettings(run, stores, speech=speech), Console())
    put("state,frames,ccc_valence,ccc_arousal,rmse_valence,rmse_arousal,coverage_1sd,coverage_2sd\n")
    for s in states:
        figures = ",".join(f"{value:.3f}" for value in (*s.ccc, *s.rmse, *s.within))
        put(f"{s.name},{s.frames},{figures}\n")


COMMANDS = (labels, finetune_mae, train, calibrate)
MAKING_THE_DEFAULT = (corpus, compose, bundle)
