"""Sections of model cards."""

from __future__ import annotations

from vacli.inference.run import BUNDLED
from vacli.output.report.card_text import Block, inline, section

CARD = """# Title

## Scores

CCC over
all frames:

| valence | arousal |
|---|---|
| 0.1 | 0.2 |

## Limits

- One limit
  in two lines.
- Another.

## Use

Not at all.
"""


def test_sections_are_paragraphs_lists_and_tables():
    assert section(CARD, "Scores") == [
        Block("paragraph", ("CCC over all frames:",)),
        Block("table", rows=(("valence", "arousal"), ("0.1", "0.2"))),
    ]
    assert section(CARD, "Limits") == [Block("list", ("One limit in two lines.", "Another."))]
    assert section(CARD, "Use") == [Block("paragraph", ("Not at all.",))]
    assert section(CARD, "Absent") == []


def test_markup_of_a_line_is_escaped():
    assert inline("`a<b` and **c** <i>") == "<code>a&lt;b</code> and <strong>c</strong> &lt;i&gt;"


def test_all_limits_of_the_bundled_model_are_read():
    text = BUNDLED.with_name("CARD.md").read_text()
    (block,) = section(text, "Limits")
    count = text.split("## Limits")[1].split("##")[0].count("\n- ")
    assert (block.kind, len(block.lines)) == ("list", count)
    assert count > 3
