"""`va evaluate`, `va compare`, `va ablate`, `va submit`, `va demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vacli.cli import annotation_options, completion, options, url_paths
from vacli.cli.console import Console, print_table, terminal_width
from vacli.cli.report import leave, print_plan
from vacli.cli.streams import put
from vacli.runtime.allocator import keep_freed_memory


@click.command("evaluate", short_help="Scores of runs or predictions: CCC, intervals, tables.")
@options.inputs
@click.option(
    "--store",
    type=url_paths.STORE,
    help="Features and labels. [default: the run's own]",
    shell_complete=completion.stores,
)
@annotation_options.labels
@options.split
@click.option(
    "--paper",
    metavar="|".join(completion.PAPERS),
    help="Print that paper's tables for comparison.",
    shell_complete=completion.one_of(completion.PAPERS),
)
@options.table_format
@options.wide
@click.option(
    "--figures", type=click.Path(path_type=Path), help="Folder for figures of trajectories and densities."
)
@options.figure_formats("--figure-format")
@options.allow_mismatch
@options.device
def evaluate(inputs: tuple[str, ...], **chosen: Any) -> None:
    """Score runs or prediction tables: CCC over all frames, per video and per fold, with intervals.

    INPUTS are runs of `va train`, or CSV files of `va predict`, whose labels come from --labels or --store.
    A run is scored on the videos that its models were not trained on.

    If a table has several faces of clip.mp4, the labels of its first face are called clip, those of the
    second face in the table clip_face2, and so on, as `va align --face all` names them.

    \b
    Example:
      va evaluate runs/bdca --paper bdca
      va evaluate va.csv --labels annotations/
    """
    from vacli.steps import evaluate as step

    paths = options.read_inputs(inputs)
    reading = annotation_options.take(chosen)
    settings = step.EvaluateSettings(inputs=paths, annotation_options=reading, **chosen)
    result = step.run(settings, Console())
    put(f"{result.text}\n" if result.text else "")
    leave(bool(result.failed))


@click.command("compare", short_help="Difference of two runs on common held-out videos.")
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@click.option(
    "--store",
    type=url_paths.STORE,
    help="Features and labels. [default: each run's own]",
    shell_complete=completion.stores,
)
@annotation_options.labels
@options.split
@options.table_format
@options.wide
@options.allow_mismatch
@options.device
def compare(first: Path, second: Path, **chosen: Any) -> None:
    """Compare two models on the videos that neither was trained on.

    FIRST and SECOND are runs of `va train`, or CSV files of `va predict`, whose labels come from --labels or
    --store. The table shows the CCC of both on the common videos, the difference with its 95 % interval, and
    the share of resamples in which FIRST is better (paired bootstrap over people where all are known, else
    over videos). Cross-validations are compared on the held-out videos of all folds joined, and fold by fold
    if their folds hold out the same videos.

    \b
    Example:
      va compare runs/bdca runs/concat
    """
    from vacli.steps import compare as step

    reading = annotation_options.take(chosen)
    settings = step.CompareSettings(first=first, second=second, annotation_options=reading, **chosen)
    put(step.run(settings, Console()).text)


@click.command("ablate", short_help="Train the ablations of the papers and fill their tables.")
@options.store
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), default=Path("runs/ablation"), show_default=True
)
@click.option(
    "--row",
    "rows",
    multiple=True,
    metavar="PRESET|FILE.toml",
    help="Train only this row, a preset or a recipe file; repeatable.",
    shell_complete=completion.any_of(completion.one_of(completion.presets), completion.paths),
)
@options.assignments("Set one value in every row.")
@click.option("--folds", type=click.IntRange(2), help="Cross-validate every row.")
@click.option("--fold", type=click.IntRange(0), help="Train only this fold; 0 is the official split.")
@click.option("--skip-missing", is_flag=True, help="Leave out rows whose features the store lacks.")
@click.option("--resume", is_flag=True, help="Continue rows that were interrupted.")
@options.table_format
@options.wide
@options.device
@options.dry_run
def ablate(store: str | None, rows: tuple[str, ...], dry_run: bool, **chosen: Any) -> None:
    """Train the rows of LightMamba's Table III and BDCA's Tables III and IV on one store and fill the tables.

    All rows are checked first: if the store lacks features, the commands that extract them are shown, and
    nothing is trained unless --skip-missing is given. Rows that are complete are skipped. The tables show
    parameters, peak memory, time for an epoch and CCC of every row, and the published values; also the time
    of a training step of its temporal module without the rest of the network, and the memory that it keeps.

    \b
    Examples:
      va ablate aw2.zarr --folds 5 -o runs/ablation
      va ablate aw2.zarr --row bdca --row mine.toml
    """
    from vacli.steps import ablate as step

    named = options.store_or_default(store)
    wanted = step.named_rows(rows) if rows else step.ROWS
    settings, console = step.AblateSettings(store=named, rows=wanted, **chosen), Console()
    if dry_run:
        from vacli.steps.dry_run_training import plan_ablate

        print_plan(plan_ablate(settings, console), console)
        return
    keep_freed_memory()
    result = step.run(settings, console)
    put(f"{result.text}\n")
    leave(bool(result.failed))


@click.command("demo", short_help="Make a short clip and run every step on it.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), default=Path("va-demo"), show_default=True, help="Folder."
)
def demo(out: Path) -> None:
    """Make a short clip, run every step on it and show the results.

    Nothing is downloaded: the package contains the face, and the voice is synthetic.
    """
    from vacli.steps import demo as step

    result = step.run(step.DemoSettings(out=out), Console())
    print_table(result.head[0], result.head[1:], terminal_width(wide=False))
    for path, description in result.files:
        put(f"{path}  {description}\n")


@click.command("submit", short_help="Write and check the challenge's submission file.")
@options.inputs
@click.option(
    "--frame-list", type=click.Path(path_type=Path), required=True, help="The official list of frames."
)
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="File to write.")
@click.option(
    "--store",
    type=url_paths.STORE,
    help="Store with the features of a run.",
    shell_complete=completion.stores,
)
@options.allow_mismatch
@options.device
def submit(inputs: tuple[str, ...], **chosen: Any) -> None:
    """Write valence and arousal for every frame of the challenge's list, and check the file.

    INPUTS are a run of `va train`, or CSV files of `va predict`.

    \b
    Example:
      va submit runs/bdca --store aw2.zarr --frame-list official.txt -o va.txt
    """
    from vacli.steps import submit as step

    settings = step.SubmitSettings(inputs=options.read_inputs(inputs), **chosen)
    step.run(settings, Console())
    put(f"{settings.out}\n")


COMMANDS = (evaluate, compare, ablate, submit, demo)
