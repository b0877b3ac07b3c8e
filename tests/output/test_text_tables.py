"""Three ways to print a table."""

from __future__ import annotations

from vacli.output.text_tables import Grid, latex, markdown, text

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
