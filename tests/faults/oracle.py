"""Judging a run on a damaged input against the run on the undamaged one."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zarr
from faults.harness import CommandOutcome

GOOD = ("same", "said", "refused", "undetectable")
FLAGS = ("face_detected", "audio_present", "modality")
PROGRESS = re.compile(r"\d+ (done|failed|complete already)|/s$|^\S+: complete, skipped|^epoch |^ *\d+  ")


@dataclass(frozen=True)
class Verdict:
    """What came of a case: one of GOOD, or the bound that was broken; `detail` in one line."""

    outcome: str
    detail: str = ""

    @property
    def holds(self) -> bool:
        """Whether no bound was broken."""
        return self.outcome in GOOD


@dataclass(frozen=True, eq=False)
class Made:
    """A run's outcome and what it made of each input: payload to compare, and which rows are flagged."""

    outcome: CommandOutcome
    payload: Mapping[str, object]
    flags: Mapping[str, object]


def verdict_on(
    whole: Made,
    got: Made,
    names: Sequence[str],
    neighbours: Sequence[str] = (),
    complaints: Callable[[], list[str]] = lambda: ["not checked"],
) -> Verdict:
    """Hold a run on a damaged input against the one on the undamaged input.

    names: what a message may call the damaged input. neighbours: inputs that stand beside it, undamaged.
    complaints: what a strict reader finds wrong with the damaged input; asked where nothing was said.
    """
    said = got.outcome.stderr
    if got.outcome.breach:
        return Verdict(got.outcome.breach, f"exit {got.outcome.code}; {_tail(said)}")
    odd = [line for line in said.splitlines() if "unexpected " in line or line.startswith("Traceback")]
    if odd:
        return Verdict("unnamed", odd[0])
    new = _new_lines(whole.outcome, got.outcome)
    named = [line for line in new if any(name in line for name in names)]
    if got.outcome.code not in (0, 1, 2):
        return Verdict("unnamed", f"exit {got.outcome.code}; {_tail(said)}")
    if got.outcome.code and not named:
        return Verdict("unnamed", _tail(said) or "nothing was said")
    for name in neighbours:
        if got.payload.get(name) != whole.payload[name]:
            return Verdict("lost", f"{name} is not as without its neighbour; {_tail(said)}")
    if got.outcome.code:
        return Verdict("refused", named[-1])
    damaged = [key for key in whole.payload if key not in neighbours]
    if all(got.payload.get(key) == whole.payload[key] for key in damaged) and len(got.payload) == len(
        whole.payload
    ):
        return Verdict("same")
    if named:
        return Verdict("said", named[-1])
    if any(got.flags.get(key) != whole.flags[key] for key in damaged if key in whole.flags):
        return Verdict("said", "rows are flagged")
    found = complaints()
    return Verdict("silent", "; ".join(found[:3])) if found else Verdict("undetectable")


def _new_lines(whole: CommandOutcome, got: CommandOutcome) -> list[str]:
    before = set(whole.stderr.splitlines())
    return [line for line in got.stderr.splitlines() if line not in before and not PROGRESS.search(line)]


def _tail(text: str) -> str:
    return " | ".join(text.strip().splitlines()[-2:])[-400:]


def rows_of(outcome: CommandOutcome) -> Made:
    """What `va predict` wrote to standard output, by input."""
    payload: dict[str, object] = {}
    flags: dict[str, object] = {}
    try:
        rows = list(csv.DictReader(io.StringIO(outcome.stdout)))
    except csv.Error:
        rows = []
    for row in rows:
        name = row.pop("input", None) or ""
        payload.setdefault(name, []).append(tuple(row.values()))  # type: ignore[attr-defined]
        flags.setdefault(name, []).append(tuple(row.get(f) for f in FLAGS))  # type: ignore[attr-defined]
    return Made(outcome, payload, flags)


def text_of(outcome: CommandOutcome) -> Made:
    """What a command wrote to standard output, as a whole."""
    return Made(outcome, {"stdout": outcome.stdout}, {})


def entries_of(outcome: CommandOutcome, store: Path, parts: tuple[str, ...] = ("",)) -> Made:
    """What a command put into a store, by entry: arrays whose names begin as `parts`, and their flags."""
    payload: dict[str, object] = {}
    flags: dict[str, object] = {}
    for entry in sorted(p for p in store.iterdir() if p.is_dir()) if store.is_dir() else ():
        arrays = {str(p.parent.relative_to(entry)): p.parent for p in sorted(entry.rglob("zarr.json"))}
        values = {name: _array(path) for name, path in arrays.items() if name.startswith(parts)}
        payload[entry.name] = {name: value for name, value in values.items() if value is not None}
        flags[entry.name] = [
            values[name]
            for name in values
            if name.startswith("flag/") or name in ("face/detected", "face/detected")
        ]
    return Made(outcome, payload, flags)


def _array(path: Path) -> tuple[object, ...] | None:
    """An array's shape, type and bytes; None for a group."""
    try:
        array = zarr.open_array(str(path), mode="r")
    except Exception:
        return None
    values = np.asarray(array[...])
    return values.shape, str(values.dtype), values.tobytes()
