"""`--part I/N`: the inputs of a command are shared out to N runs, which are independent of each other.

The part of an input depends on the name of its recording and on N only: not on the other inputs, their order,
their folder or the machine. So a part may run again, in any order, and inputs may be added. Each part has its
share of a large number of inputs, up to chance (n of them, plus or minus the square root of n).

A part that has ended leaves a record in the store or folder, from which `va finalize` finds what is missing.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from vacli.errors import StoreError, UsageError
from vacli.files.atomic import write_text
from vacli.files.object_path import ObjectPath
from vacli.steps._batch import Batch

if TYPE_CHECKING:
    from vacli.store import VideoView

Item = TypeVar("Item")

FOLDER = ".parts"  # of the records, in the store or the folder of tables


@dataclass(frozen=True)
class Part:
    """Part `number`, from 1, of `count`."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Part:
        """Read I/N. Raises UsageError."""
        match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
        if not match:
            raise UsageError(f"--part {text} is not I/N", hint="write 1/7 for the first of seven parts")
        number, count = int(match[1]), int(match[2])
        if not 1 <= number <= count:
            raise UsageError(f"--part {text}: the number must be from 1 to {count}")
        return cls(number, count)

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def has(self, name: str) -> bool:
        """Whether a recording of this file name belongs to the part."""
        return part_number(name, self.count) == self.number


def part_number(name: str, count: int) -> int:
    """The part, from 1 to `count`, of a recording: from the SHA-256 of its file name in Unicode's NFC."""
    text = unicodedata.normalize("NFC", name).encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") % count + 1


def recording_name(view: VideoView) -> str:
    """The file name of the recording of a stored video; its id if its attributes are damaged."""
    try:
        return str(view.source.get("name") or view.id)
    except StoreError:
        return view.id


def select(items: Iterable[Item], part: Part | None, name: Callable[[Item], str]) -> list[Item]:
    """The items of a part; all of them without one."""
    return [item for item in items if part is None or part.has(name(item))]


@dataclass(frozen=True, kw_only=True)
class PartRecord:
    """A part that has ended.

    command: with what tells its runs apart, such as "extract-visual compact". inputs: name -> output file, ""
    in a store. failed: name -> reason. total, digest: of the inputs of all parts.
    """

    command: str
    number: int
    count: int
    inputs: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    total: int = 0
    digest: str = ""

    def write(self, out: Path) -> None:
        """Write the record. Raises OutputError."""
        file, text = self._file(out), json.dumps(asdict(self), ensure_ascii=True)
        if isinstance(file, ObjectPath):
            file.bucket.write(file.key, text.encode())
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, text)

    def remove(self, out: Path) -> None:
        """Remove the record of an earlier run, because the part begins again."""
        file = self._file(out)
        if isinstance(file, ObjectPath):
            file.bucket.delete([file.key])
        else:
            file.unlink(missing_ok=True)

    def _file(self, out: Path) -> Path:
        safe = re.sub(r"[^A-Za-z0-9.-]+", "_", self.command)[:80]
        digest = hashlib.sha256(self.command.encode()).hexdigest()[:8]
        return out / FOLDER / f"{safe}-{digest}-{self.number}-of-{self.count}.json"


def read_records(out: Path) -> Iterator[PartRecord]:
    """The records of a store or folder; damaged ones are left out, so that their parts count as missing."""
    for file in sorted((out / FOLDER).glob("*.json")):
        with suppress(OSError, ValueError, TypeError):
            yield PartRecord(**json.loads(file.read_text(encoding="utf-8")))


class PartRun:
    """The record of the part of a run, if it is one of a part."""

    def __init__(self, command: str, part: Part | None, out: Path) -> None:
        self._command, self._part, self._out = command, part, out
        if part is not None:
            PartRecord(command=command, number=part.number, count=part.count).remove(out)

    def end(self, batch: Batch, names: Iterable[str], outputs: Mapping[str, str]) -> None:
        """Write the record. names: of the inputs of all parts. outputs: name -> file, of this part."""
        if self._part is None:
            return
        every = sorted(names)
        PartRecord(
            command=self._command,
            number=self._part.number,
            count=self._part.count,
            inputs=outputs,
            failed={failure.name: failure.reason for failure in batch.failed},
            total=len(every),
            digest=hashlib.sha256("\0".join(every).encode("utf-8", "surrogateescape")).hexdigest(),
        ).write(self._out)
