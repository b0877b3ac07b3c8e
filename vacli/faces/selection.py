"""Selection of face tracks by the value of `--face`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vacli.errors import InputError, UsageError

DEFAULT_FACE = "largest"
SPEAKER = "speaker"
NO_SPEAKER = "the largest face is used"  # where no face speaks
CHOICES = (DEFAULT_FACE, "all", SPEAKER, "left", "right")


@dataclass(frozen=True)
class TrackSummary:
    """Size and position of a track, and for how long it speaks.

    area_px2: sum of the box areas over all frames; x_px: mean box centre; speaking_s: 0 where it is unknown.
    """

    track_id: int
    area_px2: float
    x_px: float
    speaking_s: float = 0.0


def check_face_choice(choice: str) -> None:
    """Raise UsageError unless `choice` is one of CHOICES or the number of a track."""
    if choice not in CHOICES and not choice.isdecimal():
        hint = "give one of " + ", ".join(CHOICES) + " or a number"
        raise UsageError(f"--face {choice}: there is no such choice", hint=hint)


def select_tracks(tracks: Iterable[TrackSummary], choice: str) -> list[int]:
    """Return the ids of the selected tracks, largest area first; an empty list if there are no tracks.

    largest: the track with the largest area. speaker: the one that speaks most, the largest if none does.
    left, right: one of the two largest tracks, by mean position
    (Aff-Wild2's `_left` and `_right` trials). A number: the track with that id. Raises InputError where there
    is no such track.
    """
    ranked = sorted(tracks, key=lambda track: -track.area_px2)
    if choice.isdecimal():
        return _track_with_id(int(choice), ranked)
    if not ranked or choice == "all":
        return [track.track_id for track in ranked]
    if choice == "largest":
        return [ranked[0].track_id]
    if choice == SPEAKER:
        return [max(ranked, key=lambda track: track.speaking_s).track_id]
    if len(ranked) < 2:
        message = f"--face {choice} needs two faces, and only one is there"
        raise InputError(message, hint="use --face largest")
    pair = sorted(ranked[:2], key=lambda track: track.x_px)
    return [pair[0 if choice == "left" else 1].track_id]


def _track_with_id(track_id: int, tracks: Sequence[TrackSummary]) -> list[int]:
    known = sorted(track.track_id for track in tracks)
    if track_id not in known:
        listed = ", ".join(map(str, known)) or "none"
        raise InputError(f"face {track_id} was not found", hint=f"these faces are there: {listed}")
    return [track_id]
