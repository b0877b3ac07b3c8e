from __future__ import annotations

from dataclasses import replace

import pytest

from vacli.errors import InputError, UsageError
from vacli.faces.selection import TrackSummary, check_face_choice, select_tracks

TRACKS = [TrackSummary(0, 50.0, 300.0), TrackSummary(1, 900.0, 500.0), TrackSummary(2, 700.0, 100.0)]


@pytest.mark.parametrize(
    ("choice", "tracks"),
    [("largest", [1]), ("all", [1, 2, 0]), ("left", [2]), ("right", [1]), ("0", [0])],
)
def test_a_choice_selects_its_tracks(choice, tracks):
    assert select_tracks(TRACKS, choice) == tracks


def test_no_tracks_give_an_empty_selection():
    assert select_tracks([], "largest") == select_tracks([], "left") == select_tracks([], "all") == []


def test_a_missing_track_is_an_error():
    with pytest.raises(InputError, match="face 7 was not found"):
        select_tracks(TRACKS, "7")
    with pytest.raises(InputError, match="needs two faces"):
        select_tracks(TRACKS[:1], "left")


@pytest.mark.parametrize("choice", ["biggest", "-1", "1.5", ""])
def test_an_unknown_choice_is_a_usage_error(choice):
    with pytest.raises(UsageError, match="--face"):
        check_face_choice(choice)


def test_the_speaker_is_the_track_that_speaks_most_or_the_largest():
    speaking = [replace(track, speaking_s=2.0 - track.track_id) for track in TRACKS]
    assert select_tracks(speaking, "speaker") == [0]
    assert select_tracks(TRACKS, "speaker") == select_tracks(TRACKS, "largest")
