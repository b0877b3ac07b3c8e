"""Episodes and peaks as a TextGrid of Praat, in the long text form.

Source: Praat manual, "TextGrid file formats". An interval tier covers the whole recording without a gap, with
empty labels where there is no episode; a point tier has times and labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from vacli.files.atomic import write_text
from vacli.output.annotations import FaceTier, face_tiers, milliseconds
from vacli.output.formats import TableOptions
from vacli.output.frame_table import FrameTable


class TextGridWriter:
    """An interval tier of quadrants and a point tier of peaks of arousal for each face."""

    def __init__(self, options: TableOptions) -> None:
        pass

    def write(self, tables: Sequence[FrameTable], path: Path) -> None:
        """Write the tiers of one recording."""
        tiers = face_tiers(tables)
        end_ms = max([1, *(tier.end_ms for tier in tiers)])  # Praat refuses an empty time domain
        items = [lines for tier in tiers for lines in (_intervals(tier, end_ms), _points(tier, end_ms))]
        head = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", *_domain(end_ms)]
        head += ["tiers? <exists>", f"size = {len(items)}", "item []:"]
        body = [
            line
            for number, lines in enumerate(items, 1)
            for line in (f"    item [{number}]:", *(f"        {line}" for line in lines))
        ]
        write_text(path, "\n".join([*head, *body]) + "\n")


def _intervals(tier: FaceTier, end_ms: int) -> list[str]:
    intervals = list(_without_gaps(tier, end_ms))
    lines = ['class = "IntervalTier"', f"name = {_quoted(tier.named('quadrant'))}", *_domain(end_ms)]
    lines.append(f"intervals: size = {len(intervals)}")
    for number, (first_ms, last_ms, label) in enumerate(intervals, 1):
        lines += [f"intervals [{number}]:", f"    xmin = {_seconds(first_ms)}"]
        lines += [f"    xmax = {_seconds(last_ms)}", f"    text = {_quoted(label)}"]
    return lines


def _without_gaps(tier: FaceTier, end_ms: int) -> Iterator[tuple[int, int, str]]:
    """Start, end and label of each interval, with an empty label in the gaps."""
    reached_ms = 0
    for interval in tier.intervals:
        if interval.start_ms > reached_ms:
            yield reached_ms, interval.start_ms, ""
        yield interval.start_ms, interval.end_ms, interval.episode.quadrant
        reached_ms = interval.end_ms
    if reached_ms < end_ms:
        yield reached_ms, end_ms, ""


def _points(tier: FaceTier, end_ms: int) -> list[str]:
    lines = ['class = "TextTier"', f"name = {_quoted(tier.named('arousal peaks'))}", *_domain(end_ms)]
    lines.append(f"points: size = {len(tier.peaks)}")
    for number, peak in enumerate(tier.peaks, 1):
        lines += [f"points [{number}]:", f"    number = {_seconds(milliseconds(peak.time_s))}"]
        lines.append(f"    mark = {_quoted(f'{peak.arousal:.2f}')}")
    return lines


def _domain(end_ms: int) -> list[str]:
    return ["xmin = 0", f"xmax = {_seconds(end_ms)}"]


def _seconds(time_ms: int) -> str:
    return f"{time_ms / 1000:.3f}".rstrip("0").rstrip(".")


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
