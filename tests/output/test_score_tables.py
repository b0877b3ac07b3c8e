"""What the tables say, and that all formats say the same."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from vacli.evaluation.published_results import BDCA, LIGHTMAMBA, PAPERS
from vacli.evaluation.score import Result, Score, score_video, with_video_notes
from vacli.output.score_tables import published_grids, score_grids
from vacli.output.text_tables import Grid


def score(name: str, seed: int, fold: int | None = None, *, prefix: str = "v") -> Score:
    rng = np.random.default_rng(seed)
    labels = rng.normal(0, 0.3, (100, 2)).clip(-1, 1)
    videos = [
        score_video(f"{prefix}{i}", labels * 0.8 + rng.normal(0, 0.1, labels.shape), labels) for i in range(3)
    ]
    return Score(name=name, videos=tuple(videos), fold=fold)


@pytest.fixture
def crossed() -> Result:
    scores = tuple(score(f"a, fold {k}", k, k) for k in range(1, 6))
    return Result(name="a", scores=scores, preset="lightmamba", parameters=116_534_785, epoch_s=24.2)


def test_folds_their_mean_and_deviation(crossed):
    ccc, others = score_grids([crossed])
    assert [row[0] for row in ccc.rows[:5]] == [f"a, fold {k}" for k in range(1, 6)]
    assert ccc.rows[5][0] == "a: mean of 5 folds"
    mean = np.mean([s.pooled["ccc_mean"] for s in crossed.scores])
    assert ccc.rows[5][5] == f"{mean:.3f}"
    assert ccc.rows[6][0] == "standard deviation"
    assert {len(row) for row in ccc.rows} == {len(ccc.header)}
    assert {len(row) for row in others.rows} == {len(others.header)}


def test_single_score_has_no_mean_of_folds():
    grid = score_grids([Result(name="b", scores=(score("b", 0, 0),))])[0]
    assert [row[0] for row in grid.rows] == ["b"]
    assert " to " in grid.rows[0][-1]


def test_missing_predictions_are_noted():
    labels = np.zeros((10, 2))
    predicted = np.full((10, 2), np.nan)
    part = Score(name="b", videos=(score_video("v", predicted, labels),))
    assert any("10 annotated frames" in n for n in score_grids([Result(name="b", scores=(part,))])[0].notes)


SIDES = ("valence", "arousal", "mean")


def cells(grid: Grid, label: str) -> dict[str, str]:
    """The row with a label as a dictionary."""
    (row,) = (row for row in grid.rows if row[0] == label)
    return dict(zip(grid.header, row, strict=True))


def lines_below(grid: Grid, label: str) -> list[tuple[str, ...]]:
    """The row with a label and the rows without one below it."""
    first = next(i for i, row in enumerate(grid.rows) if row[0] == label)
    after = next((i for i, row in enumerate(grid.rows) if i > first and row[0]), len(grid.rows))
    return list(grid.rows[first:after])


def numbers(ccc: Mapping[str, float]) -> tuple[str, ...]:
    return tuple(f"{ccc[side]:.3f}" for side in SIDES)


def test_our_folds_stand_beside_the_papers(crossed):
    first, _, third = published_grids("lightmamba", LIGHTMAMBA, [crossed])
    pooled = crossed.scores[2].pooled
    ours = numbers({side: pooled[f"ccc_{side}"] for side in SIDES})
    assert tuple(cells(first, "Fold 3").values()) == (
        "Fold 3",
        "0.610",
        "0.664",
        "0.637",
        "a, fold 3",
        *ours,
        "best of five folds, not a test score",
    )
    mean = cells(first, "Mean of folds")
    assert (mean["ours"], mean["ours V"], mean["ours A"], mean["ours mean"]) == (
        "a, mean of 5 folds",
        *numbers(crossed.ccc),
    )
    assert cells(first, "Baseline")["ours"] == "-"
    assert (
        cells(third, "LightMamba")["parameters"] == cells(third, "LightMamba")["ours parameters"] == "116.5M"
    )
    assert cells(third, "LightMamba")["ours time an epoch"] == "24 s"


def test_fold_mean_and_best_fold_stand_beside_the_published_best_fold(crossed):
    _, second, third = published_grids("lightmamba", LIGHTMAMBA, [crossed])
    best = max(crossed.scores, key=lambda s: s.pooled["ccc_mean"])
    for grid in (second, third):
        mean, chosen = lines_below(grid, "LightMamba")
        at = grid.header.index("ours")
        assert mean[at : at + 4] == ("a, mean of 5 folds", *numbers(crossed.ccc))
        ours = numbers({side: best.pooled[f"ccc_{side}"] for side in SIDES})
        assert chosen[at : at + 4] == (f"{best.name}, the best of 5", *ours)
        assert chosen[:4] == ("",) * 4
    assert len(lines_below(third, "Transformer")) == 1


def test_ablation_rows_find_their_presets():
    presets = ("audio-only", "concat", "bdca", "mae-pretrained", "visual-only")
    results = [Result(name=p, scores=(score(p, i),), preset=p) for i, p in enumerate(presets)]
    _, second, third, fourth = published_grids("bdca", BDCA, results)
    for grid, label, result in (
        (fourth, "Only Audio", results[0]),
        (fourth, "BDCA", results[2]),
        (second, "BDCA", results[2]),
        (third, "MAE w/o FT", results[3]),
        (third, "MAE", results[4]),
    ):
        assert cells(grid, label)["ours mean"] == f"{result.ccc['mean']:.3f}"
    assert cells(fourth, "BDCA w/o DW")["ours mean"] == "-"
    assert cells(third, "Fuxi")["ours"] == "-"
    assert "own row" not in {row[0] for grid in (second, third, fourth) for row in grid.rows}


@pytest.mark.parametrize(("paper", "tables"), PAPERS.items())
def test_charon_stands_beside_its_published_row(paper, tables):
    charon = Result(name="c", scores=(score("c", 0),), preset="charon")
    assert cells(published_grids(paper, tables, [charon])[1], "Charon")["ours"] == "c"


@pytest.mark.parametrize(("paper", "other"), [("lightmamba", "bdca"), ("bdca", "lightmamba")])
@pytest.mark.parametrize("suffix", ["", "-text"])
def test_models_of_the_other_paper_are_left_out(paper, other, suffix):
    scores = tuple(score(f"x, fold {k}", k, k) for k in range(1, 6))
    foreign = Result(name="x", scores=scores, preset=other + suffix)
    grids = published_grids(paper, PAPERS[paper], [foreign])
    assert grids == published_grids(paper, PAPERS[paper], [])
    assert all(row[grid.header.index("ours")] == "-" for grid in grids for row in grid.rows)


def test_fold_rows_take_only_the_model_of_the_paper():
    scores = tuple(score(f"x, fold {k}", k, k) for k in range(1, 6))
    for preset in ("concat", "compact", "charon", ""):
        first = published_grids("bdca", BDCA, [Result(name="x", scores=scores, preset=preset)])[0]
        assert {row[first.header.index("ours")] for row in first.rows} == {"-"}


def test_text_variant_is_named_beside_the_row_of_its_model():
    text = Result(name="t", scores=(score("t", 0, 0),), preset="bdca-text")
    first, _, _, fourth = published_grids("bdca", BDCA, [text])
    assert cells(first, "Fold 0")["ours"] == "t (bdca-text)"
    assert cells(fourth, "BDCA")["ours"] == "t (bdca-text)"


def test_models_of_no_published_row_get_their_own():
    mine = Result(
        name="mine",
        scores=tuple(score(f"mine, fold {k}", k, k) for k in (1, 2)),
        changes=("model.temporal.n_layers=2",),
    )
    first, second, _ = published_grids("lightmamba", LIGHTMAMBA, [mine])
    assert "own row" not in [row[0] for row in first.rows]
    ours = ("mine, mean of 2 folds", *numbers(mine.ccc))
    assert second.rows[-1] == ("own row", "-", "-", "-", *ours, "ours")
    assert second.notes[-1] == "mine differs from its preset in model.temporal.n_layers=2."


def test_several_runs_of_one_row_are_all_shown():
    twice = [Result(name=n, scores=(score(n, i),), preset="bdca") for i, n in enumerate("xy")]
    fourth = published_grids("bdca", BDCA, twice)[3]
    at = fourth.header.index("ours")
    assert [row[at] for row in lines_below(fourth, "BDCA")] == ["x", "y"]
    assert [row[at + 3] for row in lines_below(fourth, "BDCA")] == [f"{r.ccc['mean']:.3f}" for r in twice]


def test_memory_of_a_process_is_not_shown_as_that_of_a_gpu():
    plain = {"scores": (score("x", 0),), "preset": "lightmamba"}
    on_cpu = Result(name="x", process_peak_bytes=9_000_000_000, **plain)
    on_gpu = Result(name="x", gpu_peak_bytes=4_800_000_000, process_peak_bytes=9_000_000_000, **plain)
    for result, shown in ((on_cpu, "-"), (on_gpu, "4.8 GB")):
        third = published_grids("lightmamba", LIGHTMAMBA, [result])[2]
        assert cells(third, "LightMamba")["ours GPU memory"] == shown


def test_runs_on_different_videos_are_noted():
    first = Result(name="a", scores=(score("a", 0),), preset="bdca")
    other = Result(name="b", scores=(score("b", 1, prefix="w"),), preset="concat")
    same = Result(name="c", scores=(score("c", 2),), preset="concat")
    assert with_video_notes([first, same]) == (first, same)
    assert not any(
        "different videos" in n for g in published_grids("bdca", BDCA, [first, same]) for n in g.notes
    )
    plain, noted = with_video_notes([first, other])
    assert plain == first
    (note,) = noted.notes
    assert note.startswith(
        "scored on 3 videos, of which a (3 videos) has 0: compare the two with `va compare`"
    )
    assert f"b: {note}" in score_grids([plain, noted])[0].notes
    grids = published_grids("bdca", BDCA, [first, other])
    noted_tables = [any("scored on different videos" in note for note in grid.notes) for grid in grids]
    assert noted_tables == [False, False, False, True]  # both stand in table IV only
