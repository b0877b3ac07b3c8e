"""The files of one recording in the output folder of `va predict`: complete, absent or refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vacli.errors import InputError
from vacli.output import provenance
from vacli.output.formats import face_labels, options_for, write_file, written_files
from vacli.output.frame_table import FrameTable
from vacli.output.quality_filter import QualityFilter
from vacli.pipeline.live import emit_table
from vacli.runtime.executor import Channel
from vacli.steps._batch import DONE, SKIPPED
from vacli.steps._prediction_provenance import (
    conditions,
    in_training,
    input_record,
    is_unchanged,
    trained_on,
)
from vacli.steps._recordings import Recording

if TYPE_CHECKING:
    from vacli.steps._recordings import Origin
    from vacli.steps.predict_folder import PredictFolderSettings

OF_ANOTHER_FILE = "from another file"
REPLACE = "use --force to replace it"  # the hint of a refusal


@dataclass(frozen=True, eq=False)
class Target:
    """A recording and its table."""

    recording: Recording
    origin: Origin
    table: Path


class FolderWriter:
    """Predicts and writes the files of one recording after another, or of several at the same time.

    The channel gets the `QualityFilter` of each recording.
    """

    def __init__(self, settings: PredictFolderSettings, channel: Channel) -> None:
        self._settings, self._channel = settings, channel
        self._conditions = conditions(settings.prediction, settings.options)
        self._trained_on = trained_on(settings.prediction)
        self._hashing = ThreadPoolExecutor(1)

    def complete(self, target: Target) -> str:
        """Predict a recording and write its files, unless they are complete; DONE or SKIPPED.

        Raises InputError if a file exists that was made otherwise.
        """
        if self.is_complete(target):
            return SKIPPED
        record = self._hashing.submit(input_record, target.origin)
        tables = self._predict(target.recording)
        made = provenance.read_sidecar(target.table)
        is_same = made is not None and self._is_same(made, target)
        if not self._settings.force:  # now the files of each face are known
            self._check_existing(target, made, is_same, face_labels([table.face_id for table in tables]))
        files = made["files"] if is_same and made is not None else {}
        inputs = [record.result()]
        known = in_training(self._trained_on, inputs)
        self._write(target, tables, {**self._conditions, "inputs": inputs, **known, "files": files})
        return DONE

    def is_complete(self, target: Target) -> bool:
        """Whether all files of a recording are there as this command writes them.

        Raises InputError if a file exists that was made otherwise and is not to be replaced.
        """
        made = provenance.read_sidecar(target.table)
        is_same = made is not None and self._is_same(made, target)
        if is_same and made is not None and self._is_whole(made, target):
            return True
        if not self._settings.force:
            self._check_existing(target, made, is_same, _labels(made))
        return False

    def _files(self, target: Target, labels: list[str]) -> dict[str, Path]:
        """Name -> path of all files of a recording but the provenance. labels: of its faces."""
        tables = [target.table.with_name(f"{target.table.stem}{end}") for end in self._settings.endings]
        return {file.name: file for table in tables for file in written_files(table, labels)}

    def _is_same(self, made: dict[str, Any], target: Target) -> bool:
        """Whether files were made from the same input under the same conditions."""
        if "summaries" not in made or len(made["inputs"]) != 1:  # the table of another command
            return False
        same_conditions = all(made.get(name) == value for name, value in self._conditions.items())
        return same_conditions and is_unchanged(made["inputs"][0], target.origin)

    def _is_whole(self, made: dict[str, Any], target: Target) -> bool:
        """Whether all files are there as they were written."""
        files = self._files(target, _labels(made))
        now = provenance.digests_of(files)
        return len(now) == len(files) and all(made["files"].get(name) == now[name] for name in now)

    def _check_existing(
        self, target: Target, made: dict[str, Any] | None, is_same: bool, labels: list[str]
    ) -> None:
        """Raise InputError for an existing file that this command has neither written nor begun to write."""
        known = {} if made is None else made["files"]
        for name, digest in provenance.digests_of(self._files(target, labels)).items():
            if name not in known or made is None:
                problem = "exists already"
            elif not is_same:
                problem = f"was made {self._difference(made)}"
            elif known[name] not in (None, digest):
                problem = "was changed since it was made"
            else:
                continue
            raise InputError(f"{target.table.with_name(name)} {problem}", hint=REPLACE)

    def _difference(self, made: dict[str, Any]) -> str:
        """What differs between the conditions of existing files and the present ones."""
        if made.get("va") != self._conditions["va"]:
            return f"by va {made.get('va')}"
        if made.get("model") != self._conditions["model"]:
            return "with another model"
        old = {**(made.get("settings") or {}), **(made.get("output") or {})}
        new = {**self._conditions["settings"], **self._conditions["output"]}
        differing = [name for name, value in new.items() if old.get(name) != value]
        if differing:
            return f"with other settings ({', '.join(differing)})"
        return OF_ANOTHER_FILE

    def _predict(self, recording: Recording) -> list[FrameTable]:
        tables: list[FrameTable] = []
        for table in recording.load():
            emit_table(table, tables.append, self._channel.progress)
        if not self._settings.prediction.fill:
            tables = [table.without_unsupported() for table in tables]
        filtered = QualityFilter(self._settings.prediction.min_quality)
        tables = [filtered(table) for table in tables]
        self._channel.emit(filtered)
        return tables

    def _write(self, target: Target, tables: list[FrameTable], made: dict[str, Any]) -> None:
        """Write the files between two states of the provenance: it first names them without digests.

        Without this, files of an interrupted run would look like those of other programs.
        """
        files = self._files(target, face_labels([table.face_id for table in tables]))
        made |= {"summaries": [_without_path(table.summary()) for table in tables]}
        claimed = {**made["files"], **dict.fromkeys(files)}
        provenance.write_sidecar(target.table, {**made, "files": claimed})
        line = provenance.as_line({name: made[name] for name in (*self._conditions, "inputs")})
        for ending in self._settings.endings:
            path = target.table.with_name(f"{target.table.stem}{ending}")
            write_file(tables, path, replace(options_for(ending, self._settings.options), provenance=line))
        written = {**made["files"], **provenance.digests_of(files)}
        provenance.write_sidecar(target.table, {**made, "files": written})


def is_refusal(reason: str) -> bool:
    """Whether an input failed because a file of it exists, which was therefore left as it is."""
    return reason.endswith(f"; {REPLACE}")


def is_of_another_file(reason: str) -> bool:
    """Whether an input failed because its table was made from a file that is no longer there."""
    return is_refusal(reason) and OF_ANOTHER_FILE in reason


def _labels(made: dict[str, Any] | None) -> list[str]:
    """The labels of the faces of a recording, as its provenance has them."""
    faces = [summary.get("face_id", "") for summary in (made or {}).get("summaries") or [{}]]
    return face_labels([int(face) if face.isdecimal() else None for face in faces])


def _without_path(summary: dict[str, str | float]) -> dict[str, str | float]:
    """A summary without the path of the input, which may be that of this machine."""
    return {name: value for name, value in summary.items() if name != "input"}
