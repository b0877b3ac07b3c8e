"""`va info` of a table of `va predict`."""

from __future__ import annotations

from pathlib import Path

from vacli.output.columns import COLUMNS
from vacli.output.table_reader import read_table_file
from vacli.steps._info_record import Info


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
