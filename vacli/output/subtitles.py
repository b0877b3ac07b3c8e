"""Episodes of quadrants as WebVTT and SubRip subtitles: one cue an episode, with the mean values.

Sources: W3C WebVTT (https://www.w3.org/TR/webvtt1/), the SubRip text format.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from vacli import __version__
from vacli.files.atomic import write_text
from vacli.output.annotations import Interval, face_tiers
from vacli.output.formats import TableOptions
from vacli.output.frame_table import FrameTable


class VttWriter:
    """WebVTT with comments that name the recording and its provenance."""

    def __init__(self, options: TableOptions) -> None:
        self._provenance = options.provenance

    def write(self, tables: Sequence[FrameTable], path: Path) -> None:
        """Write the episodes of one recording."""
        names = " ".join(dict.fromkeys(_one_line(table.name) for table in tables))
        blocks = ["WEBVTT", f"NOTE va {__version__} {names}"]
        if self._provenance:
            blocks.append(f"NOTE va_provenance {_one_line(self._provenance)}")
        blocks += [f"{_times(interval, '.')}\n{_escaped(text)}" for interval, text in _cues(tables)]
        write_text(path, "\n\n".join(blocks) + "\n")


class SrtWriter:
    """SubRip; the format has no comments, so the file does not name the recording."""

    def __init__(self, options: TableOptions) -> None:
        pass

    def write(self, tables: Sequence[FrameTable], path: Path) -> None:
        """Write the episodes of one recording."""
        cues = enumerate(_cues(tables), 1)
        write_text(path, "".join(f"{n}\n{_times(interval, ',')}\n{text}\n\n" for n, (interval, text) in cues))


def _cues(tables: Sequence[FrameTable]) -> Iterator[tuple[Interval, str]]:
    """Intervals by start time, each with its text."""
    cues = [(interval, tier.label) for tier in face_tiers(tables) for interval in tier.intervals]
    for interval, label in sorted(cues, key=lambda cue: cue[0].start_ms):
        text = interval.episode.description
        yield interval, f"{label}: {text}" if label else text


def _times(interval: Interval, mark: str) -> str:
    return f"{_clock(interval.start_ms, mark)} --> {_clock(interval.end_ms, mark)}"


def _clock(time_ms: int, mark: str) -> str:
    seconds, ms = divmod(time_ms, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{mark}{ms:03d}"


def _one_line(name: str) -> str:
    """A name as UTF-8 without line breaks, and without `-->`, which a comment must not contain."""
    text = name.encode("utf-8", "backslashreplace").decode()
    return " ".join(text.split()).replace("\0", "\ufffd").replace("-->", "-- >")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
