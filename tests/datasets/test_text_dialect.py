"""Text tables in the dialects that people's tools write."""

from __future__ import annotations

import math

import pytest

from vacli.datasets.text_dialect import decimal_mark, detect_separator, parse_number, read_table
from vacli.errors import LabelError

ROWS = ["time;valence;arousal", "0,04;0,5;-0,25", "0,08;1;0"]


def table(tmp_path, text: str, encoding: str = "utf-8"):
    path = tmp_path / "clip.csv"
    path.write_bytes(text.encode(encoding))
    return read_table(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "utf-32"])
def test_encodings_give_the_same_names(tmp_path, encoding):
    made = table(tmp_path, "Zeit_für;valence\n1;0,5\n", encoding)
    assert made.header == ("Zeit_für", "valence")
    assert made.numbers([0, 1]) == [[1.0, 0.5]]


def test_utf16_of_both_byte_orders(tmp_path):
    for encoding, mark in (("utf-16-le", "\ufeff"), ("utf-16-be", "\ufeff")):
        assert table(tmp_path, mark + "\r\n".join(ROWS), encoding).header == ("time", "valence", "arousal")


@pytest.mark.parametrize("data", [b"\xff\xfe\x00binary", b"a,b\n\x00\x01,2\n", b"\xfe\xff\x00"])
def test_binary_files_are_refused(tmp_path, data):
    (tmp_path / "x.csv").write_bytes(data)
    with pytest.raises(LabelError, match=r"x\.csv (cannot be read|is not a text table)"):
        read_table(tmp_path / "x.csv")


@pytest.mark.parametrize(
    ("lines", "separator"),
    [
        (ROWS, ";"),
        (["time,valence,arousal", "0.04,0.5,0"], ","),
        (["time, valence, arousal", "0.04, 0.5, 0"], ","),
        (["Time (s), Valence, Arousal", "0.04, 0.5, 0"], ","),
        (["Time (s);Valence", "0;1"], ";"),
        (["time\tvalence", "0,1\t0,5"], "\t"),
        (["time|valence", "0,1|0,5"], "|"),
        (["time  valence arousal", "0,04 0,5   0,1"], " "),
        (['"a;b","c"', '"1","2"'], ","),
        (["time,valence,arousal"], ","),
        (["valence", "0.5"], ","),
    ],
)
def test_separator_is_detected(lines, separator):
    assert detect_separator(lines) == separator


def test_separator_of_excel_is_read(tmp_path):
    made = table(tmp_path, "sep=;\n" + "\n".join(ROWS))
    assert made.header == ("time", "valence", "arousal")
    assert made.rows[0][0] == 3


def test_comments_and_blank_lines_are_left_out_and_lines_are_counted(tmp_path):
    made = table(tmp_path, "# rater A\n\ntime,valence\n0,1\n% pause\n// more\n\n1,x\n\n")
    assert made.header == ("time", "valence")
    assert made.blank_line == 7
    with pytest.raises(LabelError, match=r"clip\.csv:8: 'x' is not a number"):
        made.numbers([1])


def test_comment_above_numbers_is_the_header(tmp_path):
    made = table(tmp_path, "# made by numpy\n# time valence arousal\n0.0 0.5 0.1\n1.0 0.5 -1e-1\n")
    assert made.header == ("time", "valence", "arousal")
    assert made.numbers([0, 2]) == [[0.0, 0.1], [1.0, -0.1]]


def test_row_names_of_r_have_no_name(tmp_path):
    made = table(tmp_path, '"time" "valence"\n"1" 0.5 0.25\n"2" 0.6 NA\n')
    assert made.header == ("", "time", "valence")
    assert made.numbers([1])[1] == [0.6]


def test_quotes_hold_separators_and_line_breaks(tmp_path):
    made = table(tmp_path, 'note,valence\n"a, b\nc ""d""",0.5\nx,0.25\n')
    assert made.rows[0][1] == ['a, b\nc "d"', "0.5"]
    assert made.rows[1] == (4, ["x", "0.25"])


def test_trailing_separators_make_no_columns(tmp_path):
    assert table(tmp_path, "a;b;\n1;2;\n3;4\n").rows == [(2, ["1", "2"]), (3, ["3", "4"])]


def test_names_that_begin_like_a_comment_are_kept(tmp_path):
    made = table(tmp_path, "subject,input\n#01,a.mp4\n# left,out\nx,b.mp4\n%02,c.mp4\n#only a comment\n")
    assert made.cells(0) == ["#01", "x", "%02"]
    assert made.cells(1) == ["a.mp4", "b.mp4", "c.mp4"]
    assert [line for line, _ in made.rows] == [2, 4, 5]
    assert table(tmp_path, "input\n#a comment\nb.mp4\n").cells(0) == ["b.mp4"]


@pytest.mark.parametrize("text", ["", "NA", "n/a", "NaN", "-", "null", "None", "#N/A", "?", "."])
def test_missing_values_are_nan(tmp_path, text):
    assert math.isnan(table(tmp_path, f"a,b\n1,{text}\n").numbers([1])[0][0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"clip\.csv is empty"),
        ("# only\n# comments\n", r"clip\.csv is empty"),
        ("a,b\n1\n", r"clip\.csv:2: 1 values under a header of 2"),
        ("a,b\n1,2,3\n", r"clip\.csv:2: 3 values under a header of 2"),
        ("a,b,a\n1,2,3\n", r"clip\.csv:1: two columns are called 'a'"),
        ("0.1,0.2\n0.3,0.4\n", r"clip\.csv:1: no names of columns"),
        ("time,valence\n0,04,0,5\n", r"clip\.csv:2: 4 values under a header of 2"),
    ],
)
def test_errors_name_file_and_line(tmp_path, text, message):
    with pytest.raises(LabelError, match=message):
        table(tmp_path, text)


def test_error_of_an_unclosed_quote_is_short(tmp_path):
    made = table(tmp_path, 'a,b\n1,"' + "0.5 0.25\n" * 1000)
    with pytest.raises(LabelError, match=r"clip\.csv:2: ") as raised:
        made.numbers([1])
    assert len(raised.value.one_line()) < len(str(tmp_path)) + 200


def test_unquoted_decimal_commas_between_commas_get_a_hint(tmp_path):
    with pytest.raises(LabelError) as raised:
        table(tmp_path, "time,valence\n0,04,0,5\n")
    assert raised.value.hint == "decimal commas need another separator"


@pytest.mark.parametrize(
    ("texts", "mark"),
    [
        (["0,5", "1"], ","),
        (["0.5", "1e-3"], "."),
        (["1,234.5", "0.5"], "."),
        (["1.234,5", "0,5"], ","),
        (["1.234.567"], ","),
        (["1", "NA", ""], "."),
    ],
)
def test_decimal_mark_is_detected(texts, mark):
    assert decimal_mark(texts) == mark


def test_mixed_decimal_marks_are_refused(tmp_path):
    with pytest.raises(LabelError, match="decimal points and others decimal commas"):
        table(tmp_path, "a;b\n0,5;0.5\n").numbers([0, 1])


@pytest.mark.parametrize(
    ("text", "mark", "value"),
    [("1,234.5", ".", 1234.5), ("1.234,5", ",", 1234.5), ("-0,5", ",", -0.5), ("\u22120.5", ".", -0.5)],
)
def test_numbers(text, mark, value):
    assert parse_number(text, mark) == value


@pytest.mark.parametrize(
    ("text", "mark"), [("1_0", "."), ("inf", "."), ("12,34.5", "."), ("0.5s", "."), ("1,2", ".")]
)
def test_other_texts_are_no_numbers(text, mark):
    with pytest.raises(ValueError):
        parse_number(text, mark)
