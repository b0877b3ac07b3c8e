"""Bit flags of stored rows, one uint8 each; 0 is an ordinary row."""

from __future__ import annotations

MISSING = 1  # no value: the row is NaN
INTERPOLATED = 2  # filled in from neighbouring frames
PADDED = 4  # the row's window extends beyond the recording, or was moved inside it
SILENT = 8  # the row's window holds only digital silence
ENCODER_TRAINING = 16  # the row's encoder was fine-tuned on this frame
