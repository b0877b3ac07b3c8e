"""Frame tables as Apache Parquet, with the meaning of each column in the field's metadata."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vacli import __version__
from vacli.files.atomic import staged_file
from vacli.output.columns import COLUMNS
from vacli.output.formats import TableOptions
from vacli.output.frame_table import FLAGS, INTEGERS, TEXTS, FrameTable, decimals
from vacli.packages import needed_by


class ParquetWriter:
    """Integers as int64, flags as bool, numbers as float64 with the decimals of the CSV, missing values null.

    Bytes of a name that are not UTF-8 are written as \\udcXX.
    """

    def __init__(self, options: TableOptions) -> None:
        self._columns = options.columns or tuple(COLUMNS)
        self._about = {"creator": f"va {__version__}"}
        if options.provenance:
            self._about["va_provenance"] = options.provenance

    def write(self, tables: Sequence[FrameTable], path: Path) -> None:
        """Write one file with a row group for each table."""
        with needed_by(".parquet output"):
            import pyarrow as pa
            from pyarrow import parquet
        schema = pa.schema([_field(pa, name) for name in self._columns], self._about)
        with staged_file(path) as part, parquet.ParquetWriter(part, schema) as writer:
            for table in tables:
                arrays = [_array(pa, table, field) for field in schema]
                writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _field(pa: Any, name: str) -> Any:
    if name in TEXTS:
        kind = pa.dictionary(pa.int32(), pa.string())
    else:
        kind = pa.int64() if name in INTEGERS else pa.bool_() if name in FLAGS else pa.float64()
    return pa.field(name, kind, metadata={"description": COLUMNS[name]})


def _array(pa: Any, table: FrameTable, field: Any) -> Any:
    if field.name == "input":
        name = table.name.encode("utf-8", "backslashreplace").decode()
        return pa.array([name] * len(table), field.type)
    values = table.columns[field.name]
    if field.name in TEXTS:
        return pa.array(values.tolist(), field.type)
    if field.name in FLAGS:
        return pa.array(values.astype(bool), field.type)
    if field.name in INTEGERS:
        return pa.array(values.astype(np.int64), field.type, mask=values < 0)
    values = values.astype(np.float64)
    return pa.array(np.round(values, decimals(field.name)), field.type, mask=np.isnan(values))
