from __future__ import annotations

import numpy as np
import pytest
from synth.faces import frames, scene, somebody_else

from vacli.faces import tracker
from vacli.faces.face_frame import FaceFrame, FaceSettings
from vacli.faces.live_tracker import LiveFaceTracker
from vacli.faces.tracker import track_faces
from vacli.media.reader import Frame

MOVING = [scene((90 + 4 * i, 120 + i), zoom=1 - 0.01 * i) for i in range(14)]
OTHER = [scene((160, 120), somebody_else())] * 3
GONE = [scene(None)] * 3
SCENES = {
    "moving": MOVING * 3,
    "lost": MOVING[:4] + GONE + MOVING[4:8],
    "cut": MOVING[:5] + [255 - scene(None)] + OTHER + [255 - scene(None)] + MOVING[:5],
    "two": [np.hstack([p[:, :160], scene((250, 120), zoom=0.5)[:, 160:]]) for p in MOVING[:4]] * 9,
}
SETTINGS = FaceSettings(crop_every=2, lower_face_every=1)


def live(pictures: list[Frame], settings: FaceSettings = SETTINGS, **options: int) -> list[FaceFrame]:
    live_tracker = LiveFaceTracker(settings, **options)
    found = [live_tracker.add(frame) for frame in pictures]
    live_tracker.close()
    return found


@pytest.mark.parametrize("pictures", SCENES.values(), ids=SCENES)
def test_faces_equal_those_of_a_file(pictures):
    ahead, now = list(track_faces(frames(pictures), SETTINGS)), live(frames(pictures))
    assert [f.index for f in now] == [f.index for f in ahead]
    for one, other in zip(now, ahead, strict=True):
        assert [face.track_id for face in one.faces] == [face.track_id for face in other.faces]
        for face, wanted in zip(one.faces, other.faces, strict=True):
            np.testing.assert_array_equal(face.box, wanted.box)
            np.testing.assert_array_equal(face.landmarks, wanted.landmarks)
            assert (face.crop is None) == (wanted.crop is None)
            np.testing.assert_array_equal(face.lower_face, wanted.lower_face)
    assert any(frame.faces for frame in now)


def test_tracks_are_numbered_from_a_given_number_on():
    assert [face.track_id for frame in live(frames(MOVING[:2]), next_id=7) for face in frame.faces] == [7, 7]


def test_old_tracks_are_forgotten():
    there = [Frame(k, t, MOVING[0]) for k, t in enumerate((0.0, 0.04))]
    late = [Frame(2, 100.0, GONE[0]), Frame(3, 500.0, 255 - GONE[0]), Frame(4, 501.5, MOVING[0])]
    seen = [[face.track_id for face in frame.faces] for frame in live(there + late)]
    assert seen == [[0], [0], [], [], [1]]


def test_a_picture_without_a_face_is_searched_ten_times_a_second(monkeypatch):
    searched = []

    def search(detector: object, rgb: np.ndarray, side_px: int, turns: int = 0) -> list[object]:
        searched.append(side_px)
        return []

    monkeypatch.setattr(tracker, "search_faces", search)
    live([Frame(k, k / 30, GONE[0]) for k in range(90)])
    coarse = searched.count(tracker.COARSE_SEARCH_PX)
    assert 15 + 25 - 1 <= coarse <= 15 + 25 + 2  # in every frame of half a second, then in every third


def test_a_face_that_appears_after_a_while_is_detected_within_a_tenth_of_a_second():
    pictures = [Frame(k, k / 30, GONE[0] if k < 40 else MOVING[0]) for k in range(46)]
    seen = [bool(frame.faces) for frame in live(pictures)]
    assert not any(seen[:40])
    assert all(seen[43:])
