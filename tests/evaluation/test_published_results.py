"""The papers' numbers are consistent with themselves and each says what it is."""

from __future__ import annotations

import pytest

from vacli.evaluation.published_results import (
    BEST_FOLD,
    FOLD,
    HEADLINE,
    PAPERS,
    VARIANTS,
    has_row,
    is_of_other_paper,
)
from vacli.recipe.presets import PRESETS

ROWS = [(paper, table, row) for paper, tables in PAPERS.items() for table in tables for row in table.rows]


@pytest.mark.parametrize(("paper", "table", "row"), ROWS, ids=lambda v: getattr(v, "label", None))
def test_mean_is_that_of_valence_and_arousal(paper, table, row):
    if row.valence is not None:
        assert row.mean == pytest.approx((row.valence + row.arousal) / 2, abs=1.01e-3)
    assert row.protocol
    assert not row.preset or row.preset in PRESETS


@pytest.mark.parametrize(("paper", "mean", "best"), [("lightmamba", 0.593, 0.637), ("bdca", 0.606, 0.632)])
def test_fold_mean_and_best_fold_are_computed_from_table_one(paper, mean, best):
    rows = PAPERS[paper][0].rows
    folds = [row for row in rows if row.protocol in (FOLD, BEST_FOLD)]
    assert [row.fold for row in folds] == [1, 2, 3, 4, 5]
    stated = next(row for row in rows if row.label == "Mean of folds")
    assert stated.mean == mean
    for name in ("valence", "arousal"):
        assert getattr(stated, name) == pytest.approx(sum(getattr(r, name) for r in folds) / 5, abs=6e-4)
    assert max(row.mean for row in folds) == best
    assert next(row.mean for row in rows if row.protocol == BEST_FOLD) == best


def test_headlines_and_variants_are_presets_with_rows():
    for paper, preset in HEADLINE.items():
        assert has_row(paper, preset)
    for variant, preset in VARIANTS.items():
        assert variant in PRESETS
        assert any(has_row(paper, preset) for paper in PAPERS)


@pytest.mark.parametrize(
    ("preset", "papers"),
    [
        ("lightmamba", {"lightmamba"}),
        ("lightmamba-text", {"lightmamba"}),
        ("mae-pretrained", {"bdca"}),
        ("bdca-text", {"bdca"}),
        ("baseline", {"lightmamba", "bdca"}),
        ("baseline-finetuned", {"lightmamba", "bdca"}),
        ("charon", {"lightmamba", "bdca"}),
        ("compact", set()),
        ("", set()),
    ],
)
def test_papers_that_have_a_row_for_a_preset(preset, papers):
    assert {paper for paper in PAPERS if has_row(paper, preset)} == papers
    others = {paper for paper in PAPERS if is_of_other_paper(paper, preset)}
    assert others == (set(PAPERS) - papers if papers else set())


def test_all_tables_of_both_papers_are_present():
    assert [t.number for t in PAPERS["lightmamba"]] == ["I", "II", "III"]
    assert [t.number for t in PAPERS["bdca"]] == ["I", "II", "III", "IV"]
