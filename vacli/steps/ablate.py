"""`va ablate`: train the models of LightMamba's Table III and BDCA's Table IV and fill in the tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vacli.errors import UsageError, nearest
from vacli.evaluation import evaluator
from vacli.evaluation.published_results import PAPERS
from vacli.evaluation.score import Result
from vacli.inference.run import load_run
from vacli.output.score_tables import NOTHING, number, published_grids
from vacli.output.text_tables import FORMATS, Grid
from vacli.progress import Progress, RecordingProgress
from vacli.recipe.presets import preset
from vacli.steps import train
from vacli.steps._batch import DONE, Batch, Failure, run_each
from vacli.store import Store
from vacli.training import checkpoint

JSON, MARKDOWN = "ablation.json", "ablation.md"
TABLES = (("lightmamba", "III"), ("bdca", "IV"))
HEADER = ("", "preset", "parameters", "peak memory", "time an epoch", "CCC V", "CCC A", "mean")


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """A row: its label in the paper, its preset, and recipe values for this row only."""

    label: str
    preset: str
    assignments: tuple[str, ...] = ()


ROWS = (
    Ablation(label="Transformer", preset="lightmamba-transformer"),
    Ablation(label="LightMamba", preset="lightmamba"),
    Ablation(label="Baseline", preset="baseline"),
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
    """

    store: Path
    out: Path
    rows: tuple[Ablation, ...] = ROWS
    assignments: tuple[str, ...] = ()
    folds: int | None = None
    fold: int | None = None
    resume: bool = False
    device: str = "auto"
    format: str = "table"


@dataclass(frozen=True, kw_only=True)
class AblateResult:
    """Scores and costs of the trained rows, and the filled tables as text."""

    out: Path
    results: tuple[Result, ...]
    failed: tuple[Failure, ...]
    text: str


def named_rows(presets: Sequence[str]) -> tuple[Ablation, ...]:
    """The rows of the given presets, in the papers' order; UsageError for an unknown preset."""
    known = {row.preset for row in ROWS}
    for name in presets:
        if name not in known:
            raise UsageError(f"the ablations have no row {name!r}", hint=nearest(name, known))
    return tuple(row for row in ROWS if row.preset in presets)


def run(settings: AblateSettings, progress: Progress | None = None) -> AblateResult:
    """Train every row; rows that fail are reported and the others are still trained.

    Writes ablation.md and ablation.json. Raises UsageError for an unknown format.
    """
    if settings.format not in ("json", *FORMATS):
        raise UsageError(
            f"--format {settings.format} is unknown", hint=nearest(settings.format, ("json", *FORMATS))
        )
    progress = progress or RecordingProgress()
    results: list[Result] = []

    def work(row: Ablation) -> str:
        progress.info(f"{row.label} ({row.preset})")
        results.append(_result(row, settings, progress))
        return DONE

    batch = run_each(Batch(settings.out), settings.rows, lambda row: row.preset, work, progress)
    grids = _grids(settings.rows, results)
    if results:
        _write(settings.out, grids, results)
    return AblateResult(
        out=settings.out,
        results=tuple(results),
        failed=tuple(batch.failed),
        text=_text(settings.format, grids, results),
    )


def _text(form: str, grids: Sequence[Grid], results: Sequence[Result]) -> str:
    if form == "json":
        return json.dumps(_json_rows(results), indent=2)
    return "\n".join(FORMATS[form](grid) for grid in grids)


def _result(row: Ablation, settings: AblateSettings, progress: Progress) -> Result:
    streams = {stream.name for stream in preset(row.preset).model.streams}
    common = tuple(text for text in settings.assignments if _applies(text, streams))
    trained = train.run(
        train.TrainSettings(
            store=settings.store,
            out=settings.out / row.preset,
            preset=row.preset,
            assignments=common + row.assignments,
            folds=settings.folds,
            fold=settings.fold,
            resume=settings.resume,
            device=settings.device,
        ),
        progress,
    )
    run_ = load_run(trained.out)
    result, _ = evaluator.evaluate_run(
        run_, Store.open(settings.store), evaluator.HELD_OUT, lambda amount: None
    )
    peaks = [fold.result.peak_bytes for fold in trained.folds if fold.result.peak_bytes]
    return replace(result, name=row.label, peak_bytes=max(peaks, default=None))


def _applies(assignment: str, streams: set[str]) -> bool:
    keys = assignment.partition("=")[0].strip().split(".")
    return keys[:2] != ["model", "streams"] or len(keys) < 3 or keys[2] in streams


def _grids(rows: Sequence[Ablation], results: Sequence[Result]) -> list[Grid]:
    by_preset = {result.preset: result for result in results}
    lines = tuple(_line(row, by_preset.get(row.preset)) for row in rows)
    note = "Peak memory is that of the CUDA allocator on a GPU, else that of the process with its data."
    grids = [Grid("Ablations", HEADER, lines, (note,), frozenset({0, 1}))]
    for paper, wanted in TABLES:
        grids += published_grids(paper, [t for t in PAPERS[paper] if t.number == wanted], results)
    return grids


def _line(row: Ablation, result: Result | None) -> tuple[str, ...]:
    if result is None:
        return (row.label, row.preset, *[NOTHING] * (len(HEADER) - 2))
    return (
        row.label,
        row.preset,
        f"{result.parameters:,}",
        NOTHING if result.peak_bytes is None else f"{result.peak_bytes / 1e9:.2f} GB",
        f"{result.epoch_s:.1f} s",
        *(number(value) for value in result.ccc.values()),
    )


def _write(out: Path, grids: Sequence[Grid], results: Sequence[Result]) -> None:
    checkpoint.write_text(out / MARKDOWN, "\n".join(FORMATS["markdown"](grid) for grid in grids))
    checkpoint.write_json(out / JSON, _json_rows(results))


def _json_rows(results: Sequence[Result]) -> list[dict[str, Any]]:
    return [
        {
            "label": result.name,
            "preset": result.preset,
            "parameters": result.parameters,
            "peak_bytes": result.peak_bytes,
            "epoch_s": result.epoch_s,
            **{f"ccc_{name}": value for name, value in result.ccc.items()},
        }
        for result in results
    ]
