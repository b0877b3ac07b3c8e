"""`va overlay`: predictions drawn on copies of videos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vacli.cli import options, supervisor
from vacli.cli.console import Console
from vacli.cli.given_options import given_options
from vacli.cli.report import leave
from vacli.cli.streams import put


@click.command("overlay", short_help="A copy of a video with its predictions drawn on it.")
@options.inputs
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE|FOLDER",
    help="Video to write (.mp4, .m4v, .mov or .mkv), or a folder for several.",
)
@click.option("--table", type=click.Path(path_type=Path), help="Draw the rows of this table of `va predict`.")
@click.option("--blur", is_flag=True, help="Hide all detected faces; the voice stays.")
@click.option(
    "--width",
    "width_px",
    type=click.IntRange(64, 8192),
    help="Width; the shorter side has at least 240 pixels. [default: that of the video]",
)
@options.model
@options.weights
@options.allow_mismatch
@options.face("Which faces.", default="all")
@options.min_quality
@options.audio_track
@options.backend
@options.device
@click.option("--force", is_flag=True, help="Replace existing files.")
def overlay(
    inputs: tuple[str, ...],
    out: Path,
    table: Path | None,
    blur: bool,
    width_px: int | None,
    force: bool,
    **chosen: Any,
) -> None:
    """Write a copy of a video with boxes, curves and the valence-arousal plane.

    INPUTS are videos, folders of videos, stores, or tables of `va predict`, whose column `input` names the
    videos. Frames keep their times; the sound is copied, or encoded as AAC if the new file cannot hold it.
    Rotated videos become upright. Bands and ellipses show one standard deviation. Hatched parts of the curves
    have no prediction. The command prints the paths of the new files.

    \b
    Examples:
      va overlay clip.mp4 -o clip-va.mp4
      va overlay videos/ -o overlays/ --blur
      va overlay clip.mp4 --table va.csv -o clip-va.mp4
    """
    paths = options.read_inputs(inputs)
    console = Console(is_news=supervisor.split().is_news)
    from vacli.steps import overlay as step
    from vacli.steps._prediction_settings import PredictSettings

    predict = PredictSettings(inputs=paths, given=given_options(), **chosen)
    settings = step.OverlaySettings(
        predict=predict, out=out, table=table, blur=blur, width_px=width_px, force=force
    )
    result = step.run(settings, console)
    for path in result.files:
        put(f"{path}\n")
    leave(bool(result.failed))


COMMANDS = (overlay,)
