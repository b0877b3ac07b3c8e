"""`va predict`."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vacli.cli import cluster_options, completion, options, piped_media, supervisor, tables
from vacli.cli.console import Console
from vacli.cli.given_options import given_options
from vacli.cli.report import finish, leave, print_plan
from vacli.cli.table_target import TableTarget
from vacli.errors import UsageError
from vacli.features.registry import speech_models
from vacli.output.formats import WRITERS

if TYPE_CHECKING:
    from vacli.output.frame_table import FrameTable


@click.command("predict", short_help="Valence and arousal of every frame: recordings -> CSV.")
@options.inputs
@options.model
@options.weights
@options.allow_mismatch
@click.option(
    "--csv",
    "ending",
    flag_value=".csv",
    default=None,
    help="Write CSV (the default on stdout and in folders).",
)
@click.option("--json", "ending", flag_value=".jsonl", help="Write one JSON object a line.")
@click.option(
    "-o",
    "--out",
    type=click.Path(),
    metavar="FILE|FOLDER/",
    help=f"File to write; its ending selects the format: {tables.ENDINGS}. Or a folder: one file for each "
    "input, and index.csv. [default: stdout]",
)
@click.option(
    "--also",
    multiple=True,
    metavar="ENDING",
    shell_complete=completion.one_of(list(WRITERS)),
    help="Write a second file in this format, such as .eaf, beside the table; repeatable.",
)
@click.option("--force", is_flag=True, help="Replace existing files.")
@click.option(
    "--jobs",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    metavar="N",
    help="Inputs to predict at the same time, with an output folder.",
)
@tables.columns
@tables.decimal_comma
@click.option("--summary", is_flag=True, help="Write one row for each input: means, sd and fractions.")
@tables.fill
@click.option("--images", is_flag=True, help="Predict single pictures instead of videos.")
@options.face("Which face.")
@click.option(
    "--speech-model",
    type=click.Choice(speech_models()),
    help="Combine the predictions with a pretrained speech model's; it needs the extra speech.",
)
@click.option(
    "--raw", is_flag=True, help="Write the models' values, without calibration and speech detection."
)
@options.min_quality
@options.audio_track
@options.backend
@options.device
@cluster_options.part
@cluster_options.dask
@options.dry_run
def predict(
    inputs: tuple[str, ...],
    out: str | None,
    ending: str | None,
    also: tuple[str, ...],
    columns: str | None,
    decimal_comma: bool,
    summary: bool,
    force: bool,
    jobs: int,
    dry_run: bool,
    **chosen: Any,
) -> None:
    """Predict valence and arousal of every frame, from face and voice together.

    INPUTS are videos, sound files, folders of either, folders of aligned faces, or stores. `-` reads paths
    or one recording from stdin. The README explains the columns. Every frame has a row; the column `modality`
    names what its prediction is based on.

    On stdout the rows appear while a video is read, if exactly one face is visible in the first second; they
    belong to this face. In a file, `largest` is the face with the largest area over the whole video.

    With an output folder each input has a file of its own, and index.csv lists all of them. The same command
    skips the inputs that are complete, also after an interruption.

    Subtitles (.vtt, .srt) and annotations for ELAN (.eaf) and Praat (.TextGrid) hold the episodes of one
    recording.

    \b
    Examples:
      va predict clip.mp4 --csv
      va predict clip.mp4 -o clip.csv --also .eaf
      va predict videos/ -o out/
      va predict videos/ -o va.csv
      va predict faces/*.png --images --summary
    """
    if chosen["dask"] and jobs > 1:
        raise UsageError("--jobs has no effect with --dask", hint="use --dask local:N")
    choice = tables.OutputChoice(out, ending, also, columns, decimal_comma, summary, force)
    if choice.is_folder:
        _predict_folder(inputs, choice, jobs, dry_run, chosen)
        return
    if jobs > 1:
        raise UsageError("--jobs needs an output folder", hint="name one with -o, such as -o out/")
    if dry_run:
        _plan_table(inputs, choice, chosen)
    else:
        _predict_table(inputs, choice, chosen)


def _predict_folder(
    inputs: tuple[str, ...], choice: tables.OutputChoice, jobs: int, dry_run: bool, chosen: dict[str, Any]
) -> None:
    """Predict into a folder, a file for each recording."""
    if choice.summary:
        raise UsageError("--summary has no effect with a folder", hint="its index.csv has the summaries")
    assert choice.path is not None
    also, table_options = choice.also_endings(), choice.table_options()
    paths = options.read_inputs(inputs)
    child = supervisor.split()
    from vacli.steps import predict_folder as step
    from vacli.steps._prediction_settings import PredictSettings

    settings = step.PredictFolderSettings(
        prediction=PredictSettings(inputs=paths, given=given_options(), **chosen),
        folder=choice.path,
        ending=choice.ending or ".csv",
        also=also,
        options=table_options,
        jobs=jobs,
        force=choice.force,
    )
    console = Console(is_news=child.is_news)
    if dry_run:
        from vacli.steps.dry_run_prediction import plan_predict_folder

        print_plan(plan_predict_folder(settings, console), console)
        return
    finish(step.run(settings, console), console)


def _plan_table(inputs: tuple[str, ...], choice: tables.OutputChoice, chosen: dict[str, Any]) -> None:
    """Print what would be predicted into one table."""
    output = tables.PredictionOutput.of(choice)
    paths = options.read_inputs(inputs)
    from vacli.steps.dry_run_prediction import plan_predict
    from vacli.steps.predict import PredictSettings

    console = Console()
    settings = PredictSettings(inputs=paths, one_recording=output.one_recording, **chosen)
    print_plan(plan_predict(settings, choice.path or Path("-"), console), console)


def _predict_table(inputs: tuple[str, ...], choice: tables.OutputChoice, chosen: dict[str, Any]) -> None:
    """Predict into one table for all recordings: stdout or a file."""
    output, out = tables.PredictionOutput.of(choice), choice.path
    paths, names = piped_media.read_inputs(inputs)
    made: dict[str, Any] = {}  # the provenance, after the prediction
    convert = partial(output.convert, made=made) if output.file_options else None
    target = TableTarget(out, convert)
    live = target.is_stdout and not choice.summary
    child = supervisor.split(target.draft)
    console, text = Console(rows=live, is_news=child.is_news), io.StringIO()
    with target.opened(console) as put_rows:
        from vacli.output import provenance
        from vacli.steps import predict as step
        from vacli.steps._prediction_provenance import conditions, in_training, trained_on

        writer = output.row_writer(text, header=not child.has_header)
        settings = step.PredictSettings(
            inputs=paths,
            live=live,
            one_recording=output.one_recording,
            record_inputs=bool(output.files),
            given=given_options(),
            **chosen,
        )

        def write(table: FrameTable) -> None:
            writer.write(replace(table, name=names.get(table.name, table.name)))
            put_rows(text.getvalue())
            child.wrote()
            text.seek(0)
            text.truncate()

        batch = step.run(settings, write, console)
        if batch.inputs:
            made |= {**conditions(settings, choice.table_options()), "inputs": batch.inputs}
            made |= in_training(trained_on(settings), batch.inputs)
            made["output"]["summary"] = choice.summary
        if made and target.draft is not None and convert is None:  # the file appears after its provenance
            files = {target.draft.path.name: target.draft.part}
            provenance.write_sidecar(target.draft.path, {**made, "files": provenance.digests_of(files)})
    if not target.is_stdout:
        console.info(
            f"{out}: {len(batch.done)} done" + (f", {len(batch.failed)} failed" if batch.failed else "")
        )
    leave(bool(batch.failed))


COMMANDS = (predict,)
