"""What the tables say, and that all formats say the same."""

from __future__ import annotations

import numpy as np
import pytest

from vacli.evaluation.published_results import BDCA, LIGHTMAMBA
from vacli.evaluation.score import Result, Score, score_video
from vacli.output.score_tables import published_grids, score_grids


def score(name: str, seed: int, fold: int | None = None) -> Score:
    rng = np.random.default_rng(seed)
    labels = rng.normal(0, 0.3, (100, 2)).clip(-1, 1)
    videos = [score_video(f"v{i}", labels * 0.8 + rng.normal(0, 0.1, labels.shape), labels) for i in range(3)]
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


def test_our_folds_stand_beside_the_papers(crossed):
    first, second, third = published_grids("lightmamba", LIGHTMAMBA, [crossed])
    by_label = {row[0]: row for row in first.rows}
    ours = [f"{crossed.scores[2].pooled[f'ccc_{s}']:.3f}" for s in ("valence", "arousal", "mean")]
    assert by_label["Fold 3"] == (
        "Fold 3",
        "0.610",
        "0.664",
        "0.637",
        *ours,
        "best of five folds, not a test score",
    )
    assert by_label["Mean of folds"][4:7] == tuple(
        f"{crossed.ccc[s]:.3f}" for s in ("valence", "arousal", "mean")
    )
    assert by_label["Baseline"][4:7] == ("-", "-", "-")
    assert {row[0]: row[4] for row in second.rows}["LightMamba"] == f"{crossed.ccc['valence']:.3f}"
    cells = dict(zip(third.header, third.rows[1], strict=True))
    assert (cells["parameters"], cells["ours parameters"]) == ("116.5M", "116.5M")
    assert (cells["ours time an epoch"], cells["ours GPU memory"]) == ("24 s", "-")


def test_ablation_rows_find_their_presets():
    results = [
        Result(name=p, scores=(score(p, i),), preset=p)
        for i, p in enumerate(("audio-only", "concat", "bdca"))
    ]
    rows = {row[0]: row for row in published_grids("bdca", BDCA, results)[3].rows}
    assert rows["Only Audio"][6] == f"{results[0].ccc['mean']:.3f}"
    assert rows["BDCA"][6] == f"{results[2].ccc['mean']:.3f}"
    assert rows["BDCA w/o DW"][6] == "-"


def test_a_run_that_is_no_row_of_the_paper_gets_its_own():
    mine = Result(name="mine", scores=tuple(score(f"mine, fold {k}", k, k) for k in (1, 2)), preset="compact")
    first, second, _ = published_grids("lightmamba", LIGHTMAMBA, [mine])
    assert "mine" not in [row[0] for row in first.rows]
    ours = tuple(f"{mine.ccc[s]:.3f}" for s in ("valence", "arousal", "mean"))
    assert next(row for row in first.rows if row[0] == "Mean of folds")[4:7] == ours
    assert second.rows[-1] == ("mine", "-", "-", "-", *ours, "ours: mean of 2 folds")


def test_two_runs_of_one_preset_are_not_guessed_between():
    twice = [Result(name=n, scores=(score(n, i),), preset="bdca") for i, n in enumerate("xy")]
    rows = {row[0]: row for row in published_grids("bdca", BDCA, twice)[3].rows}
    assert rows["BDCA"][4:7] == ("-", "-", "-")
