"""Two writers of one place, and a reader while it is rewritten: old or new, never half, nothing lost."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from faults import snapshot
from faults.harness import CommandOutcome
from faults.lab import Lab
from faults.oracle import Verdict
from faults.steps import make_sources
from faults.test_stores import copy

pytestmark = pytest.mark.faults
A_FEATURE = ("extract-audio", "a.mp4", "c.wav", "-o", "n.zarr", "--feature", "gemaps-functionals")
PAIRS = {  # name -> what is needed, what was there before, the two commands
    "new store": (
        ("a.mp4", "b.mp4"),
        (),
        ("align", "a.mp4", "-o", "n.zarr"),
        ("align", "b.mp4", "-o", "n.zarr"),
    ),
    "same videos": (("a.mp4", "c.wav"), (), A_FEATURE, A_FEATURE),
    "same features": (("a.mp4", "c.wav"), (A_FEATURE,), (*A_FEATURE, "--force"), (*A_FEATURE, "--force")),
    "two features": (
        ("a.mp4",),
        (("align", "a.mp4", "-o", "n.zarr"),),
        ("extract-visual", "n.zarr"),
        ("extract-audio", "n.zarr"),
    ),
    "labels": (
        ("labels", "bare.zarr"),
        (),
        ("import-labels", "labels", "bare.zarr"),
        ("import-labels", "labels", "bare.zarr"),
    ),
}


def both(
    lab: Lab, folder: Path, one: tuple[str, ...], other: tuple[str, ...], lead_s: float
) -> list[CommandOutcome]:
    """Two commands at once, the first `lead_s` ahead."""
    made: dict[int, CommandOutcome] = {}
    first = threading.Thread(target=lambda: made.update({0: lab.run(one, folder)}))
    first.start()
    first.join(lead_s)
    made[1] = lab.second.run(other, folder)
    first.join()
    return [made[0], made[1]]


def ready(lab: Lab, needs: tuple[str, ...], before: tuple[tuple[str, ...], ...]) -> Path:
    """A folder with what is needed and was done before."""
    world, folder = lab.once(make_sources), lab.folder("case")
    for name in needs:
        copy(world / name, folder / name)
    for arguments in before:
        assert lab.run(arguments, folder).code == 0
    return folder


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    full = metafunc.config.getoption("faults", "short") == "full"
    if "pair" in metafunc.fixturenames:
        metafunc.parametrize("pair", PAIRS if full else ["new store"])
    if "part" in metafunc.fixturenames:
        metafunc.parametrize("part", list(REWRITES) if full else list(REWRITES)[:1])
        metafunc.parametrize("number", range(4 if full else 1))
    else:
        metafunc.parametrize("number", range(8 if full else 1))


EXPECTED: dict[str, dict[str, object]] = {}


def test_two_writers(pair, number, lab, record):
    needs, before, one, other = PAIRS[pair]
    if pair not in EXPECTED:
        folder = ready(lab, needs, before)
        assert [lab.run(arguments, folder).code for arguments in (one, other)] == [0, 0]
        EXPECTED[pair] = snapshot.snapshot(folder)
    folder = ready(lab, needs, before)
    outcomes = both(lab, folder, one, other, float(lab.rng(f"together {pair}", number).uniform(0, 0.6)))
    record("two writers", f"{pair} {number}", _verdict(outcomes, EXPECTED[pair], folder))


def _verdict(outcomes: list[CommandOutcome], expected: dict[str, object], folder: Path) -> Verdict:
    for outcome in outcomes:
        if outcome.breach or outcome.code:
            return Verdict(outcome.breach or "refused by the other", outcome.stderr.strip()[-300:])
    kind, detail = snapshot.difference(expected, snapshot.snapshot(folder))
    return Verdict(kind or "same", detail)


def test_two_tables_of_one_name(number, lab, record):
    folder = ready(lab, ("a.mp4", "b.mp4"), ())
    tables = []
    for clip in ("a.mp4", "b.mp4"):
        assert lab.run(("predict", clip, "-o", "va.csv", "--force"), folder).code == 0
        tables.append((folder / "va.csv").read_bytes())
    (folder / "va.csv").unlink()
    lead_s = float(lab.rng("tables", number).uniform(0, 0.3))
    one, other = (("predict", clip, "-o", "va.csv", "--force") for clip in ("a.mp4", "b.mp4"))
    outcomes = both(lab, folder, one, other, lead_s)
    codes = [outcome.code for outcome in outcomes]
    left = sorted(p.name for p in folder.iterdir())
    whole = (folder / "va.csv").read_bytes() in tables if "va.csv" in left else False
    verdict = (
        Verdict("same") if whole and codes == [0, 0] else Verdict("torn", f"exits {codes}, whole: {whole}")
    )
    if verdict.holds and left != ["a.mp4", "b.mp4", "va.csv", "va.csv.provenance.json"]:
        verdict = Verdict("litter", str(left))
    record("two tables", number, verdict)


REWRITES = {
    "gemaps-functionals": (
        (*A_FEATURE, "--window", "0.3", "--force"),
        (*A_FEATURE, "--window", "1", "--force"),
    ),
    "face": (
        ("align", "a.mp4", "-o", "n.zarr", "--force"),
        ("align", "a.mp4", "-o", "n.zarr", "--face", "all", "--force", "--no-crops"),
    ),
}


def test_a_reader_sees_old_or_new(part, number, lab, record):
    from faults import reader

    folder = ready(lab, ("a.mp4", "c.wav"), ())
    states = []
    for arguments in REWRITES[part]:
        assert lab.run(arguments, folder).code == 0
        states.append(reader.look(folder / "n.zarr", "a", part))
    stop, seen = folder / "stop", {}
    reading = ("n.zarr", "a", part, "stop")
    watch = threading.Thread(
        target=lambda: seen.update(out=lab.second.run(reading, folder, entry="faults.reader:main").stdout)
    )
    watch.start()
    for arguments in (*REWRITES[part], *REWRITES[part]):
        assert lab.run(arguments, folder).code == 0
    stop.touch()
    watch.join()
    counts = json.loads(seen["out"])
    refused = [
        state for state in counts if state.startswith("refused") and "replaced" in state
    ]  # aloud, so whole
    odd = {state: count for state, count in counts.items() if state not in (*states, *refused)}
    record("reader", f"{part} {number}", Verdict("torn", f"{odd} among {counts}") if odd else Verdict("same"))
