from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from synth.faces import frames, scene, somebody_else

from vacli.faces.face_frame import FaceFrame
from vacli.faces.tracker import SEARCH_LAG_FRAMES, track_faces
from vacli.media.video import open_video


def tracks(faces: list[FaceFrame]) -> list[tuple[int, ...]]:
    return [tuple(face.track_id for face in frame.faces) for frame in faces]


def test_a_moving_person_has_one_track():
    faces = list(track_faces(frames([scene((90 + 4 * i, 120 + i), zoom=1 - 0.01 * i) for i in range(12)])))
    assert tracks(faces) == [(0,)] * 12
    centres = np.array([frame.faces[0].box.reshape(2, 2).mean(0) for frame in faces])
    assert np.abs(np.diff(centres, axis=0) - [4, 1]).max() < 3
    first = faces[0].faces[0]
    assert first.crop.shape == (224, 224, 3)
    assert first.sharpness > 0
    assert first.size_px == pytest.approx(120, abs=10)


def test_frames_keep_their_index_and_time():
    faces = list(track_faces(frames([scene(None)] * 3)))
    assert [(f.index, f.time_s, f.faces) for f in faces] == [(0, 0, ()), (1, 0.04, ()), (2, 0.08, ())]


def test_a_track_survives_a_short_occlusion():
    there, gone = scene((160, 120)), scene(None)
    assert (
        tracks(list(track_faces(frames([there] * 4 + [gone] * 4 + [there] * 4))))
        == [(0,)] * 4 + [()] * 4 + [(0,)] * 4
    )


def test_tracks_survive_cuts_between_two_people():
    other = somebody_else()
    shots = [scene((160, 120))] * 4 + [255 - scene(None)] + [scene((160, 120), other)] * 4
    shots += [255 - scene(None)] + [scene((200, 110))] * 4
    assert tracks(list(track_faces(frames(shots)))) == [(0,)] * 4 + [()] + [(1,)] * 4 + [()] + [(0,)] * 4


def test_a_new_face_is_detected_at_the_next_search():
    single = scene((80, 120))
    two = np.hstack([single[:, :190], scene((250, 120), zoom=0.5)[:, 190:]])
    seen = tracks(list(track_faces(frames([single] * 10 + [two] * 30))))
    due = 25 + SEARCH_LAG_FRAMES  # a second is 25 frames
    assert seen == [(0,)] * due + [(0, 1)] * (40 - due)


@pytest.mark.parametrize("rate_hz", [1, 2, 5])
def test_a_new_face_is_detected_at_low_frame_rates(rate_hz):
    single = scene((70, 120), zoom=0.7)
    pictures = [single] * 4
    for step in range(8):
        walking = scene((290 - 14 * step, 120), zoom=0.45)
        pictures.append(np.hstack([single[:, :140], walking[:, 140:]]))
    seen = tracks(list(track_faces(frames(pictures, rate_hz))))
    assert sum(track == (0, 1) for track in seen) >= 8 - rate_hz


def test_a_face_that_moves_during_a_search_is_searched_again():
    single = scene((70, 120), zoom=0.7)
    here, there = (np.hstack([single[:, :140], scene((x, 120), zoom=0.4)[:, 140:]]) for x in (190, 280))
    seen = tracks(list(track_faces(frames([single] * 20 + [here] * 7 + [there] * 13))))
    due = 25 + SEARCH_LAG_FRAMES
    assert seen == [(0,)] * due + [(0, 1)] * (40 - due)


def test_a_search_of_the_previous_shot_is_dropped():
    before, after = scene((80, 120)), 255 - scene(None)
    seen = tracks(list(track_faces(frames([before] * 27 + [after] * 13))))
    assert seen == [(0,)] * 27 + [()] * 13


@pytest.mark.parametrize("name", ["01_grid_swiz3n_male.mpg", "21_derived_rotated_grid.mp4"])
def test_recordings_of_one_person_have_one_track(clips, name):
    with open_video(clips / name) as video:
        assert tracks(list(track_faces(islice(video, 30)))) == [(0,)] * 30


def test_two_people_side_by_side_keep_their_tracks(clips):
    with open_video(clips / "20_derived_two_faces_grid.mp4") as video:
        faces = list(track_faces(islice(video, 30)))
    assert tracks(faces) == [(0, 1)] * 30
    left = {frame.faces[0].box[0] < 360 for frame in faces}
    assert len(left) == 1  # one of them is on the same side in all frames


@pytest.mark.parametrize("rate_hz", [3, 25, 60])
def test_two_people_who_change_sides_keep_their_tracks(rate_hz):
    anna, bert = scene((80, 120))[:, :160], scene((80, 120), somebody_else())[:, :160]
    before, after = np.hstack([anna, bert]), np.hstack([bert, anna])
    faces = list(track_faces(frames([before] * 5 + [after] * 5 + [before] * 2, rate_hz)))
    assert tracks(faces) == [(0, 1)] * 12
    at_left = np.array([frame.faces[0].box[0] < 160 for frame in faces])
    assert (at_left == at_left[0]).tolist() == [True] * 5 + [False] * 5 + [True] * 2
