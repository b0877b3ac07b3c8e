"""`va live`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vacli.cli import completion, options
from vacli.cli.console import Console
from vacli.cli.streams import put, stdout_is_closed
from vacli.errors import OutputError, UsageError
from vacli.output.columns import LIVE_COLUMNS
from vacli.output.formats import parse_columns

if TYPE_CHECKING:
    from vacli.output.live.rows import PredictedRows, RowText

DROP_POLICIES = ("newest", "oldest", "none")


def _key_values(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    """KEY=VALUE as a dictionary; BadParameter for another text."""
    pairs = [value.partition("=") for value in values]
    for (key, sign, _), value in zip(pairs, values, strict=True):
        if not key or not sign:
            raise click.BadParameter(f"{value!r} is not KEY=VALUE", ctx, param)
    return {key: value for key, _, value in pairs}


def _list_devices(ctx: click.Context, param: click.Parameter, is_given: bool) -> None:
    """Write the cameras and microphones to stdout, and end the command."""
    if not is_given or ctx.resilient_parsing:
        return
    from vacli.media.devices import list_devices

    found = [(one.kind, one.name, one.description) for one in list_devices()]
    if not found:
        Console().info("no camera or microphone was found")
    width = max((len(name) for _, name, _ in found), default=0)
    for kind, name, description in found:
        put(f"{kind:<10}  {name:<{width}}  {description}\n")
    ctx.exit()


@click.command("live", short_help="Valence and arousal while a camera or a stream runs.")
@click.argument("source", shell_complete=completion.paths)
@click.option(
    "--audio",
    metavar="NAME|none",
    help="Microphone beside a camera. [default: the system's]",
    shell_complete=completion.one_of(("none",)),
)
@options.audio_track
@click.option(
    "--list-devices",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_devices,
    help="List the cameras and microphones, and exit.",
)
@click.option(
    "--format",
    "demuxer",
    metavar="NAME",
    help="FFmpeg's name of the input format or capture library, such as rawvideo or dshow.",
)
@click.option(
    "--input-option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    callback=_key_values,
    help="Option of FFmpeg for the source, such as video_size=640x360; repeatable.",
)
@click.option(
    "--drop",
    type=click.Choice(DROP_POLICIES),
    help="Which frames are skipped if they arrive faster than they are predicted. [default: oldest for "
    "cameras and addresses; none, which makes the sender wait, for files and pipes]",
)
@click.option(
    "--timeout", "timeout_s", callback=options.seconds, metavar="TIME", help="End if nothing arrives."
)
@click.option(
    "--duration", "duration_s", callback=options.seconds, metavar="TIME", help="End after this time."
)
@click.option(
    "--delay",
    "delay_s",
    callback=options.seconds,
    default="0",
    metavar="TIME",
    help="Write each row so much later, at most 2 s, with values closer to those of a file. [default: 0]",
)
@click.option("--csv", "ending", flag_value=".csv", default=".csv", help="Write CSV to stdout (the default).")
@click.option("--json", "ending", flag_value=".jsonl", help="Write one JSON object a line to stdout.")
@click.option(
    "--columns",
    metavar="NAME,NAME,...",
    help="Columns to write, in this order. [default: all]",
    shell_complete=completion.comma_list(completion.live_columns),
)
@click.option("--watch", is_flag=True, help="Show the values in the terminal, instead of rows there.")
@click.option(
    "--serve", "serve_port", type=click.IntRange(0, 65535), metavar="PORT", help="Serve a web page."
)
@click.option(
    "--host",
    help="Address of the web page; one that others can reach needs the token that is printed. "
    "[default: 127.0.0.1]",
)
@click.option("--lsl", is_flag=True, help="Send values and markers by Lab Streaming Layer (extra lsl).")
@click.option(
    "--record", type=click.Path(path_type=Path), metavar="FOLDER", help="Keep the table in a folder."
)
@click.option("--record-media", is_flag=True, help="Keep pictures and sound there too, as they arrive.")
@click.option("--force", is_flag=True, help="Replace an earlier record in this folder.")
@options.model
@options.weights
@options.face("Which face.")
@click.option(
    "--fill", is_flag=True, help="Write values for frames without face and speech too (modality `none`)."
)
@click.option(
    "--raw", is_flag=True, help="Write the models' values, without calibration and speech detection."
)
@options.min_quality
@options.device
def live(
    ending: str,
    columns: str | None,
    watch: bool,
    model: Path | None,
    weights: dict[str, Path],
    face: str,
    fill: bool,
    raw: bool,
    min_quality: float | None,
    device: str,
    host: str | None,
    **chosen: Any,
) -> None:
    """Predict valence and arousal of a camera or a stream while it runs.

    SOURCE is a camera (0, /dev/video0, or a name with --format avfoundation or dshow), an address (rtsp://,
    http://, udp://), a pipe, a file, or - for stdin (MPEG-TS, Matroska, or raw pictures with --format). The
    rows have the columns of `va predict`, latency_s and flag.

    Stop it with Ctrl-C. Rows on stdout and in --record are complete up to that moment.

    \b
    Examples:
      va live --list-devices
      va live 0 --watch
      va live 0 --serve 8000 --record session/ --record-media
      va live udp://0.0.0.0:5000 --json
      ffmpeg -i rtsp://camera/1 -c copy -f mpegts - | va live - --drop oldest
    """
    names = None if columns is None else parse_columns(columns, LIVE_COLUMNS)
    if chosen["source"] == "-" and sys.stdin.isatty():
        raise UsageError("stdin is a terminal", hint="pipe a stream into the command")
    if host is not None and chosen["serve_port"] is None:
        raise UsageError("--host is the address of the web page", hint="add --serve PORT")
    has_rows = not (watch and sys.stdout.isatty()) and not stdout_is_closed()
    if not (has_rows or watch or chosen["lsl"] or chosen["record"] or chosen["serve_port"] is not None):
        raise OutputError("standard output is closed", hint="keep the rows with --record FOLDER")
    from vacli.output.live.rows import RowText
    from vacli.steps import live as step
    from vacli.steps._prediction_settings import PredictSettings

    prediction = PredictSettings(
        inputs=(), model=model, weights=weights, face=face, fill=fill, raw=raw,
        min_quality=min_quality, device=device,
    )  # fmt: skip
    settings = step.LiveSettings(prediction=prediction, host=host or step.LOOPBACK, **chosen)
    console = Console(rows=True, bars=not watch)
    outputs: list[Any] = [_StandardOutput(RowText(ending, names))] if has_rows else []
    if watch:
        from vacli.cli.watch import WatchView

        outputs.append(WatchView(settings.source, console.stderr()))
    result = step.run(settings, outputs, console)
    if result.table is not None:
        console.info(f"{result.table} is complete")
    if result.interruption is not None:
        raise click.exceptions.Exit(getattr(result.interruption, "code", 130))


class _StandardOutput:
    """Writes rows to stdout, and flushes after each frame."""

    def __init__(self, text: RowText) -> None:
        self._text = text

    def write(self, rows: PredictedRows) -> None:
        if len(rows.table):
            put(self._text.of(rows.table))

    def close(self) -> None:
        """Nothing: each row was flushed."""


COMMANDS = (live,)
