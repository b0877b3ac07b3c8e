"""`va calibrate`: the error bars of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vacli.cli import completion, url_paths
from vacli.cli.console import Console
from vacli.cli.streams import put


@click.command("calibrate", short_help="Fit the error bars of a run on held-out videos.")
@click.argument("run", type=click.Path(path_type=Path), shell_complete=completion.runs)
@click.argument("stores", nargs=-1, required=True, type=url_paths.STORE, shell_complete=completion.stores)
@click.option("--speech-reference", type=url_paths.STORE, help="Store of speech, to detect non-speech.")
@click.option("--face-reference", type=url_paths.STORE, help="Store of faces, to fit their expected error.")
@click.option(
    "--left-out",
    type=(click.Path(path_type=Path), url_paths.STORE),
    multiple=True,
    metavar="RUN STORE",
    help="A run like RUN, trained without the corpus in STORE. Its errors there set the error bars.",
)
@click.option("--allow-training-data", is_flag=True, help="Accept videos that the run was trained on.")
def calibrate(run: Path, stores: tuple[Path, ...], **chosen: Any) -> None:
    """Fit the error bars of a run on held-out videos.

    STORES hold features and labels of people that no model of RUN was trained on; stores of pictures from
    `va bundled-model import ferplus` are accepted too. A video that a model was trained on is refused, by its
    source file or its id. The fit is written to RUN/calibration.json, which `va predict` uses for its
    values and uncertainty columns: an output with a large expected error is shrunk towards 0. A table of the
    errors on these same frames is printed, so its coverage is no proof for other people.

    People of another corpus are often predicted worse than held-out people of the same corpus. With
    --left-out, for each corpus a run that was trained on the other corpora is measured on it, and these
    errors replace those of STORES in each state that they have.

    --speech-reference names a store of speech, such as the training store of RUN. A detector is fitted to it
    and written to RUN/speech.safetensors. Sound that is not speech (noise, tones, music) then does not count
    as a voice: without a face, `va predict` moves the values towards 0 and sets the modality to none.

    --face-reference names a store of labelled pictures, best from `va bundled-model import ferplus
    --degraded`, for a run that predicts from the bundled face network. The expected error of a face is fitted
    to the network's activations and written to RUN/face_error.safetensors. The error bars then follow it in
    place of the difficulty of a face, which is measured from its size, sharpness, landmarks and score.

    \b
    Examples:
      va calibrate runs/compact held.zarr faces.zarr
      va calibrate runs/compact-audio said-held.zarr --speech-reference said.zarr
      va calibrate runs/all held.zarr --left-out runs/without-a a.zarr \\
        --left-out runs/without-b b.zarr
    """
    from vacli.steps import calibrate as step

    scores = step.run(step.CalibrateSettings(run, stores, **chosen), Console())
    put("state,frames,ccc_valence,ccc_arousal,rmse_valence,rmse_arousal,coverage_1sd,coverage_2sd\n")
    for score in scores:
        figures = ",".join(f"{value:.3f}" for value in (*score.ccc, *score.rmse, *score.coverage))
        put(f"{score.name},{score.frames},{figures}\n")


COMMANDS = (calibrate,)
