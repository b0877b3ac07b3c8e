"""What all fault tests share: servers, seeds, inputs made once, and the tally of what came out."""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from zlib import crc32

import numpy as np
from faults.harness import CommandOutcome, Server
from faults.oracle import Made, Verdict

NEED_TORCH = ("bundled-model", "calibrate", "evaluate", "finetune-mae", "submit", "train")


@dataclass
class Tally:
    """Counts of verdicts a kind of fault."""

    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    broken: list[str] = field(default_factory=list)

    def add(self, kind: str, case: object, verdict: Verdict, again: str = "") -> None:
        """Count a verdict, and remember it in words, and how to run it `again`, where a bound was broken."""
        self.counts[kind][verdict.outcome] += 1
        if not verdict.holds:
            self.broken += [f"{kind} {case}: {verdict.outcome}: {verdict.detail}", f"    {again}"]

    def skip(self, kind: str) -> None:
        """Count a case that could not be tried here."""
        self.counts[kind]["skipped"] += 1

    def table(self) -> list[str]:
        """The counts as lines of text; the outcomes that hold each have a column."""
        titles = ("tried", "failed", "same", "said", "refused", "undetectable", "skipped")
        lines = [f"{'kind':<18}" + "".join(f"{title:>14}" for title in titles)]
        for kind, counts in sorted(self.counts.items()):
            row = dict(counts)
            row["tried"] = sum(counts.values()) - counts["skipped"]
            row["failed"] = row["tried"] - sum(counts[t] for t in titles[2:6])
            lines.append(f"{kind:<18}" + "".join(f"{row.get(title, 0):>14}" for title in titles))
        return lines


class Lab:
    """Servers and inputs of one session. seed: of all cases. save: where inputs that fail are kept."""

    def __init__(self, scratch: Path, seed: int, save: Path | None) -> None:
        self.scratch, self.seed, self.save = scratch, seed, save
        self._whole: dict[object, Made] = {}
        self.once: Callable[[Callable[[Lab], object]], object] = cache(lambda make: make(self))

    def run(self, arguments: Sequence[str | Path], folder: Path, **options: object) -> CommandOutcome:
        """Run `va` with arguments in a folder, in a fork of a process that has imported what it needs."""
        heavy = str(arguments[0]) in NEED_TORCH or any("vit" in str(a) for a in arguments)
        return (self.torch if heavy else self.light).run(arguments, folder, **options)

    @cached_property
    def light(self) -> Server:
        """For commands that need no torch."""
        return Server(self.scratch)

    @cached_property
    def torch(self) -> Server:
        """For commands that train or load a run."""
        return Server(self.scratch, torch=True)

    @cached_property
    def second(self) -> Server:
        """A second light one, for two commands at once."""
        (self.scratch / "second").mkdir()
        return Server(self.scratch / "second")

    def whole(self, use: object, run: Callable[[], Made]) -> Made:
        """What a command makes of undamaged inputs, run once a session; it must go well."""
        if use not in self._whole:
            made = run()
            assert made.outcome.code == 0, made.outcome.stderr
            self._whole[use] = made
        return self._whole[use]

    def rng(self, kind: str, case: int) -> np.random.Generator:
        """The random numbers of one case: the same whichever cases run beside it."""
        return np.random.default_rng([self.seed, crc32(kind.encode()), case])

    def folder(self, name: str) -> Path:
        """An empty folder of that name."""
        path = self.scratch / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        return path

    def keep(self, kind: str, case: object, path: Path) -> None:
        """Copy a failing input to where the user asked for it."""
        if self.save is None or not path.exists():
            return
        target = self.save / f"{kind}-{case}-{path.name}"
        self.save.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        (shutil.copytree if path.is_dir() else shutil.copyfile)(path, target)

    def close(self) -> None:
        """End the servers that were started."""
        for name in ("light", "torch", "second"):
            if name in vars(self):
                vars(self)[name].close()
