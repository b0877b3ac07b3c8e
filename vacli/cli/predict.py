"""`va predict`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vacli.cli import completion, options, supervisor, tables
from vacli.cli.console import Console
from vacli.cli.report import leave
from vacli.cli.table_target import TableTarget

if TYPE_CHECKING:
    from vacli.output.frame_table import FrameTable


@click.command("predict", short_help="Valence and arousal of every frame: recordings -> CSV.")
@options.inputs
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    help="A trained run. [default: the bundled model]",
    shell_complete=completion.runs,
)
@options.weights
@options.allow_mismatch
@click.option("--csv", "ending", flag_value=".csv", default=None, help="Write CSV (the default on stdout).")
@click.option("--json", "ending", flag_value=".jsonl", help="Write one JSON object a line.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=f"File to write; its ending selects the format: {tables.ENDINGS}. [default: stdout]",
)
@tables.columns
@tables.decimal_comma
@click.option("--summary", is_flag=True, help="Write one row for each input: means, sd and fractions.")
@tables.fill
@click.option("--images", is_flag=True, help="Predict single pictures instead of videos.")
@options.face("Which face.")
@options.audio_track
@options.backend
@options.device
def predict(
    inputs: tuple[str, ...],
    ending: str | None,
    out: Path | None,
    columns: str | None,
    decimal_comma: bool,
    summary: bool,
    **chosen: Any,
) -> None:
    """Predict valence and arousal of every frame, from face and voice together.

    INPUTS are videos, sound files, folders of either, folders of aligned faces, or stores. `-` reads paths
    from stdin. The README explains the columns. Every frame has a row; the column `modality` names what its
    prediction is based on.

    On stdout the rows appear while a video is read, if exactly one face is visible in the first second; they
    belong to this face. In a file, `largest` is the face with the largest area over the whole video.

    Subtitles (.vtt, .srt) and annotations for ELAN (.eaf) and Praat (.TextGrid) hold the episodes of one
    recording.

    \b
    Examples:
      va predict clip.mp4 --csv
      va predict clip.mp4 -o clip.eaf
      va predict videos/ -o va.csv
      va predict faces/*.png --images --summary
    """
    output = tables.PredictionOutput.of(out, ending, columns, decimal_comma, summary)
    paths = options.read_inputs(inputs)
    target = TableTarget(out, output.convert)
    live = target.is_stdout and not summary
    child = supervisor.split(target.draft)
    from vacli.steps import predict as step

    console, text = Console(rows=live, is_news=child.is_news), io.StringIO()
    writer = output.row_writer(text, header=not child.has_header)
    with target.opened(console) as put_rows:

        def write(table: FrameTable) -> None:
            writer.write(table)
            put_rows(text.getvalue())
            child.wrote()
            text.seek(0)
            text.truncate()

        one = output.one_recording
        settings = step.PredictSettings(inputs=paths, live=live, one_recording=one, **chosen)
        batch = step.run(settings, write, console)
    if not target.is_stdout:
        console.info(
            f"{out}: {len(batch.done)} done" + (f", {len(batch.failed)} failed" if batch.failed else "")
        )
    leave(bool(batch.failed))


COMMANDS = (predict,)
