"""`va info` of a table or an output folder of `va predict`."""

from __future__ import annotations

import shlex
from pathlib import Path

from vacli.output.columns import COLUMNS
from vacli.output.index_table import COMPLETE
from vacli.output.table_reader import read_table_file
from vacli.steps._info_record import Info, Missing


def table_info(path: Path) -> Info:
    """Describe a table. Raises InputError if it is not one of `va predict`."""
    table = read_table_file(path)
    recordings = [
        {
            "recording": one.name,
            "rows": len(one),
            "first_s": round(float(one.columns["time_s"][0]), 6),
            "last_s": round(float(one.columns["time_s"][-1]), 6),
            "valid_fraction": round(float(one.valid.mean()), 4),
        }
        for one in table.tables
    ]
    absent = [name for name in COLUMNS if name not in table.columns]
    return Info(
        kind="table",
        path=path,
        values={
            "recordings": len({one.name for one in table.tables}),
            "faces": len(table.tables),
            "rows": sum(map(len, table.tables)),
            "columns": list(table.columns),
            "other_columns": list(table.ignored),
            "absent_columns": absent,
            "size_bytes": path.stat().st_size,
        },
        tables={"recordings_and_faces": recordings},
    )


def output_folder_info(folder: Path, rows: list[dict[str, str]]) -> Info:
    """Describe an output folder by the rows of its index."""
    complete = [row for row in rows if row["status"] == COMPLETE]
    failed = [row for row in rows if row["status"] != COMPLETE]
    faces = [
        {
            "file": row["file"],
            "face": _number(row["face_id"]),
            "frames": _number(row["frames"]),
            "duration_s": _number(row["duration_s"]),
            "valid_fraction": _number(row["valid_fraction"]),
        }
        for row in complete
    ]
    command = f"va predict INPUTS -o {shlex.quote(str(folder))}/"
    return Info(
        kind="output folder",
        path=folder,
        values={
            "tables": len({row["file"] for row in complete}),
            "failed_inputs": len(failed),
            "size_bytes": sum(file.stat().st_size for file in folder.iterdir() if file.is_file()),
        },
        tables={"recordings_and_faces": faces},
        missing=[Missing(f"the tables of {len(failed)} inputs", command)] if failed else (),
        problems=[f"{row['input']}: {row['cause']}" for row in failed],
    )


def _number(text: str) -> float | None:
    """A number of the index, None for an empty cell."""
    number = float(text.replace(",", ".")) if text else None
    return int(number) if number is not None and number.is_integer() else number
