"""`va compare`: the difference of two models on the videos that both were not trained on."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from vacli.datasets.annotation_options import AnnotationOptions
from vacli.errors import UsageError, nearest
from vacli.evaluation import evaluator
from vacli.evaluation.comparison import Comparison, compare
from vacli.output import text_tables
from vacli.output.score_tables import comparison_grid, comparison_values
from vacli.progress import Progress, RecordingProgress
from vacli.steps.evaluate import FORMATS, EvaluateSettings, check_labels_given, evaluate_input


@dataclass(frozen=True, kw_only=True)
class CompareSettings:
    """The two runs or predictions; the other fields are those of `EvaluateSettings`."""

    first: Path
    second: Path
    store: Path | None = None
    labels: Path | None = None
    annotation_options: AnnotationOptions = field(default=AnnotationOptions())
    split: str = evaluator.HELD_OUT
    format: str = "table"
    table_width: int | None = None
    device: str = "auto"
    allow_mismatch: bool = False


@dataclass(frozen=True, kw_only=True)
class CompareResult:
    """The comparison, and its text in the chosen format."""

    comparison: Comparison
    text: str


def run(settings: CompareSettings, progress: Progress | None = None) -> CompareResult:
    """Score both inputs and compare them on their common videos.

    Raises UsageError (an unknown value, or no common video), RunError, StoreError, LabelError or InputError.
    """
    progress = progress or RecordingProgress()
    for value, known, name in (
        (settings.format, FORMATS, "--format"),
        (settings.split, evaluator.SPLITS, "--split"),
    ):
        if value not in known:
            raise UsageError(f"{name} {value} is unknown", hint=nearest(value, known))
    paths = (settings.first, settings.second)
    chosen = EvaluateSettings(
        inputs=paths,
        store=settings.store,
        labels=settings.labels,
        annotation_options=settings.annotation_options,
        split=settings.split,
        device=settings.device,
        allow_mismatch=settings.allow_mismatch,
    )
    check_labels_given(chosen)
    first, second = (evaluate_input(path, chosen, progress) for path in paths)
    comparison = compare(first, second)
    if settings.format == "json":
        values = json.dumps(comparison_values(comparison), indent=2)
        return CompareResult(comparison=comparison, text=f"{values}\n")
    text = text_tables.render(comparison_grid(comparison), settings.format, settings.table_width)
    return CompareResult(comparison=comparison, text=text)
