"""Names as people read them."""

from __future__ import annotations

import pytest

from vacli.output.report.shown_text import shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain é 名.mp4", "plain é 名.mp4"),
        ("two\nlines\x07", "two\\nlines\\x07"),
        ("gpj.\u202emp4", "gpj.\\u202emp4"),
        ("caf\udce9", "caf\\udce9"),
        ("<b>", "<b>"),
    ],
)
def test_control_characters_are_written_as_escapes(text, expected):
    assert shown(text) == expected
