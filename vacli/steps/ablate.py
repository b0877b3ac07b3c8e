"""`va ablate`: train the rows of LightMamba's Table III and BDCA's Tables III and IV, and fill the tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vacli.errors import StoreError, UsageError, nearest
from vacli.evaluation import evaluator
from vacli.evaluation.published_results import PAPERS
from vacli.evaluation.score import Result, with_video_notes
from vacli.inference.run import load_run
from vacli.output.score_tables import NOTHING, number, published_grids
from vacli.output.text_tables import FORMATS, Grid, render
from vacli.progress import Progress, RecordingProgress
from vacli.recipe.io import read_toml
from vacli.recipe.presets import preset
from vacli.recipe.schema import Recipe
from vacli.runtime.options import device_name
from vacli.sequences.stored import extract_command
from vacli.steps import train
from vacli.steps._batch import DONE, SKIPPED, Batch, Failure, run_each
from vacli.steps._training_inputs import labelled_videos
from vacli.store import Store
from vacli.training import checkpoint
from vacli.training.temporal.step_cost import WINDOWS, StepCost, temporal_step_cost

JSON, MARKDOWN = "ablation.json", "ablation.md"
TABLES = (("lightmamba", "III"), ("bdca", "III"), ("bdca", "IV"))
HEADER = (
    "",
    "row",
    "parameters",
    "GPU memory",
    "process memory",
    "time an epoch",
    "temporal: time a step",
    "memory",
    "CCC V",
    "CCC A",
    "mean",
)


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """A row: its label, its preset or recipe file, and recipe values for this row only."""

    label: str
    preset: str | None = None
    recipe_file: Path | None = None
    assignments: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of the row's run directory: the preset, or the stem of the recipe file."""
        return self.preset or (self.recipe_file.stem if self.recipe_file else self.label)


ROWS = (
    Ablation(label="Transformer", preset="lightmamba-transformer"),
    Ablation(label="LightMamba", preset="lightmamba"),
    Ablation(label="Baseline", preset="baseline"),
    Ablation(label="MAE w/o FT", preset="mae-pretrained"),
    Ablation(label="Only Audio", preset="audio-only"),
    Ablation(label="Only Visual", preset="visual-only"),
    Ablation(label="Concat w/o BDCA", preset="concat"),
    Ablation(label="BDCA w/o DW", preset="bdca-no-gate"),
    Ablation(label="BDCA", preset="bdca"),
)


@dataclass(frozen=True, kw_only=True)
class AblateSettings:
    """The rows to train and the store to train on; the run of row `x` is `out`/x.

    `assignments` apply to every row; those of `model.streams.NAME` only to rows with that stream.
    `skip_missing`: leave out the rows whose features the store lacks.
    """

    store: Path
    out: Path
    rows: tuple[Ablation, ...] = ROWS
    assignments: tuple[str, ...] = ()
    folds: int | None = None
    fold: int | None = None
    skip_missing: bool = False
    resume: bool = False
    device: str = "auto"
    format: str = "table"
    table_width: int | None = None


@dataclass(frozen=True, kw_only=True)
class AblateResult:
    """Scores and costs of the rows, the rows left out, and the filled tables as text.

    skipped: names of rows that were complete before. left_out: labels of rows without features.
    """

    out: Path
    results: tuple[Result, ...]
    failed: tuple[Failure, ...]
    skipped: tuple[str, ...]
    left_out: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Measured:
    """By the names of rows: their results, and a step of their temporal modules."""

    results: dict[str, Result]
    steps: dict[str, StepCost | None]


def named_rows(names: Sequence[str]) -> tuple[Ablation, ...]:
    """The rows of presets and recipe files (`*.toml`); UsageError for an unknown preset or an equal name."""
    rows = tuple(_named_row(name) for name in dict.fromkeys(names))
    if len({row.name for row in rows}) < len(rows):
        raise UsageError("two rows have the same name", hint="rename one of the recipe files")
    return rows


def _named_row(name: str) -> Ablation:
    path = Path(name)
    if path.suffix == ".toml":
        return Ablation(label=str(read_toml(path).get("name", path.stem)), recipe_file=path)
    published = {row.preset: row for row in ROWS}
    return published.get(preset(name).name) or Ablation(label=name, preset=name)


def run(settings: AblateSettings, progress: Progress | None = None) -> AblateResult:
    """Train every row; rows that fail are reported and the others are still trained.

    All rows are checked first. Rows that are complete with the same settings are not trained again. Writes
    ablation.md and ablation.json. Raises UsageError for an unknown format or an invalid recipe, StoreError
    if the store lacks features.
    """
    if settings.format not in ("json", *FORMATS):
        raise UsageError(
            f"--format {settings.format} is unknown", hint=nearest(settings.format, ("json", *FORMATS))
        )
    progress = progress or RecordingProgress()
    rows, left_out = check_rows(settings, progress)
    found: list[tuple[Ablation, Result]] = []
    costs: dict[str, StepCost | None] = {}

    def work(row: Ablation) -> str:
        progress.info(f"{row.label} ({row.name})")
        trained = train.run(row_settings(row, settings), progress)
        found.append((row, _evaluate(row, trained, settings)))
        costs[row.name] = temporal_step_cost(_recipe(row, settings), device_name(settings.device))
        return SKIPPED if trained.skipped else DONE

    batch = run_each(Batch(settings.out), rows, lambda row: row.name, work, progress)
    results = with_video_notes([result for _, result in found])
    by_name = dict(zip((row.name for row, _ in found), results, strict=True))
    measured = Measured(by_name, costs)
    grids = _grids(settings.rows, measured, left_out)
    if results:
        _write(settings.out, grids, measured)
    return AblateResult(
        out=settings.out,
        results=results,
        failed=tuple(batch.failed),
        skipped=tuple(batch.skipped),
        left_out=tuple(row.label for row in left_out),
        text=_text(settings, grids, measured),
    )


def check_rows(
    settings: AblateSettings, progress: Progress
) -> tuple[tuple[Ablation, ...], tuple[Ablation, ...]]:
    """The rows to train, and those whose features the store lacks; the commands that make these are shown."""
    videos = labelled_videos(settings.store)
    needed: dict[str, list[Ablation]] = {}  # command -> the rows that need its feature
    for row in settings.rows:
        for stream in _recipe(row, settings).model.streams:
            for feature in stream.features:
                if not all(video.has(f"feature/{feature}") for video in videos):
                    command = extract_command(settings.store, stream, feature)
                    needed.setdefault(command, []).append(row)
    for command, rows in needed.items():
        progress.warn(f"run `{command}` for {', '.join(row.label for row in rows)}")
    left_out = tuple(row for row in settings.rows if any(row in rows for rows in needed.values()))
    chosen = tuple(row for row in settings.rows if row not in left_out)
    if left_out and not (settings.skip_missing and chosen):
        raise StoreError(
            f"{settings.store} lacks features of {len(left_out)} of {len(settings.rows)} rows "
            f"({', '.join(row.label for row in left_out)})",
            hint="run the commands above" + (", or give --skip-missing" if chosen else ""),
        )
    return chosen, left_out


def _recipe(row: Ablation, settings: AblateSettings) -> Recipe:
    try:
        return train.resolve(row_settings(row, settings))
    except UsageError as error:
        raise UsageError(f"row {row.label}: {error}", hint=error.hint) from None


def row_settings(row: Ablation, settings: AblateSettings) -> train.TrainSettings:
    """The settings of the training of a row."""
    chosen = train.TrainSettings(
        store=settings.store,
        out=settings.out / row.name,
        preset=row.preset,
        recipe_file=row.recipe_file,
        folds=settings.folds,
        fold=settings.fold,
        resume=settings.resume,
        device=settings.device,
    )
    streams = {stream.name for stream in train.resolve(chosen).model.streams}
    common = tuple(text for text in settings.assignments if _applies(text, streams))
    return replace(chosen, assignments=common + row.assignments)


def _applies(assignment: str, streams: set[str]) -> bool:
    keys = assignment.partition("=")[0].strip().split(".")
    return keys[:2] != ["model", "streams"] or len(keys) < 3 or keys[2] in streams


def _evaluate(row: Ablation, trained: train.TrainResult, settings: AblateSettings) -> Result:
    run_ = load_run(trained.out, device_name(settings.device))
    store = Store.open(settings.store)
    result, _ = evaluator.evaluate_run(run_, store, evaluator.HELD_OUT, lambda amount: None)
    return replace(result, name=row.label)


def _text(settings: AblateSettings, grids: Sequence[Grid], measured: Measured) -> str:
    if settings.format == "json":
        return json.dumps(_json_rows(measured), indent=2)
    return "\n".join(render(grid, settings.format, settings.table_width) for grid in grids)


def _grids(rows: Sequence[Ablation], measured: Measured, left_out: Sequence[Ablation]) -> list[Grid]:
    results = measured.results
    lines = tuple(_line(row, results.get(row.name), measured.steps.get(row.name)) for row in rows)
    notes = tuple(f"{row.label}: left out, because the store lacks its features." for row in left_out)
    notes += tuple(f"{result.name}: {note}" for result in results.values() for note in result.notes)
    notes += (f"A step of the temporal module, forward and back: {WINDOWS} windows, on this machine.",)
    grids = [Grid("Ablations", HEADER, lines, notes, frozenset({0, 1}))]
    for paper, wanted in TABLES:
        tables = [table for table in PAPERS[paper] if table.number == wanted]
        grids += published_grids(paper, tables, list(results.values()))
    return grids


def _line(row: Ablation, result: Result | None, step: StepCost | None) -> tuple[str, ...]:
    if result is None:
        return (row.label, row.name, *[NOTHING] * (len(HEADER) - 2))
    return (
        row.label,
        row.name,
        f"{result.parameters:,}",
        _gigabytes(result.gpu_peak_bytes),
        _gigabytes(result.process_peak_bytes),
        f"{result.epoch_s:.1f} s",
        NOTHING if step is None else f"{1e3 * step.seconds:.0f} ms",
        NOTHING if step is None else f"{step.kept_bytes / 1e6:.1f} MB",
        *(number(value) for value in result.ccc.values()),
    )


def _gigabytes(count: int | None) -> str:
    return NOTHING if count is None else f"{count / 1e9:.2f} GB"


def _write(out: Path, grids: Sequence[Grid], measured: Measured) -> None:
    checkpoint.write_text(out / MARKDOWN, "\n".join(FORMATS["markdown"](grid) for grid in grids))
    checkpoint.write_json(out / JSON, _json_rows(measured))


def _json_rows(measured: Measured) -> list[dict[str, object]]:
    return [_json_row(name, result, measured.steps[name]) for name, result in measured.results.items()]


def _json_row(name: str, result: Result, step: StepCost | None) -> dict[str, object]:
    return {
        "label": result.name,
        "row": name,
        "preset": result.preset or None,
        "changes": list(result.changes),
        "parameters": result.parameters,
        "gpu_peak_bytes": result.gpu_peak_bytes,
        "process_peak_bytes": result.process_peak_bytes,
        "epoch_s": result.epoch_s,
        "temporal_step_s": step.seconds if step else None,
        "temporal_kept_bytes": step.kept_bytes if step else None,
        **{f"ccc_{name}": value for name, value in result.ccc.items()},
        "notes": list(result.notes),
    }
