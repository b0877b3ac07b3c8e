"""The harness itself: it notices each broken bound, kills where it is told to, and repeats itself."""

from __future__ import annotations

import numpy as np
import pytest
from faults import kill, mutators, oracle, tables
from faults.harness import CommandOutcome

pytestmark = pytest.mark.faults
ENTRY = "faults.misbehave:main"


@pytest.mark.parametrize(
    ("how", "limits", "breach"),
    [
        ("sleep", {"time_limit_s": 0.5}, "hang"),
        ("grow", {"memory_limit_bytes": 600 << 20}, "memory"),
        ("abort", {}, "crash"),
        ("write", {}, ""),
    ],
)
def test_each_bound_is_noticed(lab, how, limits, breach):
    assert lab.light.run([how], lab.folder("case"), entry=ENTRY, **limits).breach == breach


@pytest.mark.parametrize("number", [1, 3, 6])
def test_a_step_dies_just_before_its_nth_change(lab, number):
    folder = lab.folder("case")
    whole = lab.light.run(["write"], folder, entry=ENTRY)
    assert (whole.code, whole.changes) == (0, 6)
    folder = lab.folder("case")
    assert lab.light.run(["write"], folder, entry=ENTRY, kill_at_write=number).code == -9
    assert len(list(folder.iterdir())) == number - 1


def test_instants_are_spread_and_drawn_again_alike():
    drawn = [list(kill.instants(20, 40, 2.0, (3, 1))) for _ in range(2)]
    assert drawn[0] == drawn[1]
    changes = [instant["kill_at_write"] for instant in drawn[0] if "kill_at_write" in instant]
    times = [instant["kill_after_s"] for instant in drawn[0] if "kill_after_s" in instant]
    assert len(changes) == len(times) == 10
    assert sorted(set(changes)) == changes
    assert 1 <= changes[0] <= 4
    assert 37 <= changes[-1] <= 40
    assert times == sorted(times)


@pytest.mark.parametrize("mutate", dict.fromkeys(mutators.TEXT))
def test_damage_is_seeded(mutate):
    data = b"time_s,valence,arousal\n0.0,0.25,-0.5\n0.04,0.5,0.125\n" * 40
    made = [mutate(data, np.random.default_rng(4)) for _ in range(2)]
    assert made[0] == made[1]
    assert any(mutate(data, np.random.default_rng(seed)) != data for seed in range(20))


def _made(code: int = 0, stderr: str = "", rows: tuple[str, ...] = ("a",), flags: str = "1") -> oracle.Made:
    ended = CommandOutcome(
        code=code, limit="", pid=1, wall_s=0, cpu_s=0, peak_bytes=0, stdout="", stderr=stderr
    )
    return oracle.Made(ended, {"x.mp4": rows, "good.wav": ("g",)}, {"x.mp4": flags})


@pytest.mark.parametrize(
    ("got", "found", "outcome"),
    [
        (_made(), ["odd"], "same"),
        (_made(1, "x.mp4: cannot be read"), [], "refused"),
        (_made(1, "va: cannot be read"), [], "unnamed"),
        (_made(1, "x.mp4: unexpected KeyError"), [], "unnamed"),
        (_made(0, "x.mp4: 3 frames are damaged", ("b",)), ["odd"], "said"),
        (_made(0, "", ("b",), "0"), ["odd"], "said"),
        (_made(0, "", ("b",)), ["odd"], "silent"),
        (_made(0, "", ("b",)), [], "undetectable"),
        (_made(0, "x.mp4: 3 done", ("b",)), ["odd"], "silent"),
        (_made(3, "x.mp4: cannot be read"), [], "unnamed"),
    ],
)
def test_verdicts(got, found, outcome):
    assert oracle.verdict_on(_made(), got, ("x.mp4",), ("good.wav",), lambda: found).outcome == outcome


def test_a_neighbour_that_is_not_as_before_is_lost():
    got = oracle.Made(_made(1, "x.mp4: cannot be read").outcome, {}, {})
    assert oracle.verdict_on(_made(), got, ("x.mp4",), ("good.wav",)).outcome == "lost"


@pytest.mark.parametrize(
    ("text", "odd"),
    [
        ("time_s,valence,arousal\n0,0.5,0.5\n0.1,,\n", False),
        ("time_s,valence,arousal\n0,0.5,0.5\n0,0.5,0.5\n", True),
        ("time_s,valence,arousal\n0,1.5,0.5\n", True),
        ("time_s,valence,arousal\n0,0.5\n", True),
        ("time_s,valence\n0,0.5\n", True),
        ("time_s,valence,arousal\n0,0.5,0.5\x00\n", True),
    ],
)
def test_the_strict_reader_of_tables(tmp_path, text, odd):
    (tmp_path / "t.csv").write_text(text)
    assert bool(tables.complaints(tmp_path / "t.csv", "time_s,valence,arousal")) is odd
