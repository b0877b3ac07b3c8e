"""The clearest moments of a recording."""

from __future__ import annotations

import numpy as np
import pytest

from vacli.output.annotations import face_tiers
from vacli.output.frame_table import FrameTable
from vacli.output.report.moments import MAX_MOMENTS, Moment, clearest_moments, has_uncertainty

RATE_HZ = 25


def table(arousal: list[float], error: list[float] | None, face_id: int = 0) -> FrameTable:
    """Seconds of constant arousal with a valence of 0, and their uncertainty."""
    level, n = np.repeat(arousal, RATE_HZ), RATE_HZ * len(arousal)
    columns = {
        "time_s": np.arange(n) / RATE_HZ,
        "valence": np.zeros(n),
        "arousal": level,
        "face_id": np.full(n, face_id),
    }
    if error is not None:
        columns["arousal_uncertainty"] = np.repeat(error, RATE_HZ)
    return FrameTable("a", columns)


def moments(*tables: FrameTable) -> list[Moment]:
    return clearest_moments(face_tiers(tables))


def test_clearest_moment_has_the_smallest_uncertainty_for_its_distance():
    first, second = moments(table([0.4, -0.4], [0.2, 0.1]))
    assert (first.start_s, first.end_s, first.kind) == (1.0, 2.0, "pleasant, calm")
    assert (first.clarity, second.clarity) == (pytest.approx(4.0), pytest.approx(2.0))
    assert (first.arousal, first.arousal_uncertainty) == (pytest.approx(-0.4), pytest.approx(0.1))


def test_moments_within_their_expected_error_are_left_out():
    assert [m.start_s for m in moments(table([0.3, -0.3], [0.4, 0.2]))] == [1.0]
    assert moments(table([0.3, -0.3], [0.4, 0.4])) == []


def test_without_uncertainty_the_farthest_moment_is_first():
    rows = table([0.2, -0.4], None)
    assert not has_uncertainty(rows)
    assert [m.clarity for m in moments(rows)] == [pytest.approx(0.4), pytest.approx(0.2)]


def test_peaks_are_moments_of_one_time():
    rows = table([0.3] * 3, [0.1] * 3)
    rows.columns["arousal"][30:40] += 0.5 * np.hanning(10)
    peak = max(moments(rows), key=lambda moment: moment.arousal)
    assert peak.start_s == peak.end_s == pytest.approx(34 / RATE_HZ)
    assert (peak.kind, peak.valence) == ("peak of arousal", None)


def test_moments_name_the_face_of_several():
    both = moments(table([0.4], [0.1], 3), table([-0.8], [0.1], 5))
    assert [moment.face for moment in both] == ["face 5", "face 3"]


def test_the_number_of_moments_is_limited():
    assert len(moments(table([0.5, -0.5] * 20, [0.1] * 40))) == MAX_MOMENTS
