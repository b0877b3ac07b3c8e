"""The `va` command: its subcommands in pipeline order and the one place where errors are printed."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import traceback
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from vacli import __version__, packages
from vacli.cli import renamed, signals, streams, supervisor
from vacli.cli.command_table import CommandTable
from vacli.errors import ReaderGone, UsageError, VaError
from vacli.files.disk_space import disk_full_error, is_disk_full
from vacli.runtime import jit

INTERRUPTED = 130
COMPLETION = "_VA_COMPLETE"  # set by the script of a shell


class PipelineGroup(click.Group):
    """Lists subcommands in the order in which they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the subcommands in the order of `command_table.MODULES`."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """A subcommand and its arguments; UsageError for an empty one: it would name the current folder."""
        empty = [word for word in args if not word or (word.startswith("--") and word.endswith("="))]
        if empty and not ctx.resilient_parsing:
            what = f"{empty[0]} has no value" if empty[0] else "an argument is empty"
            raise UsageError(what, hint="a variable of the shell may be unset")
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand of a name; UsageError with the present name if it was renamed."""
        command = super().get_command(ctx, cmd_name)
        if command is None and not ctx.resilient_parsing:
            renamed.check_command(cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a subcommand; PackageMissing if a package of an extra is not installed."""
        with packages.needed_by("this command"):
            return super().invoke(ctx)


@click.group(
    cls=PipelineGroup,
    commands=CommandTable(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=True,
)
@click.version_option(__version__, prog_name="va")
@click.option("--traceback", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def va(ctx: click.Context, traceback: bool) -> None:
    """Valence and arousal from video with sound, frame by frame.

    Steps read and write one feature store and can be piped:

    \b
      va predict clip.mp4 --csv
      va align videos/ -o s.zarr | va extract-visual - | va extract-audio - \\
        | va import-labels csv/ - | va train - --temporal mamba -o runs/a
    """
    ctx.ensure_object(dict)
    if traceback:
        _show_tracebacks()
    # NumPy's matrix products here are small, and BLAS threads would compete with the decoding threads.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    jit.load_blas = False
    sys.setswitchinterval(0.0005)  # s; openSMILE takes the GIL for every row
    gc.set_threshold(50_000, 20, 20)  # imports make many objects and no garbage: 10 % less import time
    if not traceback:
        warnings.simplefilter("ignore")  # of libraries; errors are not affected


def main(arguments: list[str] | None = None) -> None:
    """Run `va` and exit with its exit code.

    0 done, 1 failed, 2 wrong usage, 130, 143 or 129 interrupted by SIGINT, SIGTERM or SIGHUP. Commands over
    many inputs work in a child process (`supervisor`).
    """
    ending = _Ending()
    atexit.register(ending)  # the first one registered is the last one called
    streams.fill_closed()
    signals.install()
    try:
        ending.code = run(arguments, supervised=True)
    except signals.Stopped as stop:  # while the end of the command was reported
        ending.code = stop.code
    supervisor.leave(ending.code)
    sys.exit(ending.code)


class _Ending:
    """Ends the process after the other exit handlers; Python would first free every object, for 0.4 s."""

    code: int | None = None  # None for an end that `main` did not choose

    def __call__(self) -> None:
        if self.code is not None:
            with suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(self.code)


def run(arguments: list[str] | None = None, supervised: bool = False) -> int:
    """Run `va` and return the exit code; errors become one line on stderr."""
    arguments = sys.argv[1:] if arguments is None else arguments
    show = "--traceback" in arguments
    # --traceback is an option of `va`, but is accepted after the subcommand too.
    arguments = ["--traceback", *(a for a in arguments if a != "--traceback")] if show else arguments
    streams.set_encodings()
    if COMPLETION in os.environ:
        from vacli.cli import shells  # noqa: F401, registers the completion of each shell
    try:
        code = va.main(arguments, prog_name="va", standalone_mode=False, obj={"supervised": supervised}) or 0
        sys.stdout.flush()
        return code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return error.exit_code
    except click.ClickException as error:
        return _fail(_usage_line(error), error.exit_code, show)
    except ReaderGone as end:
        return end.exit_code
    except (Exception, KeyboardInterrupt) as error:
        if (code := _interruption(error)) is not None:
            return _fail(f"interrupted; what was complete is kept, {_how_to_finish(arguments)}", code)
        if isinstance(error, VaError):
            return _fail(error.one_line(), error.exit_code, show)
        return _fail(" ".join(_unforeseen_line(error).split()), 1, show)


def _how_to_finish(arguments: list[str]) -> str:
    """What to do after an interruption: some commands replace or continue their output only if asked to."""
    names = (word for word in arguments if word in va.commands)
    command = va.commands.get(next(names, ""))
    continues = command is not None and any(p.name == "resume" for p in command.params)
    return f"run the same command {'with --resume' if continues else 'again'} to finish"


def _interruption(error: BaseException) -> int | None:
    """The exit code if a signal is the error or its cause, as during the import of a library."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, KeyboardInterrupt):
            return getattr(cause, "code", INTERRUPTED)
        cause = cause.__cause__
    return INTERRUPTED if isinstance(error, click.Abort) else None


def _usage_line(error: click.ClickException) -> str:
    text = renamed.successor(error) or " ".join(error.format_message().split())
    context: Any = getattr(error, "ctx", None)
    return f"{text} See `{context.command_path} --help`." if context else text


def _unforeseen_line(error: BaseException) -> str:
    """The message of an error that no step expects: the file and the cause, or a request to report it."""
    name = getattr(error, "filename", None)
    path = Path(os.fsdecode(name)) if isinstance(name, str | bytes) else None
    where = f"{path}: " if path else ""
    if is_disk_full(error):
        if path:
            return disk_full_error(path, error).one_line()
        return "no space left on a disk that is written to; make room, or name another place"
    if not isinstance(error, OSError):
        return f"unexpected {type(error).__name__}: {error}; run it again with --traceback and report it"
    why = error.strerror or str(error) or type(error).__name__
    advice = "check that the path exists, may be read and written, and has space (details with --traceback)"
    return f"{where}{why}; {advice}"


def _fail(line: str, code: int, show_traceback: bool = False) -> int:
    with suppress(OSError):
        if show_traceback:
            traceback.print_exc()
        print(f"va: {streams.printable(line)}", file=sys.stderr)
    return code


def _show_tracebacks() -> None:
    """Show the traceback of a crash and of each input that fails."""
    import faulthandler
    import logging

    with suppress(OSError, ValueError):  # a stderr that is no file
        faulthandler.enable()
    log = logging.getLogger("vacli")
    log.setLevel(logging.DEBUG)
    log.addHandler(logging.StreamHandler())
