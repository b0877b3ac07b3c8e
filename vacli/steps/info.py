"""`va info`: the contents of a store, a run, a recording or a table, and what each lacks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vacli.errors import InputError
from vacli.files.store_folder import is_store
from vacli.output.index_table import INDEX_FILE, index_rows
from vacli.steps._info_record import Info, Missing

__all__ = ["Info", "InfoSettings", "Missing", "run"]

TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl")


@dataclass(frozen=True)
class InfoSettings:
    """The input to describe.

    path: a store, a run, a recording, a picture, a folder of media, a table, or an output folder of
    `va predict`. check: compare all data of a store with their checksums.
    """

    path: Path
    check: bool = False


def run(settings: InfoSettings) -> Info:
    """Describe the input. Raises InputError, StoreError or RunError if it cannot be read."""
    path = settings.path
    if not path.exists():
        raise InputError(f"{path}: no such file or folder", hint="check its name")
    if is_store(path):
        from vacli.steps._store_info import store_info

        return store_info(path, check=settings.check)
    from vacli.steps._run_info import is_run, run_info

    if is_run(path):
        return run_info(path)
    folder = path.parent if path.name == INDEX_FILE else path
    if (rows := index_rows(folder)) is not None:
        from vacli.steps._table_info import output_folder_info

        return output_folder_info(folder, rows)
    if path.is_file() and path.suffix.lower() in TABLE_SUFFIXES:
        from vacli.steps._table_info import table_info

        return table_info(path)
    from vacli.steps._media_info import media_info

    return media_info(path)
