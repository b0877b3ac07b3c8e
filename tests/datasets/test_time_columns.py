"""Times of rows in every unit."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from vacli.clock import regular_times
from vacli.datasets.time_columns import FrameTimes, check_unit, first_frame, parse_timecodes
from vacli.errors import LabelError

VIDEO = np.arange(250) / 25.0
NTSC = regular_times(3000, Fraction(30000, 1001))


def test_frame_numbers_have_the_times_of_the_frames():
    times = np.cumsum(np.random.default_rng(0).uniform(0.02, 0.06, 50))  # variable frame rate
    numbers = np.array([0.0, 7.0, 7.5, 49.0])
    made = FrameTimes(frames=numbers).seconds(times)
    np.testing.assert_allclose(made, [times[0], times[7], (times[7] + times[8]) / 2, times[49]])
    np.testing.assert_allclose(FrameTimes(frames=numbers + 1).seconds(times, first_frame=1), made)


def test_frame_numbers_beyond_the_video_continue_at_its_rate():
    made = FrameTimes(frames=np.array([249.0, 250.0, 350.0])).seconds(VIDEO)
    np.testing.assert_allclose(made, [9.96, 10.0, 14.0])


def test_first_frame_is_1_only_if_no_table_has_frame_0():
    zero, one, late = (FrameTimes(frames=np.array([float(n), 90.0])) for n in (0, 1, 5))
    assert [first_frame(t) for t in ([zero, one], [one, late], [late], [])] == [0, 1, 0, 0]


def test_timecodes_with_fractions():
    made = parse_timecodes(["00:00:01.500", "01:02:03", "02:03,25", "00:00:00.04"])
    np.testing.assert_allclose(made[:, :2].sum(axis=1), [1.5, 3723.0, 123.25, 0.04])
    assert np.isnan(made[:, 2]).all()


def test_timecodes_with_frames_count_whole_frames_of_ntsc():
    whole, _, frames = parse_timecodes(["00:00:00:00", "00:00:01:00", "00:01:00:29"]).T
    made = FrameTimes(frames=frames, whole_s=whole).seconds(NTSC)
    np.testing.assert_allclose(made, [0.0, NTSC[30], NTSC[60 * 30 + 29]], atol=1e-6)


def test_timecodes_fit_times_that_are_rounded_to_milliseconds():
    rounded = np.round(regular_times(600, Fraction(60000, 1001)), 3)  # as in Matroska
    made = FrameTimes(frames=np.array([59.0]), whole_s=np.array([8.0])).seconds(rounded)
    np.testing.assert_allclose(made, rounded[8 * 60 + 59], atol=2e-3)


@pytest.mark.parametrize("text", ["", "NA", "1.5", "00:00:61", "00:60:00", "a:b:c", "00:00:00:00:00"])
def test_other_texts_are_no_timecodes(text):
    with pytest.raises(ValueError):
        parse_timecodes([text])


def test_timecode_with_more_frames_than_the_rate_is_refused():
    with pytest.raises(LabelError, match="has frame 25, the video 25 frames a second"):
        FrameTimes(frames=np.array([25.0]), whole_s=np.array([0.0])).seconds(VIDEO)


@pytest.mark.parametrize(
    ("scale", "hint"), [(1000.0, "milliseconds?"), (25.0, "frames?"), (1.7e8, "times start with the video")]
)
def test_times_far_beyond_the_video_are_refused_with_the_likely_unit(scale, hint):
    with pytest.raises(LabelError, match=r"far beyond the video's 10\.0 s") as raised:
        check_unit(VIDEO * scale, VIDEO, "s")
    assert raised.value.hint is not None
    assert hint in raised.value.hint


def test_seconds_that_are_read_as_milliseconds_are_refused():
    with pytest.raises(LabelError) as raised:
        check_unit(VIDEO / 1000, VIDEO, "ms")
    assert raised.value.hint == "seconds? give --unit s"


@pytest.mark.parametrize("scale", [0.1, 1.0, 2.5])
def test_times_near_the_video_pass(scale):
    check_unit(VIDEO * scale, VIDEO, "s")
    check_unit(VIDEO * scale, VIDEO, "frames")
