"""A sequence whose parts differ in length cannot be made."""

from __future__ import annotations

import numpy as np
import pytest

from vacli.sequences.base import FeatureSequence


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="v: 4 times, streams"):
        FeatureSequence(video="v", times_s=np.arange(4.0), streams={"a": np.zeros((5, 2), np.float32)})
    with pytest.raises(ValueError, match="v: 4 times, labels"):
        FeatureSequence(video="v", times_s=np.arange(4.0), streams={}, labels=np.zeros((4, 1), np.float32))


def test_fill_copies_rows():
    x = np.arange(10, dtype=np.float32).reshape(5, 2)
    out = {"a": np.empty((2, 2), np.float32)}
    FeatureSequence(video="v", times_s=np.arange(5.0), streams={"a": x}).fill(3, out)
    assert out["a"].tolist() == [[6, 7], [8, 9]]
