"""Every writing step on a disk that fills up: one line says where, the old result stays, it goes on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from faults import snapshot
from faults.lab import Lab
from faults.oracle import Verdict
from faults.steps import STEPS, Step, resume
from faults.test_kills import after_the_kill, finish, undisturbed

pytestmark = pytest.mark.faults
SHARES = (0.0, 0.3, 0.6, 0.9)  # of the room that the step needs
SHORT = ("labels",)
ROOM_BYTES = 256 << 20
PAGE = 4096
FULL = re.compile(r"no space|no room|space left|disk (is )?full|out of space", re.IGNORECASE)


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """A tmpfs of ROOM_BYTES in a folder; skips where mounting is not allowed."""
    place.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={ROOM_BYTES}", "tmpfs", str(place)]
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {made.stderr.strip()}")
    try:
        yield place / "case"
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def resize(place: Path, size: int) -> None:
    """Give the disk another size."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(place)], check=True)


def used_bytes(place: Path) -> int:
    """How much of a disk is taken."""
    state = os.statvfs(place)
    return (state.f_blocks - state.f_bfree) * state.f_frsize


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    full = metafunc.config.getoption("faults", "short") == "full"
    steps = [step for step in STEPS if full or step.name in SHORT]
    metafunc.parametrize("step", steps, ids=[step.name.replace(" ", "") for step in steps])
    metafunc.parametrize("share", SHARES if full else SHARES[1:2])


def test_full_disk(step, share, lab, record, tally):
    kind = "full disk"
    if os.name != "posix" or shutil.which("mount") is None or os.geteuid() != 0:
        tally.skip(kind)
        pytest.skip("mounting a small disk needs root")
    with small_disk(lab.scratch / "disk") as folder:
        verdict = verdict_of(lab, step, share, folder)
    record(kind, f"{step.name} with {share:.0%} of the room", verdict)


def verdict_of(lab: Lab, step: Step, share: float, folder: Path) -> Verdict:
    """Run the step with too little room, look, give it room, run it again, compare."""
    whole, place = undisturbed(lab, step), folder.parent
    shutil.copytree(whole.before, folder)
    before = used_bytes(place)
    lab.run(step.arguments, folder)
    needed = used_bytes(place) - before
    shutil.rmtree(folder)
    shutil.copytree(whole.before, folder)
    resize(place, used_bytes(place) + max(int(needed * share) // PAGE, 1) * PAGE)
    got = lab.run(step.arguments, folder)
    if got.breach:
        return Verdict(got.breach)
    if got.code and (said := badly_said(got.stderr, step)):
        return Verdict("unnamed", said)
    broken = after_the_kill(step, whole, folder)
    if broken:
        return broken
    resize(place, ROOM_BYTES)
    last, tried = resume(lambda arguments: lab.run(arguments, folder), step)
    if last.code:
        return Verdict("stuck", f"{' then '.join(tried) or 'again'}: {last.stderr.strip().splitlines()[-1:]}")
    finish(lab, step, folder)
    different, detail = snapshot.difference(whole.new, snapshot.snapshot(folder))
    return Verdict(different or ("refused" if got.code else "same"), detail)


def badly_said(text: str, step: Step) -> str:
    """What is wrong with the message of a full disk: not one line, no place, or not its cause."""
    lines = [line for line in text.splitlines() if FULL.search(line)]
    places = {Path(a).name for a in (*step.arguments[1:], *step.results) if not a.startswith("-")}
    if not lines or "unexpected " in text or "Traceback" in text:
        return text.strip()[-300:] or "nothing was said"
    return "" if any(place in lines[-1] for place in places) else f"no place: {lines[-1]}"
