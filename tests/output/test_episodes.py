"""Episodes of quadrants and peaks of arousal follow the documented rule."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vacli.output.episodes import MIN_EPISODE_S, arousal_peaks, quadrant_episodes
from vacli.output.frame_durations import frame_edges
from vacli.output.frame_table import FrameTable

STEP_S = 0.1


def table(valence, arousal, modality=None, times_s=None) -> FrameTable:
    n = len(valence)
    columns = {
        "time_s": STEP_S * np.arange(n) if times_s is None else np.asarray(times_s, float),
        "valence": np.asarray(valence, np.float32),
        "arousal": np.asarray(arousal, np.float32),
        "modality": np.array(["visual"] * n if modality is None else modality, dtype=object),
    }
    return FrameTable("a.mp4", columns)


def spans(episodes) -> list[tuple[float, float, str]]:
    return [(round(e.start_s, 6), round(e.end_s, 6), e.quadrant) for e in episodes]


@pytest.mark.parametrize(
    ("valence", "arousal", "quadrant"),
    [
        (0.5, 0.5, "pleasant, excited"),
        (0.5, -0.5, "pleasant, calm"),
        (-0.5, 0.5, "unpleasant, excited"),
        (-0.5, -0.5, "unpleasant, calm"),
    ],
)
def test_each_quadrant_has_its_name(valence, arousal, quadrant):
    assert spans(quadrant_episodes(table([valence] * 10, [arousal] * 10))) == [(0, 1.0, quadrant)]


def test_an_episode_has_the_means_of_its_frames():
    (episode,) = quadrant_episodes(table([0.2, 0.4] * 5, [0.6] * 10))
    assert (episode.valence, episode.arousal) == pytest.approx((0.3, 0.6))
    assert episode.description == "pleasant, excited (valence 0.30, arousal 0.60)"


def test_a_sign_changes_only_beyond_the_hysteresis():
    valence = [0.5] * 10 + [-0.04] * 10 + [-0.06] * 10 + [0.04] * 10
    assert spans(quadrant_episodes(table(valence, [0.5] * 40))) == [
        (0, 2.0, "pleasant, excited"),
        (2.0, 4.0, "unpleasant, excited"),
    ]


def test_the_first_frame_has_the_sign_of_its_own_value():
    assert spans(quadrant_episodes(table([-0.01] * 10, [0.01] * 10))) == [(0, 1.0, "unpleasant, excited")]


def test_an_episode_is_called_after_its_means():
    arousal = [0.01] + [-0.03] * 9  # without a value that changes the sign
    assert spans(quadrant_episodes(table([0.5] * 10, arousal))) == [(0, 1.0, "pleasant, calm")]
    arousal = (
        [-0.5] * 10 + [0.06] + [-0.04] * 9 + [-0.5] * 10
    )  # the middle is one episode with its neighbours
    assert spans(quadrant_episodes(table([0.5] * 30, arousal))) == [(0, 3.0, "pleasant, calm")]


def valences(lengths: list[int]) -> list[float]:
    """Values that change their sign after each number of frames of 0.1 s."""
    return [0.5 * (-1) ** i for i, n in enumerate(lengths) for _ in range(n)]


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        pytest.param([10, 4, 10], [24], id="between two long ones"),
        pytest.param([10, 5, 10], [10, 5, 10], id="of the minimum length"),
        pytest.param([2, 2, 1, 10], [15], id="at the start"),
        pytest.param([10, 4], [14], id="at the end"),
        pytest.param([10, 4, 1, 4, 10], [10, 9, 10], id="the shortest one is merged first"),
        pytest.param([2, 1, 3], [6], id="all are short"),
        pytest.param([3], [3], id="a single short one is kept"),
    ],
)
def test_short_episodes_join_their_longer_neighbour(lengths, expected):
    episodes = quadrant_episodes(table(valences(lengths), [0.5] * sum(lengths)))
    assert [round((e.end_s - e.start_s) / STEP_S) for e in episodes] == expected


def test_the_longer_neighbour_is_joined():
    valence = [0.5] * 6 + [0.5] * 3 + [-0.5] * 9
    arousal = [0.5] * 6 + [-0.5] * 3 + [-0.5] * 9
    assert spans(quadrant_episodes(table(valence, arousal))) == [
        (0, 0.6, "pleasant, excited"),
        (0.6, 1.8, "unpleasant, calm"),
    ]


def test_the_earlier_of_equally_long_neighbours_is_joined():
    valence = [0.5] * 6 + [0.5] * 3 + [-0.5] * 6
    arousal = [0.5] * 6 + [-0.5] * 3 + [-0.5] * 6
    times_s = np.arange(15) / 8  # exact in binary
    assert [(e.start_s, e.end_s) for e in quadrant_episodes(table(valence, arousal, times_s=times_s))] == [
        (0, 9 / 8), (9 / 8, 15 / 8),
    ]  # fmt: skip


def test_frames_without_a_prediction_separate_episodes():
    modality = ["visual"] * 10 + ["none"] * 3 + ["audio"] * 10
    found = spans(quadrant_episodes(table([0.5] * 23, [0.5] * 23, modality)))
    assert found == [(0, 1.0, "pleasant, excited"), (1.3, 2.3, "pleasant, excited")]


def test_a_gap_of_the_recording_separates_episodes():
    times_s = np.concatenate([np.arange(10) / 10, 9 + np.arange(10) / 10])
    found = quadrant_episodes(table([0.5] * 20, [0.5] * 20, times_s=times_s))
    assert [(e.start_s, pytest.approx(e.end_s)) for e in found] == [(0, 1.9), (9, 10)]


def test_missing_values_separate_episodes():
    valence = [0.5] * 10 + [np.nan] * 3 + [0.5] * 10
    assert [e[:2] for e in spans(quadrant_episodes(table(valence, [0.5] * 23)))] == [(0, 1.0), (1.3, 2.3)]


@pytest.mark.parametrize("n", [0, 1])
def test_tables_of_no_frame_and_of_one_frame(n):
    found = quadrant_episodes(table([0.5] * n, [0.5] * n))
    assert spans(found) == [(0, 0.04, "pleasant, excited")] * n
    assert arousal_peaks(table([0.5] * n, [0.5] * n)) == []


def test_frames_last_until_the_next_one():
    assert frame_edges(np.array([-0.1, 0.1, 0.2, 0.3])).tolist() == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])


values = st.floats(-1, 1, width=32)


@given(st.lists(st.tuples(values, values, st.booleans()), max_size=60))
@settings(max_examples=200, deadline=None)
def test_every_frame_with_a_prediction_is_in_exactly_one_episode(frames):
    valence, arousal, known = zip(*frames, strict=True) if frames else ((), (), ())
    made = table(valence, arousal, ["visual" if k else "none" for k in known])
    episodes = quadrant_episodes(made)
    middles = made.columns["time_s"] + 0.01
    count = sum((e.start_s <= middles) & (middles < e.end_s) for e in episodes) + np.zeros(len(made))
    assert count.tolist() == [float(k) for k in known]
    for one, following in itertools.pairwise(episodes):
        if one.end_s == following.start_s:  # in one span
            assert one.quadrant != following.quadrant
            assert min(one.end_s - one.start_s, following.end_s - following.start_s) >= MIN_EPISODE_S - 1e-6


def test_peaks_of_arousal():
    arousal = np.zeros(60)
    arousal[[10, 30, 35, 50]] = [0.8, 0.5, 0.4, 0.15]  # 35 is too near to a higher one, 50 is too low
    peaks = arousal_peaks(table(np.zeros(60), arousal))
    assert [(round(p.time_s, 6), round(p.arousal, 6)) for p in peaks] == [(1.0, 0.8), (3.0, 0.5)]


def test_frames_without_a_prediction_have_no_peak():
    arousal = np.zeros(30)
    arousal[15] = 0.9
    modality = ["visual"] * 10 + ["none"] * 10 + ["visual"] * 10
    assert arousal_peaks(table(np.zeros(30), arousal, modality)) == []
