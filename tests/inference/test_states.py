from __future__ import annotations

import numpy as np

from vacli.inference.states import FrameState, mark_audio_only, states_of


def test_each_combination_of_streams_has_a_state():
    present = {"visual": np.array([1, 1, 0, 0], bool), "audio": np.array([1, 0, 1, 0], bool)}
    assert states_of(present).tolist() == ["audiovisual", "visual", "audio", "none"]
    assert states_of({"audio": np.array([True])}).tolist() == ["audio"]


def test_other_streams_are_joined_by_name():
    present = {"text": np.array([1, 0], bool), "audio": np.array([1, 0], bool)}
    assert states_of(present).tolist() == ["audio+text", "none"]


def test_mark_audio_only_changes_audio_frames_only():
    states = np.array(["audio", "none", "audiovisual"])
    assert mark_audio_only(states).tolist() == [FrameState.AUDIO_ONLY, "none", "audiovisual"]
