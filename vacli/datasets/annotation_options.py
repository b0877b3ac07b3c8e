"""How files of annotations are read: their columns and scale, and the raters' delay and combination."""

from __future__ import annotations

from dataclasses import dataclass, field

from vacli.datasets.label_tables import TableFormat
from vacli.datasets.raters import METHODS, Method
from vacli.errors import UsageError, nearest


@dataclass(frozen=True, kw_only=True)
class AnnotationOptions:
    """The reading of annotation files.

    delay_s: the labels are moved earlier by this time, the reaction delay of the raters. raters: how the
    labels of several raters are combined. rater_pattern: an expression for the rater in a file's path.
    """

    table_format: TableFormat = field(default=TableFormat())
    delay_s: float = 0.0
    raters: Method = "mean"
    rater_pattern: str | None = None

    def check(self) -> None:
        """Raise UsageError for values that no table can have."""
        low, high = self.table_format.value_range
        if not low < high:
            raise UsageError(
                f"--range {low:g} {high:g}: the lowest value comes first", hint="such as --range 1 7"
            )
        if self.raters not in METHODS:
            raise UsageError(f"--raters {self.raters} is unknown", hint=nearest(self.raters, METHODS))
        self.table_format.columns.check()
