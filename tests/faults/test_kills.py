"""Every writing step, killed at any instant and run again: nothing torn or lost, the very same result."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from faults import kill, snapshot
from faults.lab import Lab
from faults.oracle import Verdict
from faults.steps import STEPS, Step, prepare, resume, torn

pytestmark = pytest.mark.faults
INSTANTS = 20
SHORT = ("labels", "predict -o", "predict folder")  # steps of the short part, cheap ones


@dataclass(frozen=True)
class Whole:
    """A step that nobody disturbed: the folder before it, what it left, and how long that took."""

    before: Path
    old: dict[str, object]
    new: dict[str, object]
    changes: int
    wall_s: float


WHOLE: dict[str, Whole] = {}


def undisturbed(lab: Lab, step: Step) -> Whole:
    """The step run to its end, once a session; it and a second time must give the same."""
    if step.name not in WHOLE:
        before = lab.folder(f"before/{step.name.replace(' ', '')}")
        prepare(lab, step, before)
        folder, made = lab.scratch / "case", None
        for _ in range(2):
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(before, folder)
            made = lab.run(step.arguments, folder)
            assert made.code == 0, made.stderr
        finish(lab, step, folder)
        WHOLE[step.name] = Whole(
            before, snapshot.snapshot(before), snapshot.snapshot(folder), made.changes, made.wall_s
        )
    return WHOLE[step.name]


def finish(lab: Lab, step: Step, folder: Path) -> None:
    """The commands that follow. Rows of an interrupted run, which `va predict` keeps, are removed."""
    for arguments in step.after:
        outcome = lab.run(arguments, folder)
        assert outcome.code == 0, outcome.stderr
    for kept in folder.glob("*.partial"):
        kept.unlink()


def after_the_kill(step: Step, whole: Whole, folder: Path) -> Verdict | None:
    """What is broken while the step lies killed, if anything."""
    now = snapshot.snapshot(folder)
    for result in step.results:
        parts = {name for name in (*whole.old, *whole.new) if name == result or name.startswith(f"{result}/")}
        states = [{n: s[n] for n in parts if n in s} for s in (now, whole.old, whole.new)]
        if states[0] not in states[1:]:
            return Verdict("lost", f"{result} is neither the old one nor the new one")
    found = torn(step, folder)
    return Verdict("torn", found[0]) if found else None


def verdict_of(lab: Lab, step: Step, instant: dict[str, float]) -> Verdict:
    """Kill the step at an instant, look, run it again, compare."""
    whole, folder = undisturbed(lab, step), lab.scratch / "case"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole.before, folder)
    killed = lab.run(step.arguments, folder, leave_children=True, **instant)
    if killed.limit:
        return Verdict(killed.breach)
    broken = after_the_kill(step, whole, folder)
    if broken:
        killed.end_children()
        return broken
    last, tried = resume(lambda arguments: lab.run(arguments, folder), step)
    killed.end_children()
    if last.code:
        return Verdict("stuck", f"{' then '.join(tried) or 'again'}: {last.stderr.strip().splitlines()[-1:]}")
    finish(lab, step, folder)
    kind, detail = snapshot.difference(whole.new, snapshot.snapshot(folder))
    if kind == "litter":  # a process that the killed one left behind kept its work folder until now
        resume(lambda arguments: lab.run(arguments, folder), step)
        finish(lab, step, folder)
        kind, detail = snapshot.difference(whole.new, snapshot.snapshot(folder))
    return Verdict(kind or "same", detail)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    full = metafunc.config.getoption("faults", "short") == "full"
    steps = [step for step in STEPS if full or step.name in SHORT]
    metafunc.parametrize("step", steps, ids=[step.name.replace(" ", "") for step in steps])
    metafunc.parametrize("number", range(INSTANTS if full else 1))


def test_killed_and_resumed(step, number, lab, record):
    whole = undisturbed(lab, step)
    seed = (lab.seed, *step.name.encode())
    instant = list(kill.instants(INSTANTS, whole.changes, whole.wall_s, seed))[number]
    verdict = verdict_of(lab, step, instant)
    if not verdict.holds:
        lab.keep("kill", f"{step.name}-{number}", lab.scratch / "case")
    record(f"kill {step.name}", f"{number} {instant}", verdict)
