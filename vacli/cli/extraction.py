"""`va align`, `va extract-visual`, `va extract-audio`, `va import-feature`: into a store."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import click

from vacli.cli import cluster_options, completion, options, supervisor
from vacli.cli.console import Console
from vacli.cli.report import finish, print_plan
from vacli.errors import UsageError
from vacli.features.registry import EXTRACTORS, default_names, names
from vacli.spec import AUDIO, VISUAL


def _listed(modality: str) -> str:
    """The features of a modality and their licences, as the end of a help text."""
    by_licence: dict[str, list[str]] = {}
    for name in names(modality):
        by_licence.setdefault(EXTRACTORS[name].licence, []).append(name)
    features = [f"  {name:19} {EXTRACTORS[name].help}" for name in names(modality)]
    licences = []
    for licence, group in by_licence.items():
        licences += textwrap.wrap(f"{', '.join(group)}:", 76, initial_indent="  ", subsequent_indent="  ")
        licences.append(f"    {licence}")
    return "\n".join(["\b", "Features:", *features, "Licences:", *licences])


tag = click.option(
    "--tag", metavar="TAG", help="Store the feature as FEATURE@TAG, beside other versions of it."
)
dtype = click.option(
    "--dtype",
    default="auto",
    show_default=True,
    help="auto, float32 or bfloat16.",
    shell_complete=completion.one_of(completion.DTYPES),
)


@click.command("align", short_help="Detect, track and align faces: videos -> store.")
@options.inputs
@options.store_out
@options.face("Which face. left and right are for two-person trials; all makes an entry for each face.")
@click.option("--no-crops", is_flag=True, help="Do not store the aligned faces.")
@options.backend
@cluster_options.part
@cluster_options.dask
@options.force
@options.dry_run
def align(inputs: tuple[str, ...], out: Path | None, no_crops: bool, dry_run: bool, **chosen: Any) -> None:
    """Detect, track and align the faces of videos: one row for every frame, with a face or without.

    INPUTS are videos, folders of them, or folders of aligned faces (TRIAL/00001.jpg). `-` reads
    paths from stdin. The command prints the store's path.

    \b
    Example:
      va align videos/ -o s.zarr
    """
    paths = options.read_inputs(inputs)
    store = options.store_for(paths, out)
    console = Console(is_news=supervisor.split().is_news)
    from vacli.steps import align as step

    settings = step.AlignSettings(inputs=paths, store=store, crops=not no_crops, **chosen)
    if dry_run:
        from vacli.steps.dry_run import plan_align

        print_plan(plan_align(settings, console), console)
        return
    finish(step.run(settings, console), console)


@click.command(
    "extract-visual", short_help="Visual features: aligned faces -> store.", epilog=_listed(VISUAL)
)
@options.inputs
@options.store_out
@click.option(
    "--feature",
    default=default_names(VISUAL)[0],
    show_default=True,
    help=f"{', '.join(names(VISUAL))} or any timm model.",
    shell_complete=completion.one_of(lambda: completion.features(VISUAL)),
)
@tag
@click.option("--weights", type=click.Path(path_type=Path), help="A weights file or a finetune-mae run.")
@click.option(
    "--frame-stride", type=click.IntRange(1), default=1, help="Embed every Nth frame and interpolate."
)
@click.option(
    "--normalise",
    type=click.Choice(["model", "paper", "per-channel", "signed"]),
    help="Pixel statistics; signed is [-1, 1]. [default: model]",
)
@dtype
@click.option("--batch-size", type=click.IntRange(1), help="Faces in a batch. [default: auto]")
@options.device
@cluster_options.part
@cluster_options.dask
@options.force
@options.dry_run
def extract_visual(inputs: tuple[str, ...], out: Path | None, dry_run: bool, **chosen: Any) -> None:
    """Extract a network's features from every aligned face of a store.

    INPUTS are stores, or videos, which are aligned first. `-` reads paths from stdin. Frames without
    a face get rows of NaN and a flag. With --dask, more than 4096 faces of a video are several tasks, whose
    results are kept until the video is complete. The command prints the store's path.

    \b
    Example:
      va align videos/ -o s.zarr | va extract-visual - --feature mae-vit-l
    """
    paths = options.read_inputs(inputs)
    store = options.store_for(paths, out)
    console = Console(is_news=supervisor.split().is_news)
    from vacli.steps import extract_visual as step

    settings = step.ExtractVisualSettings(inputs=paths, store=store, **chosen)
    if dry_run:
        from vacli.steps.dry_run import plan_extract_visual

        print_plan(plan_extract_visual(settings, console), console)
        return
    finish(step.run(settings, console), console)


@click.command(
    "extract-audio",
    short_help="Audio features at frame times: recordings -> store.",
    epilog=_listed(AUDIO),
)
@options.inputs
@options.store_out
@click.option(
    "--feature",
    "features",
    multiple=True,
    default=default_names(AUDIO),
    show_default=True,
    help=f"{', '.join(names(AUDIO))}; repeatable.",
    shell_complete=completion.one_of(lambda: completion.features(AUDIO)),
)
@tag
@click.option(
    "--align",
    type=click.Choice(["centre", "start", "causal"]),
    default="centre",
    show_default=True,
    help="Position of vggish's 0.96 s window relative to the frame; causal ends at it.",
)
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    help="Weights of the feature: a file; for a speech network also a folder or hub:OWNER/NAME.",
)
@click.option(
    "--layer",
    type=click.IntRange(1),
    metavar="N",
    help="Transformer layer of a speech network, from 1. [default: the last one]",
)
@click.option(
    "--final-relu", is_flag=True, help="Add the final ReLU of torchvggish, which the reference does not have."
)
@click.option("--pca", is_flag=True, help="Apply the reference's PCA and quantisation to vggish.")
@click.option("--pca-weights", type=click.Path(path_type=Path), help="A file with the PCA's parameters.")
@click.option(
    "--window",
    "window_s",
    type=float,
    default=1.0,
    show_default=True,
    help="Window of the functionals, in seconds.",
)
@dtype
@click.option("--batch-size", type=click.IntRange(1), help="Windows in a batch. [default: auto]")
@click.option(
    "--workers", type=click.IntRange(1), help="Recordings in parallel. [default: one for each core]"
)
@options.audio_track
@options.device
@cluster_options.part
@cluster_options.dask
@options.force
@options.dry_run
def extract_audio(inputs: tuple[str, ...], out: Path | None, dry_run: bool, **chosen: Any) -> None:
    """Extract audio features at the time of every frame.

    INPUTS are videos, sound files, folders of them, or a store, whose recordings are read again.
    Sound files get 25 rows a second. Frames without sound get rows of NaN and a flag.
    The command prints the store's path.

    \b
    Example:
      va extract-audio videos/ -o feats.zarr
    """
    if chosen["dask"] and chosen["workers"]:
        raise UsageError("--workers has no effect with --dask", hint="use --dask local:N")
    paths = options.read_inputs(inputs)
    store = options.store_for(paths, out)
    console = Console(is_news=supervisor.split().is_news)
    from vacli.steps import extract_audio as step

    settings = step.ExtractAudioSettings(inputs=paths, store=store, **chosen)
    if dry_run:
        from vacli.steps.dry_run import plan_extract_audio

        print_plan(plan_extract_audio(settings, console), console)
        return
    finish(step.run(settings, console), console)


@click.command("import-feature", short_help="Your own features: arrays or tables -> store.")
@click.argument("name")
@click.argument("arrays", type=click.Path(path_type=Path))
@options.store
@click.option(
    "--modality",
    type=click.Choice([VISUAL, AUDIO]),
    default=VISUAL,
    show_default=True,
    help="What the feature is made from.",
)
@click.option("--rate", "rate_hz", type=float, metavar="HZ", help="Rate of rows that have no times.")
@click.option("--version", default="1", show_default=True, help="Compared between a run and a store.")
@options.force
def import_feature(name: str, arrays: Path, store: str | None, **chosen: Any) -> None:
    """Import a feature of your own, one file for each video, called like the recording.

    ARRAYS is a folder of npy, npz, CSV or Parquet files, or one of them: rows x columns. Rows with times
    (a column time_s, an array times_s in npz, or --rate) are interpolated at the frames of the video, and
    frames outside of them are NaN with a flag. Without times there must be a row for each frame.

    STORE defaults to $VA_STORE, else ./feats.zarr; `-` reads its path from stdin. The command prints it.

    \b
    Examples:
      va import-feature openface openface_csv/ s.zarr
      va train s.zarr --set 'model.streams.visual.features=["openface"]' --set model.streams.visual.dim=35
    """
    from vacli.steps import import_feature as step

    console = Console()
    named = options.store_or_default(store)
    settings = step.ImportFeatureSettings(name=name, arrays=arrays, store=named, **chosen)
    finish(step.run(settings, console), console)


COMMANDS = (align, extract_visual, extract_audio, import_feature)
