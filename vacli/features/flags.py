"""Why a stored row is not an ordinary one: bit flags, one uint8 a row, 0 for a plain row."""

from __future__ import annotations

MISSING = 1  # no value: the row is NaN
INTERPOLATED = 2  # filled in from neighbouring frames
PADDED = 4  # the window of the row reaches beyond the recording, or was moved inside it
SILENT = 8  # nothing but digital silence in the window of the row
