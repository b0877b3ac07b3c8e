"""Corpora of categories become mapped points, by the rule that they state."""

from __future__ import annotations

import numpy as np
import pytest

from vacli.circumplex import NORMAL_INTENSITY, point
from vacli.datasets.emotion_corpora import read_emodb, read_ferplus, read_ravdess
from vacli.errors import InputError, LabelError


def test_ferplus_labels_are_the_mean_point_of_the_votes(tmp_path):
    votes = np.zeros((4, 10), np.uint8)
    votes[0, 1] = 10  # happiness
    votes[1, [0, 3]] = 4, 4  # neutral, sadness
    votes[2, [0, 8]] = 7, 3  # three votes for unknown: too few on the emotions
    votes[3, 4] = 9  # anger
    usage = np.array(["Training", "Training", "Training", "PublicTest"])
    images = np.arange(4, dtype=np.uint8)[:, None, None] * np.ones((1, 48, 48), np.uint8)
    np.savez(tmp_path / "f.npz", images=images, votes=votes, usage=usage)
    train, held = read_ferplus(tmp_path / "f.npz")
    assert (train.split, held.split) == ("train", "validation")
    np.testing.assert_allclose(train.labels, [[0.85, 0.35], [-0.375, -0.175]], atol=1e-6)
    np.testing.assert_allclose(held.labels, [[-0.60, 0.70]], atol=1e-6)
    np.testing.assert_array_equal(train.images[:, 0, 0], [0, 1])
    np.testing.assert_allclose(train.votes.sum(1), 1)


def test_other_files_than_ferplus_archives_are_errors(tmp_path):
    (tmp_path / "x.npz").write_text("no")
    with pytest.raises(InputError, match=r"x\.npz"):
        list(read_ferplus(tmp_path / "x.npz"))


def test_file_names_of_ravdess_and_emodb_are_parsed(tmp_path):
    for name in ("03-01-05-02-01-01-12.flac", "03-01-02-01-01-01-07.flac"):
        (tmp_path / name).touch()
    calm, angry = read_ravdess(tmp_path)
    assert (angry.speaker, angry.valence, angry.arousal) == ("ravdess-12", -0.60, 0.70)
    assert (calm.valence, calm.arousal) == point("calm", NORMAL_INTENSITY)
    (tmp_path / "emodb").mkdir()
    (tmp_path / "emodb" / "03a01La.flac").touch()
    (bored,) = read_emodb(tmp_path / "emodb")
    assert (bored.speaker, bored.arousal) == ("emodb-03", -0.60)
    with pytest.raises(LabelError, match="03a01La"):
        read_ravdess(tmp_path / "emodb")
    with pytest.raises(InputError, match=r"no \.flac or \.wav"):
        (tmp_path / "none").mkdir()
        read_emodb(tmp_path / "none")


def test_all_file_names_of_the_real_corpora_are_parsed(data):
    assert len(read_ravdess(data / "ravdess")) == 1440
    assert len({u.speaker for u in read_ravdess(data / "ravdess")}) == 24
    assert len(read_emodb(data / "emodb")) == 535
    assert len({u.speaker for u in read_emodb(data / "emodb")}) == 10
