from __future__ import annotations

import numpy as np
from synth.faces import portrait, somebody_else

from vacli.faces.detect import Detection
from vacli.faces.identity import (
    DUPLICATE_SIMILARITY,
    MEMORY_S,
    AppearanceGallery,
    TrackSet,
    drop_duplicates,
    embed_appearance,
)
from vacli.faces.shot_boundary import ShotBoundaryDetector

ANNA, BERT = embed_appearance(portrait()), embed_appearance(somebody_else())


def face(x: float, side: float = 50.0) -> Detection:
    return Detection(np.float32([x, 0, x + side, side]), 0.99, np.zeros((5, 2), np.float32))


def test_embeddings_separate_two_people_and_ignore_brightness():
    darker = (portrait() * 0.7).astype(np.uint8)
    assert embed_appearance(darker) @ ANNA > 0.99
    assert embed_appearance(darker) @ BERT < 0.5


def test_the_gallery_keeps_distinct_embeddings_only():
    gallery = AppearanceGallery()
    assert gallery.similarity(ANNA) == -1
    for _ in range(20):
        gallery.add(ANNA)
    assert gallery.similarity(BERT) < DUPLICATE_SIMILARITY
    gallery.add(BERT)
    assert min(gallery.similarity(BERT), gallery.similarity(ANNA)) > 0.999


def test_unknown_faces_get_new_track_ids():
    found = [(face(0), ANNA), (face(200), BERT)]
    assert [track.track_id for track in TrackSet().reidentify(found, [], 0.0)] == [0, 1]


def test_after_a_shot_boundary_appearance_decides_instead_of_position():
    tracks = TrackSet()
    anna, bert = tracks.reidentify([(face(0), ANNA), (face(200), BERT)], [], 0.0)
    tracks.clear_positions()
    assert tracks.active(0.04) == {}
    swapped = tracks.reidentify([(face(0), BERT), (face(200), ANNA)], tracks.tracks, 0.04)
    assert swapped == [bert, anna]


def test_another_face_at_the_position_of_a_track_starts_a_new_track():
    tracks = TrackSet()
    (anna,) = tracks.reidentify([(face(0), ANNA)], [], 0.0)
    (other,) = tracks.reidentify([(face(2), BERT)], [anna], 0.5)
    assert other.track_id == 1


def test_a_lower_similarity_is_enough_where_the_boxes_overlap():
    tracks = TrackSet()
    (anna,) = tracks.reidentify([(face(0), ANNA)], [], 0.0)
    similar = ANNA * 0.6 + orthogonal(ANNA) * 0.8
    assert tracks.reidentify([(face(5), similar)], [anna], 0.5) == [anna]
    tracks.clear_positions()
    other = ANNA * 0.6 - orthogonal(ANNA) * 0.8
    assert tracks.reidentify([(face(5), other)], [anna], 0.6) != [anna]


def test_positions_expire():
    tracks = TrackSet()
    (anna,) = tracks.reidentify([(face(0), ANNA)], [], 0.0)
    assert list(tracks.active(MEMORY_S)) == [anna]
    assert tracks.active(MEMORY_S + 0.01) == {}


def test_duplicate_detections_are_dropped():
    first, again, far = face(0), face(4), face(100)
    assert drop_duplicates([first, again, far]) == [first, far]
    assert drop_duplicates([again, far], [first]) == [far]


def test_another_picture_is_a_shot_boundary_and_movement_is_not():
    shots = ShotBoundaryDetector()
    assert shots.is_cut(portrait())
    assert not shots.is_cut(np.roll(portrait(), 6, 1))
    assert shots.is_cut(255 - portrait())
    assert shots.is_cut(portrait()[:200])


def orthogonal(embedding: np.ndarray) -> np.ndarray:
    """Return a unit vector orthogonal to an embedding."""
    noise = np.random.default_rng(0).normal(size=len(embedding)).astype(np.float32)
    rest = noise - (noise @ embedding) * embedding
    return rest / np.linalg.norm(rest)


def test_tracks_that_were_seen_long_ago_are_forgotten():
    tracks = TrackSet()
    face = Detection(np.array([0, 0, 9, 9], np.float32), 0.9, np.zeros((5, 2), np.float32))
    for time_s in range(6):
        embedding = np.zeros(6, np.float32)
        embedding[time_s] = 1
        tracks.reidentify([(face, embedding)], [], float(time_s))
    tracks.forget(2.0, 3)
    assert [track.track_id for track in tracks.tracks] == [3, 4, 5]
    assert tracks.next_id == 6


def test_only_tracks_that_look_like_each_other_are_exchanged():
    tracks = TrackSet()
    anna, bert = tracks.reidentify([(face(0), ANNA), (face(200), BERT)], [], 0.0)
    seen = {anna: face(0), bert: face(200)}
    assert tracks.corrected(seen, {anna: ANNA, bert: BERT}, 0.1) == seen
    assert tracks.corrected(seen, {anna: BERT, bert: ANNA}, 0.1) == {anna: seen[bert], bert: seen[anna]}
    assert anna.face is seen[bert]
    assert tracks.corrected(seen, {anna: BERT, bert: orthogonal(BERT)}, 0.1) == seen
