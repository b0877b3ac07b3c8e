"""Score tables: our scores, and published scores with ours in further columns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from vacli.evaluation.comparison import Comparison, Difference
from vacli.evaluation.published_results import (
    BEST_FOLD,
    HEADLINE,
    VARIANTS,
    PublishedRow,
    PublishedTable,
    has_row,
    is_of_other_paper,
    row_preset,
)
from vacli.evaluation.score import DIMENSIONS, N_RESAMPLES, Result, Score
from vacli.output.text_tables import Grid

NOTHING = "-"
MAX_CHANGES = 6  # values of a recipe that a note lists
DIMENSION_NAMES = {"valence": "V", "arousal": "A", "mean": "mean"}


def score_grids(results: Sequence[Result]) -> list[Grid]:
    """CCC with intervals, and the other metrics."""
    rows = [(r, s) for r in results for s in r.scores]
    ccc, others = [], []
    for result in results:
        for score in result.scores:
            ccc.append(_ccc_row(score))
            others.append((score.name, *_others(score.pooled)))
        if result.folds:
            mean, sd = result.folds.mean, result.folds.sd
            title = f"{result.name}: mean of {result.folds.folds} folds"
            ccc.append((title, "", "", *(number(mean[f"ccc_{s}"]) for s in DIMENSIONS), *[""] * 3))
            ccc.append(
                ("standard deviation", "", "", *(number(sd[f"ccc_{s}"]) for s in DIMENSIONS), *[""] * 3)
            )
            others.append((title, *_others(mean)))
    missing = sum(score.missing for _, score in rows)
    units = " or ".join(dict.fromkeys(score.resampled for _, score in rows))
    notes: tuple[str, ...] = (f"Intervals: 95 %, bootstrap over {units}.",)
    if missing:
        notes += (f"{missing} annotated frames have no prediction and are left out.",)
    notes += tuple(f"{result.name}: {note}" for result in results for note in result.notes)
    heads = tuple(f"{DIMENSION_NAMES[s]}" for s in DIMENSIONS)
    spans = tuple(f"{DIMENSION_NAMES[s]} 95 %" for s in DIMENSIONS)
    return [
        Grid("CCC over all annotated frames", ("", "videos", "frames", *heads, *spans), tuple(ccc), notes),
        Grid(
            "Other metrics: mean CCC per video, Pearson, root mean square error, sign agreement",
            ("", *(f"{n} {s}" for n in ("per video", "PCC", "RMSE", "sign") for s in "VA")),
            tuple(others),
        ),
    ]


@dataclass(frozen=True)
class _Line:
    """A score of a result beside a published row: its name, its CCC by dimension, and its costs by column."""

    label: str
    result: Result
    ccc: Mapping[str, float]
    costs: Mapping[str, str]

    def cells(self, extra: Sequence[str]) -> tuple[str, ...]:
        """The columns of ours."""
        values = (number(self.ccc[name]) for name in DIMENSIONS)
        return (self.label, *values, *(self.costs.get(name, NOTHING) for name in extra))


def published_grids(paper: str, tables: Sequence[PublishedTable], results: Sequence[Result]) -> list[Grid]:
    """A paper's tables with our scores in further columns.

    A result stands beside the row of its model; models that are in no row of the paper have rows of their
    own, and models of another paper are left out.
    """
    shown = [result for result in results if not is_of_other_paper(paper, result.preset)]
    return [_published_grid(paper, table, shown) for table in tables]


def _published_grid(paper: str, table: PublishedTable, results: Sequence[Result]) -> Grid:
    extra = tuple(dict.fromkeys(name for row in table.rows for name in row.extra or ()))
    ours = ("ours", *(f"ours {name}" for name in (*DIMENSION_NAMES.values(), *extra)))
    header = ("", *DIMENSION_NAMES.values(), *extra, *ours, "protocol")
    placed = [(row, _ours(paper, row, results)) for row in table.rows]
    rows = [cells for row, lines in placed for cells in _published_rows(row, extra, lines)]
    own: list[_Line] = []
    if not any(row.fold_mean for row in table.rows):
        others = (result for result in results if not has_row(paper, result.preset))
        own = [line for result in others for line in _run_lines(result, best_fold=False)]
    blank = (NOTHING,) * (len(DIMENSIONS) + len(extra))
    rows += [("own row", *blank, *line.cells(extra), "ours") for line in own]
    shown = {line.result.name for lines in (*(lines for _, lines in placed), own) for line in lines}
    title = f"{paper}, table {table.number}: {table.title}"
    left = frozenset({0, header.index("ours"), len(header) - 1})
    notes = _notes(table, [result for result in results if result.name in shown])
    return Grid(title, header, tuple(rows), notes, left)


def _notes(table: PublishedTable, shown: Sequence[Result]) -> tuple[str, ...]:
    notes: tuple[str, ...] = (table.note,) if table.note else ()
    if len({result.videos for result in shown}) > 1:
        notes += ("Our runs are scored on different videos; `va compare` scores two of them on common ones.",)
    return notes + tuple(_changes(result) for result in shown if result.changes)


def _changes(result: Result) -> str:
    more = len(result.changes) - MAX_CHANGES
    listed = ", ".join(result.changes[:MAX_CHANGES]) + (f" and {more} more" if more > 0 else "")
    return f"{result.name} differs from its preset in {listed}."


def _published_rows(
    row: PublishedRow, extra: tuple[str, ...], lines: Sequence[_Line]
) -> list[tuple[str, ...]]:
    """The published row with our first result, and a row for each further result."""
    printed = [number(v) for v in (row.valence, row.arousal, row.mean)]
    columns = [(row.extra or {}).get(name, NOTHING) for name in extra]
    cells = [line.cells(extra) for line in lines] or [(NOTHING,) * (1 + len(DIMENSIONS) + len(extra))]
    blank = ("",) * (1 + len(printed) + len(columns))
    return [(row.label, *printed, *columns, *cells[0], row.protocol), *((*blank, *c, "") for c in cells[1:])]


def _ours(paper: str, row: PublishedRow, results: Sequence[Result]) -> list[_Line]:
    """Our results that belong to a published row."""
    headline = [r for r in results if row_preset(r.preset) == HEADLINE[paper]]
    if row.fold is not None:
        return [_score_line(r, s) for r in headline for s in r.scores if s.fold == row.fold]
    if row.fold_mean:
        return [line for r in headline if r.folds for line in _run_lines(r, best_fold=False)]
    same = [r for r in results if row.preset and row_preset(r.preset) == row.preset]
    return [line for r in same for line in _run_lines(r, best_fold=row.protocol == BEST_FOLD)]


def _run_lines(result: Result, *, best_fold: bool) -> list[_Line]:
    """The mean of a run's folds and, if asked for, its best fold; or its one score."""
    if result.folds is None or result.best_fold is None:
        return [_Line(_named(result, result.scores[0].name), result, result.ccc, _costs(result))]
    label = f"{result.name}, mean of {result.folds.folds} folds"
    lines = [_Line(_named(result, label), result, result.ccc, _costs(result))]
    if best_fold:
        line = _score_line(result, result.best_fold)
        lines.append(replace(line, label=f"{line.label}, the best of {result.folds.folds}"))
    return lines


def _score_line(result: Result, score: Score) -> _Line:
    ccc = {name: score.pooled[f"ccc_{name}"] for name in DIMENSIONS}
    return _Line(_named(result, score.name), result, ccc, {})


def _named(result: Result, label: str) -> str:
    """The label, with the preset where that is another reading of the row's model."""
    return f"{label} ({result.preset})" if result.preset in VARIANTS else label


def _costs(result: Result) -> dict[str, str]:
    """Costs by the papers' columns; the memory of a process on a CPU is not comparable with a GPU's."""
    known = {
        "parameters": (result.parameters, lambda n: f"{n / 1e6:.1f}M"),
        "GPU memory": (result.gpu_peak_bytes, lambda n: f"{n / 1e9:.1f} GB"),
        "time an epoch": (result.epoch_s, lambda s: f"{s:.0f} s" if s >= 10 else f"{s:.1f} s"),
    }
    return {name: show(value) for name, (value, show) in known.items() if value is not None}


def comparison_grid(comparison: Comparison) -> Grid:
    """The CCC of two models, their difference, its interval, and the share of resamples above 0."""
    first, second = comparison.first, comparison.second
    names = (first, second) if first != second else (f"{first} (first)", f"{second} (second)")
    header = ("", "", *names, "difference", "95 %", "above 0")
    rows = tuple(
        _difference_row(group.name if name == DIMENSIONS[0] else "", name, difference)
        for group in comparison.groups
        for name, difference in group.differences.items()
    )
    everything = comparison.groups[0]
    notes: tuple[str, ...] = (
        f"Difference: {names[0]} minus {names[1]}, with its 95 % interval and the share of resamples above "
        f"0; {N_RESAMPLES} resamples of the {everything.resampled}, the same for both.",
    )
    if comparison.only_first or comparison.only_second:
        notes += (
            f"Left out: {comparison.only_first} videos that only {names[0]} is scored on, "
            f"{comparison.only_second} that only {names[1]} is scored on.",
        )
    title = f"CCC on {everything.videos} common videos, {everything.frames} frames"
    return Grid(title, header, rows, notes + comparison.notes, frozenset({0, 1}))


def comparison_values(comparison: Comparison) -> dict[str, object]:
    """All fields as JSON values, with the difference of each dimension; unknown values are null."""
    groups = [
        {
            "name": group.name,
            "videos": group.videos,
            "frames": group.frames,
            **{name: {**asdict(d), "difference": d.value} for name, d in group.differences.items()},
        }
        for group in comparison.groups
    ]
    return {**asdict(comparison), "groups": groups, "resamples": N_RESAMPLES}


def _difference_row(group: str, dimension: str, difference: Difference) -> tuple[str, ...]:
    span, share = difference.interval, difference.share_above_0
    return (
        group,
        DIMENSION_NAMES[dimension],
        number(difference.first),
        number(difference.second),
        f"{difference.value:+.3f}",
        NOTHING if span is None else f"{span[0]:+.3f} to {span[1]:+.3f}",
        NOTHING if share is None else f"{share:.1%}",
    )


def _ccc_row(score: Score) -> tuple[str, ...]:
    spans = [score.intervals.get(f"ccc_{side}") for side in DIMENSIONS]
    return (
        score.name,
        str(len(score.videos)),
        str(score.frames),
        *(number(score.pooled[f"ccc_{side}"]) for side in DIMENSIONS),
        *(f"{number(s[0])} to {number(s[1])}" if s else NOTHING for s in spans),
    )


def _others(pooled: Mapping[str, float]) -> list[str]:
    metrics = ("video_ccc", "pcc", "rmse", "sign_agreement")
    return [number(pooled[f"{metric}_{side}"]) for metric in metrics for side in ("valence", "arousal")]


def number(value: float | None) -> str:
    """Three decimals, as the papers print; a dash for a missing value."""
    return NOTHING if value is None or math.isnan(value) else f"{value:.3f}"
