"""Score tables: our scores, and published scores with ours in further columns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from vacli.evaluation.published_results import PublishedRow, PublishedTable
from vacli.evaluation.score import DIMENSIONS, Result, Score
from vacli.output.text_tables import Grid

NOTHING = "-"
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
    notes: tuple[str, ...] = ("Intervals: 95 %, bootstrap over videos.",)
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


def published_grids(paper: str, tables: Sequence[PublishedTable], results: Sequence[Result]) -> list[Grid]:
    """A paper's tables with our scores in further columns."""
    return [_published_grid(paper, table, results) for table in tables]


def _published_grid(paper: str, table: PublishedTable, results: Sequence[Result]) -> Grid:
    extra = tuple(dict.fromkeys(name for row in table.rows for name in row.extra or ()))
    header = ("", "V", "A", "mean", *extra, "ours V", "ours A", "ours mean", *(f"ours {n}" for n in extra))
    rows = tuple(_published_row(row, extra, results) for row in table.rows)
    if not any(row.fold_mean for row in table.rows):
        rows += tuple(
            _own_row(r, extra) for r in results if r.preset not in {row.preset for row in table.rows}
        )
    title = f"{paper}, table {table.number}: {table.title}"
    notes = (table.note,) if table.note else ()
    return Grid(title, (*header, "protocol"), rows, notes, frozenset({0, len(header)}))


def _published_row(row: PublishedRow, extra: tuple[str, ...], results: Sequence[Result]) -> tuple[str, ...]:
    printed = [number(v) for v in (row.valence, row.arousal, row.mean)]
    columns = [(row.extra or {}).get(name, NOTHING) for name in extra]
    ours, costs = _ours(row, results)
    return (row.label, *printed, *columns, *ours, *(costs.get(name, NOTHING) for name in extra), row.protocol)


def _own_row(result: Result, extra: tuple[str, ...]) -> tuple[str, ...]:
    """One of our results that is not a row of the paper."""
    printed = [NOTHING] * (len(DIMENSIONS) + len(extra))
    ours = [number(result.ccc[side]) for side in DIMENSIONS]
    costs = _costs(result)
    protocol = (
        f"ours: mean of {result.folds.folds} folds" if result.folds else f"ours: {result.scores[0].name}"
    )
    return (result.name, *printed, *ours, *(costs.get(name, NOTHING) for name in extra), protocol)


def _ours(row: PublishedRow, results: Sequence[Result]) -> tuple[list[str], dict[str, str]]:
    """Our CCCs and costs for a published row: the same fold, or the run of the same preset."""
    if row.fold is not None:
        found = [s for r in results for s in r.scores if s.fold == row.fold]
        if len(found) == 1:
            return [number(found[0].pooled[f"ccc_{side}"]) for side in DIMENSIONS], {}
    if row.fold_mean:
        same = [r for r in results if r.folds]
    else:
        same = [r for r in results if row.preset and r.preset == row.preset]
    if len(same) == 1:
        return [number(same[0].ccc[side]) for side in DIMENSIONS], _costs(same[0])
    return [NOTHING] * 3, {}


def _costs(result: Result) -> dict[str, str]:
    known = {
        "parameters": (result.parameters, lambda n: f"{n / 1e6:.1f}M"),
        "GPU memory": (result.peak_bytes, lambda n: f"{n / 1e9:.1f} GB"),
        "time an epoch": (result.epoch_s, lambda s: f"{s:.0f} s" if s >= 10 else f"{s:.1f} s"),
    }
    return {name: show(value) for name, (value, show) in known.items() if value is not None}


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
