"""The `va` command: its subcommands in pipeline order and the one place where errors are printed."""

from __future__ import annotations

import gc
import io
import os
import sys
import traceback
import warnings
from typing import Any

import click

from vacli import __version__, compiled, packages
from vacli.cli import extraction, learning, results
from vacli.errors import VaError

INTERRUPTED = 130


class PipelineGroup(click.Group):
    """Lists subcommands in the order in which they are used, not by the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a subcommand; PackageMissing where it needs a package that an extra brings."""
        with packages.needed_by("this command"):
            return super().invoke(ctx)


@click.group(
    cls=PipelineGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=True,
)
@click.version_option(__version__, prog_name="va")
@click.option("--traceback", is_flag=True, help="Show where an error came from.")
@click.pass_context
def va(ctx: click.Context, traceback: bool) -> None:
    """Valence and arousal from video with sound, frame by frame.

    Steps read and write one feature store and can be piped:

    \b
      va predict clip.mp4 --csv
      va align videos/ -o s.zarr | va extract-visual - | va extract-audio - \\
        | va labels csv/ - | va train - --temporal mamba -o runs/a
    """
    ctx.obj = {"traceback": traceback}
    # NumPy's products here are small; threads of theirs would only spin beside those that do the work.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    compiled.wants_blas = False
    sys.setswitchinterval(0.0005)  # s; openSMILE asks for Python's lock at every row that it makes
    gc.set_threshold(50_000, 20, 20)  # imports make many objects and no garbage: a tenth of their time
    if not traceback:
        warnings.simplefilter("ignore")  # libraries' own chatter; errors still arrive as errors


for command in (
    *extraction.COMMANDS,
    *learning.COMMANDS,
    *results.COMMANDS,
    *learning.MAKING_THE_DEFAULT,
):
    va.add_command(command)


def main(arguments: list[str] | None = None) -> None:
    """Run `va` and leave with its exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run `va` and return the exit code; errors become one line on stderr."""
    arguments = sys.argv[1:] if arguments is None else arguments
    show = "--traceback" in arguments
    # Wherever it is written, `va align x --traceback` included, it belongs to the whole command.
    arguments = ["--traceback", *(a for a in arguments if a != "--traceback")] if show else arguments
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # names of files need not be UTF-8
    try:
        return va.main(arguments, prog_name="va", standalone_mode=False) or 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return error.exit_code
    except click.ClickException as error:
        return _fail(_usage_line(error), error.exit_code, show)
    except VaError as error:
        return _fail(error.one_line(), error.exit_code, show)
    except (KeyboardInterrupt, click.Abort):
        return _fail(
            "interrupted; what was complete is kept, run the same command again to finish", INTERRUPTED
        )
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader had enough, as `head` has
        return 0
    except OSError as error:
        return _fail(_system_line(error), 1, show)
    except Exception as error:
        line = f"unexpected {type(error).__name__}: {error}; run it again with --traceback and report it"
        return _fail(" ".join(line.split()), 1, show)


def _usage_line(error: click.ClickException) -> str:
    text = " ".join(error.format_message().split())
    context: Any = getattr(error, "ctx", None)
    return f"{text} See `{context.command_path} --help`." if context else text


def _system_line(error: OSError) -> str:
    """What the system refused, and for which file, as far as it says."""
    where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    why = error.strerror or str(error) or type(error).__name__
    return f"{where}{why}; see that the place exists, is writable and has room (--traceback tells more)"


def _fail(line: str, code: int, show_traceback: bool = False) -> int:
    if show_traceback:
        traceback.print_exc()
    print(f"va: {line}", file=sys.stderr)
    return code
