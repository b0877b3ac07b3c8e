"""Three ways to print a table."""

from __future__ import annotations

import pytest

from vacli.output.text_tables import Grid, column_pages, latex, markdown, text

GRID = Grid(
    "CCC of a_b",
    ("", "V", "what"),
    (("x_1 | y", "0.5", "5 % & more"), ("z", "-0.25", "none")),
    ("A note.",),
    frozenset({0, 2}),
)


def test_text_is_aligned():
    assert text(GRID) == (
        "CCC of a_b\n"
        "             V  what\n"
        "-------  -----  ----------\n"
        "x_1 | y    0.5  5 % & more\n"
        "z        -0.25  none\n"
        "A note.\n"
    )


def test_markdown_escapes_pipes():
    assert markdown(GRID) == (
        "**CCC of a_b**\n\n"
        "|          |     V | what       |\n"
        "|:---------|------:|:-----------|\n"
        "| x_1 \\| y |   0.5 | 5 % & more |\n"
        "| z        | -0.25 | none       |\n"
        "\nA note.\n"
    )


def test_latex_escapes_specials():
    made = latex(GRID)
    assert r"\caption{CCC of a\_b. A note.}" in made
    assert r"\begin{tabular}{lrl}" in made
    assert r"x\_1 | y &   0.5 & 5 \% \& more \\" in made
    assert made.count(r"\\") == 3


WIDE = Grid(
    "A title that is longer than a line of this terminal",
    ("run", *(f"column {n}" for n in range(9))),
    tuple((name, *(f"{n}.5" for n in range(9))) for name in ("first run", "second run")),
)


@pytest.mark.parametrize("width", [40, 80])
def test_a_wide_table_is_split_into_pages_that_fit_the_terminal(width):
    made = text(WIDE, width)
    assert max(map(len, made.splitlines())) <= width
    pages = made.count("second run")
    assert pages == made.count("first run") == -(-9 // ((width - 10) // 12))
    for column in WIDE.header[1:]:
        assert made.count(column) == 1


def test_a_table_that_fits_is_not_split():
    assert text(GRID, 80) == text(GRID)


def test_columns_keep_their_alignment_on_a_later_page():
    grid = Grid("t", ("name", "a", "text"), (("row", "1", "x" * 20),), left=frozenset({0, 2}))
    second = text(grid, 30).splitlines()[-1]
    assert second == "row     " + "x" * 20


@pytest.mark.parametrize(
    ("widths", "total", "pages"),
    [
        ([5], 80, [[0]]),
        ([5, 10, 10], 80, [[0, 1, 2]]),
        ([5, 10, 10], 20, [[0, 1], [0, 2]]),
        ([30, 30, 30], 20, [[0, 1], [0, 2]]),
    ],
)
def test_each_page_has_the_first_column_and_one_more_at_least(widths, total, pages):
    assert column_pages(widths, total) == pages


def test_each_page_begins_with_the_keys_unless_they_take_more_than_half_of_it():
    assert column_pages([4, 4, 6, 6, 6], 20, gap=1, keys=2) == [[0, 1, 2], [0, 1, 3], [0, 1, 4]]
    assert column_pages([4, 9, 6, 6, 6], 20, gap=1, keys=2) == [[0, 1], [0, 2, 3], [0, 4]]
