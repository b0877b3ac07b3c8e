"""The faces of a table of `va predict` that `--face` selects."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vacli.clock import duration_s
from vacli.errors import InputError, UsageError
from vacli.faces.selection import NO_SPEAKER, SPEAKER, TrackSummary, select_tracks
from vacli.output.frame_table import FrameTable
from vacli.output.provenance import origins
from vacli.progress import Progress

BOX = ("face_w", "face_h")  # the area; the position needs `face_x` too
ONES = np.ones(1)  # for tables without the column `speaking`
PREDICT_AGAIN = "predict again with all columns and --face all, or name the recording"


def check_choice(path: Path, tables: Sequence[FrameTable], choice: str, progress: Progress) -> None:
    """Raise UsageError if the tables of a recording lack a column that `choice` selects by.

    For the choice of the speaker, a recording in which no face speaks is reported.
    """
    if choice == "all" or (len(tables) == 1 and choice == "largest"):
        return
    by_choice = {"left": (*BOX, "face_x"), "right": (*BOX, "face_x"), SPEAKER: (*BOX, "speaking")}
    needed = ["face_id"]
    if len(tables) > 1 and not choice.isdecimal():
        needed += by_choice.get(choice, BOX)
    absent = [name for name in needed if name not in tables[0].columns]
    if absent:
        raise UsageError(f"--face {choice}: {path} has no column {', '.join(absent)}", hint=PREDICT_AGAIN)
    if choice == SPEAKER and not any((table.columns.get("speaking", ONES) == 1).any() for table in tables):
        progress.warn(f"{path}: {tables[0].name}: no face speaks; {NO_SPEAKER}")


def warn_of_earlier_choice(path: Path, choice: str, progress: Progress) -> None:
    """Warn if the table was made with another `--face`, so that it lacks faces of its recordings."""
    settings = [made.get("settings") for made in origins(path)]
    chosen = [one["face"] for one in settings if isinstance(one, dict) and one.get("face")]
    for earlier in dict.fromkeys(map(str, chosen)).keys() - {"all", choice}:
        progress.warn(
            f"{path} was made with --face {earlier}: --face {choice} selects only among the faces in it; "
            "predict again with --face all to select among all faces"
        )


def select_faces(tables: Sequence[FrameTable], choice: str) -> list[FrameTable]:
    """The tables of the faces of one recording that `choice` selects, as `faces.selection` does.

    tables: one for each face, with the columns of `check_choice`. A recording without a face has one table,
    which every choice but a number selects. Raises InputError where there is no such face.
    """
    by_id = {table.face_id: table for table in tables if table.face_id is not None}
    if choice == "all" or (len(tables) == 1 and choice == "largest"):
        return list(tables)
    if not by_id and not choice.isdecimal():
        return list(tables)
    summaries = [_track_summary(face_id, table) for face_id, table in by_id.items()]
    try:
        return [by_id[track] for track in select_tracks(summaries, choice)]
    except InputError as error:
        raise InputError(f"{tables[0].name}: {error}", hint=error.hint) from None


def _track_summary(face_id: int, table: FrameTable) -> TrackSummary:
    left, width, height = (table.columns.get(name, np.full(len(table), np.nan)) for name in ("face_x", *BOX))
    centres = (left + width / 2)[np.isfinite(left + width)]
    x_px = float(centres.mean()) if len(centres) else 0.0
    speaking = table.columns.get("speaking", np.zeros(0)) == 1
    speaking_s = float(speaking.mean()) * duration_s(table.columns["time_s"]) if len(speaking) else 0.0
    return TrackSummary(face_id, float(np.nansum(width * height)), x_px, speaking_s)
