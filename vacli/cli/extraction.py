"""`va align`, `va extract-visual`, `va extract-audio`: from recordings into a store."""

from __future__ import annotations

from pathlib import Path

import click

from vacli.cli import options, supervisor
from vacli.cli.console import Console
from vacli.cli.report import finish

OPENSMILE_LICENCE = """openSMILE (egemaps, mfcc39, gemaps-functionals and their kin) is licensed by audEERING
for research and private use, not for commercial products; everything else works without it."""


@click.command("align", short_help="Find, follow and align faces: videos -> store.")
@options.inputs
@options.store_out
@click.option(
    "--face",
    default="largest",
    show_default=True,
    metavar="largest|all|ID|left|right",
    help="Whose face: left and right serve two-person trials, all makes an entry a person.",
)
@click.option("--no-crops", is_flag=True, help="Do not keep the aligned faces.")
@options.backend
@options.force
def align(
    inputs: tuple[str, ...], out: Path | None, face: str, no_crops: bool, backend: str, force: bool
) -> None:
    """Find, follow and align the faces of videos: one row a frame, face or not.

    INPUTS are videos, folders of them, or folders of aligned faces (TRIAL/00001.jpg). `-` reads
    paths from stdin. Prints the store's path.

    \b
    Example:
      va align videos/ -o s.zarr
    """
    paths = options.read_inputs(inputs)
    store = options.store_for(paths, out)
    console = Console(is_news=supervisor.split().is_news)
    from vacli.steps import align as step

    settings = step.AlignSettings(
        inputs=paths,
        store=store,
        face=face,
        crops=not no_crops,
        backend=backend,
        force=force,
    )
    finish(step.run(settings, console), console)


@click.command("extract-visual", short_help="Face features: aligned faces -> store.")
@options.inputs
@options.store_out
@click.option(
    "--feature", default="compact", show_default=True, help="mae-vit-l, resnet50, compact or any timm model."
)
@click.option("--weights", type=click.Path(path_type=Path), help="A weights file or a finetune-mae run.")
@click.option(
    "--every", type=click.IntRange(1), default=1, help="Compute every Nth frame, interpolate the rest."
)
@click.option(
    "--normalise", type=click.Choice(["own", "paper", "channels"]), help="Pixel statistics. [default: own]"
)
@click.option("--dtype", default="auto", show_default=True, help="auto, float32 or bfloat16.")
@click.option("--batch-size", type=click.IntRange(1), help="Faces at once. [default: auto]")
@options.device
@options.force
def extract_visual(inputs: tuple[str, ...], out: Path | None, **chosen: object) -> None:
    """Describe every aligned face of a store by a network's numbers.

    INPUTS are stores, or videos, which are aligned first. `-` reads paths from stdin. Frames without
    a face get rows of NaN and a flag. Prints the store's path.

    \b
    Example:
      va align videos/ -o s.zarr | va extract-visual - --feature mae-vit-l
    """
    paths = options.read_inputs(inputs)
    store = options.store_for(paths, out)
    console = Console(is_news=supervisor.split().is_news)
    from vacli.steps import extract_visual as step

    settings = step.ExtractVisualSettings(inputs=paths, store=store, **chosen)
    finish(step.run(settings, console), console)


@click.command(
    "extract-audio",
    short_help="Sound features on the frames of the pictures: recordings -> store.",
    epilog=OPENSMILE_LICENCE,
)
@options.inputs
@options.store_out
@click.option(
    "--feature",
    "features",
    multiple=True,
    default=("egemaps", "mfcc39"),
    show_default=True,
    help="vggish, egemaps, egemaps-v02, mfcc39, gemaps-functionals, egemaps-functionals; repeatable.",
)
@click.option(
    "--align",
    type=click.Choice(["centre", "start", "past"]),
    default="centre",
    show_default=True,
    help="Where vggish's 0.96 s window lies about a frame; past is causal.",
)
@click.option("--weights", type=click.Path(path_type=Path), help="A file with vggish's weights.")
@click.option(
    "--final-relu", is_flag=True, help="The ReLU that torchvggish ends with and the reference does not."
)
@click.option("--pca", is_flag=True, help="The reference's PCA and quantisation after vggish.")
@click.option("--pca-weights", type=click.Path(path_type=Path), help="A file with the PCA's parameters.")
@click.option(
    "--window", "window_s", type=float, default=1.0, show_default=True, help="Functionals' seconds."
)
@click.option("--workers", type=click.IntRange(1), help="Recordings at once. [default: one a core]")
@options.audio_track
@options.device
@options.force
def extract_audio(inputs: tuple[str, ...], out: Path | None, **chosen: object) -> None:
    """Describe the sound at every frame.

    INPUTS are videos, sound files, folders of them, or a store, whose recordings are then listened to.
    Sound alone is described 25 times a second. Frames without sound get rows of NaN and a flag.
    Prints the store's path.

    \b
    Example:
      va extract-audio videos/ -o feats.zarr
    """
    paths = options.read_inputs(inputs)
    store = options.store_for(paths, out)
    console = Console(is_news=supervisor.split().is_news)
    from vacli.steps import extract_audio as step

    settings = step.ExtractAudioSettings(inputs=paths, store=store, **chosen)
    finish(step.run(settings, console), console)


COMMANDS = (align, extract_visual, extract_audio)
