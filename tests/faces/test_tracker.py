from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from synth.faces import frames, scene, somebody_else

from vacli.faces.tracker import SEARCH_LAG_FRAMES, FaceFrame, follow
from vacli.media.video import open_video


def tracks(faces: list[FaceFrame]) -> list[tuple[int, ...]]:
    return [tuple(face.track for face in frame.faces) for frame in faces]


def test_one_moving_person_is_one_person_all_the_time():
    faces = list(follow(frames([scene((90 + 4 * i, 120 + i), zoom=1 - 0.01 * i) for i in range(12)])))
    assert tracks(faces) == [(0,)] * 12
    centres = np.array([frame.faces[0].box.reshape(2, 2).mean(0) for frame in faces])
    assert np.abs(np.diff(centres, axis=0) - [4, 1]).max() < 3
    first = faces[0].faces[0]
    assert first.crop.shape == (224, 224, 3)
    assert first.blur > 0
    assert first.size_px == pytest.approx(120, abs=10)


def test_rows_keep_their_numbers_and_times():
    faces = list(follow(frames([scene(None)] * 3)))
    assert [(f.index, f.time_s, f.faces) for f in faces] == [(0, 0, ()), (1, 0.04, ()), (2, 0.08, ())]


def test_a_short_absence_keeps_the_identity():
    there, gone = scene((160, 120)), scene(None)
    assert (
        tracks(list(follow(frames([there] * 4 + [gone] * 4 + [there] * 4))))
        == [(0,)] * 4 + [()] * 4 + [(0,)] * 4
    )


def test_cuts_between_two_people_give_two_identities_that_return():
    other = somebody_else()
    shots = [scene((160, 120))] * 4 + [255 - scene(None)] + [scene((160, 120), other)] * 4
    shots += [255 - scene(None)] + [scene((200, 110))] * 4
    assert tracks(list(follow(frames(shots)))) == [(0,)] * 4 + [()] + [(1,)] * 4 + [()] + [(0,)] * 4


def test_whoever_comes_in_is_seen_from_the_next_search_on():
    alone = scene((80, 120))
    two = np.hstack([alone[:, :190], scene((250, 120), zoom=0.5)[:, 190:]])
    seen = tracks(list(follow(frames([alone] * 10 + [two] * 30))))
    due = 25 + SEARCH_LAG_FRAMES  # a second is 25 frames
    assert seen == [(0,)] * due + [(0, 1)] * (40 - due)


@pytest.mark.parametrize("rate_hz", [1, 2, 5])
def test_somebody_who_walks_in_is_seen_at_low_frame_rates_too(rate_hz):
    alone = scene((70, 120), zoom=0.7)
    pictures = [alone] * 4
    for step in range(8):
        walking = scene((290 - 14 * step, 120), zoom=0.45)
        pictures.append(np.hstack([alone[:, :140], walking[:, 140:]]))
    seen = tracks(list(follow(frames(pictures, rate_hz))))
    assert sum(track == (0, 1) for track in seen) >= 8 - rate_hz


def test_somebody_who_moved_on_during_a_search_is_looked_for_again():
    alone = scene((70, 120), zoom=0.7)
    here, there = (np.hstack([alone[:, :140], scene((x, 120), zoom=0.4)[:, 140:]]) for x in (190, 280))
    seen = tracks(list(follow(frames([alone] * 20 + [here] * 7 + [there] * 13))))
    due = 25 + SEARCH_LAG_FRAMES
    assert seen == [(0,)] * due + [(0, 1)] * (40 - due)


def test_a_search_of_the_shot_before_puts_nobody_into_the_next():
    before, after = scene((80, 120)), 255 - scene(None)
    seen = tracks(list(follow(frames([before] * 27 + [after] * 13))))
    assert seen == [(0,)] * 27 + [()] * 13


@pytest.mark.parametrize("name", ["01_grid_swiz3n_male.mpg", "21_derived_rotated_grid.mp4"])
def test_recordings_of_one_person_show_one(clips, name):
    with open_video(clips / name) as video:
        assert tracks(list(follow(islice(video, 30)))) == [(0,)] * 30


def test_two_people_side_by_side_keep_their_identities(clips):
    with open_video(clips / "20_derived_two_faces_grid.mp4") as video:
        faces = list(follow(islice(video, 30)))
    assert tracks(faces) == [(0, 1)] * 30
    left = {frame.faces[0].box[0] < 360 for frame in faces}
    assert len(left) == 1  # one of them is on the same side in all frames
