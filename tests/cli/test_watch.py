"""The terminal view of live rows, as text."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from rich.console import Console
from synth.live_runs import rows_of

from vacli.cli import watch
from vacli.cli.watch import WatchView, bar, sparkline


@pytest.fixture(autouse=True)
def always_shown(monkeypatch) -> None:
    monkeypatch.setattr(watch, "REFRESH_HZ", math.inf)


def screen(width: int, source: str = "udp://0.0.0.0:5000", **last: object) -> list[str]:
    """The lines of the last picture on a terminal of `width` columns, after 28 s of rising valence."""
    text = io.StringIO()
    view = WatchView(source, Console(file=text, width=width))
    numbers = range(0, 700, 7)
    for number in numbers:
        values = {"valence": [2 * number / 693 - 1], "arousal": [-0.5], "valence_uncertainty": [0.12]}
        values |= {name: [value] for name, value in last.items() if number == numbers[-1]}
        view.write(rows_of([number], **values))
    view.close()
    return [line.rstrip() for line in text.getvalue().splitlines() if line.strip()]


def test_view_fits_a_terminal_of_80_columns():
    title, valence, arousal, basis = screen(80)
    assert title == "udp://0.0.0.0:5000  27.7 s"
    assert valence == "valence  +1.00 ± 0.12  ··········│██████████  " + valence[-33:]
    assert valence.endswith("▇████████")
    assert "▄" not in valence  # the newest part of the line
    assert arousal.startswith("arousal  -0.50         ·····█████│··········  ▃▃▃")
    assert basis.split(maxsplit=1) == ["visual", "latency 50 ms"]
    assert all(len(line) <= 80 for line in (title, valence, arousal, basis))


def test_wide_terminals_have_longer_bars_and_lines():
    _, valence, _, _ = screen(130)
    assert valence.count("█") > 20
    assert "▄" in valence
    assert len(valence) == 7 + 2 + 12 + 2 + watch.BAR_CELLS + 2 + watch.N_POINTS


@pytest.mark.parametrize("width", [80, 40, 20])
def test_flags_and_long_names_wrap_no_line(width):
    lines = screen(width, "rtsp://camera.example/" + "x" * 200, flag="clock_jump+gap", modality="audiovisual")
    assert len(lines) == 4
    assert all(len(line) <= width for line in lines)
    assert width < 80 or lines[-1].endswith("clock_jump+gap")


def test_missing_values_are_named():
    _, valence, _, _ = screen(80, valence=np.nan)
    assert valence.startswith("valence  no value ")
    assert "··········│··········" in valence


def test_control_characters_of_names_are_escaped():
    assert screen(80, "\x1b[31mred")[0].startswith("\\x1b[31mred")


def test_bars_and_lines_show_values():
    assert bar(0.5, 9) == "····│██··"
    assert bar(-1.0, 9) == "████│····"
    assert bar(float("nan"), 9) == bar(0.0, 9) == "····│····"
    assert sparkline([-1, 0, 1, 2, float("nan")]) == "▁▅██ "
