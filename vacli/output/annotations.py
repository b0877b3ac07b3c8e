"""Episodes and peaks as tiers with times in milliseconds, for annotation tools and subtitles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vacli.output.episodes import Episode, Peak, arousal_peaks, quadrant_episodes
from vacli.output.formats import face_labels
from vacli.output.frame_durations import frame_edges
from vacli.output.frame_table import FrameTable


@dataclass(frozen=True)
class Interval:
    """An episode with its start and end in milliseconds; it lasts 1 ms or more."""

    start_ms: int
    end_ms: int
    episode: Episode


@dataclass(frozen=True)
class FaceTier:
    """Episodes and peaks of one face; `label` is empty for the only face of a recording, else "face 2".

    table: the rows of the face. end_ms: the end of its last frame.
    """

    label: str
    intervals: tuple[Interval, ...]
    peaks: tuple[Peak, ...]
    table: FrameTable
    end_ms: int

    def named(self, name: str) -> str:
        """The name of a tier of this face."""
        return f"{name} {self.label}" if self.label else name


def face_tiers(tables: Sequence[FrameTable]) -> list[FaceTier]:
    """A tier for each face of one recording, in the order of the tables."""
    labels = face_labels([table.face_id for table in tables])
    return [_tier(table, label) for table, label in zip(tables, labels, strict=True)]


def milliseconds(time_s: float) -> int:
    """A time in whole milliseconds; times before 0 count as 0."""
    return max(0, round(time_s * 1000))


def _tier(table: FrameTable, label: str) -> FaceTier:
    intervals = []
    for episode in quadrant_episodes(table):
        start_ms, end_ms = milliseconds(episode.start_s), milliseconds(episode.end_s)
        if end_ms > start_ms:
            intervals.append(Interval(start_ms, end_ms, episode))
    end_ms = milliseconds(frame_edges(table.columns["time_s"])[-1])
    return FaceTier(label, tuple(intervals), tuple(arousal_peaks(table)), table, end_ms)
