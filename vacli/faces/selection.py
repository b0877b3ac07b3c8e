"""Whose face is wanted, out of several people in one recording."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vacli.errors import InputError, UsageError

WORDS = ("largest", "all", "left", "right")


@dataclass(frozen=True)
class Presence:
    """How much of a recording one person fills. area_px2: sum of the box areas over all frames; x_px: mean
    of the box centres."""

    track: int
    area_px2: float
    x_px: float


def check_choice(choice: str) -> None:
    """Raise UsageError unless `choice` is one of WORDS or a track's number."""
    if choice not in WORDS and not choice.isdecimal():
        raise UsageError(
            f"--face {choice}: no such choice", hint="one of " + ", ".join(WORDS) + " or a number"
        )


def chosen(people: Iterable[Presence], choice: str) -> list[int]:
    """Tracks of those who are wanted, the most present first; none where nobody was seen.

    largest: who fills most of the picture over time, area summed over frames. left, right: of the two who
    do, by where they are on average (Aff-Wild2's `_left` and `_right` trials). A number: that track. Raises
    InputError where such a person was not seen.
    """
    ranked = sorted(people, key=lambda person: -person.area_px2)
    if choice.isdecimal():
        return _only(int(choice), ranked)
    if not ranked or choice == "all":
        return [person.track for person in ranked]
    if choice == "largest":
        return [ranked[0].track]
    if len(ranked) < 2:
        raise InputError(f"one person was seen, none is further {choice}", hint="use --face largest")
    pair = sorted(ranked[:2], key=lambda person: person.x_px)
    return [pair[0 if choice == "left" else 1].track]


def _only(track: int, people: Sequence[Presence]) -> list[int]:
    known = sorted(person.track for person in people)
    if track not in known:
        seen = ", ".join(map(str, known)) or "nobody"
        raise InputError(f"person {track} was not seen", hint=f"seen: {seen}")
    return [track]
