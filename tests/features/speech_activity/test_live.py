from __future__ import annotations

from functools import cache

import numpy as np
from synth.sounds import RATE_HZ, noise, sound

from vacli.features.registry import create
from vacli.media.synthetic_speech import syllables

create = cache(create)


def arriving(samples: np.ndarray, times_s: np.ndarray, block: int = 320) -> np.ndarray:
    """The row at each time, when the sound reaches it."""
    stream, position, rows = create("speech").live(), 0, []
    for time_s in times_s:
        end = round(time_s * RATE_HZ)
        for start in range(position, end, block):
            stream.add(samples[start : min(start + block, end)])
        position = end
        rows.append(stream.row(time_s)[0][0])
    return np.array(rows)


def test_rows_equal_those_of_a_sound_that_ends_now():
    samples = np.concatenate([noise(1, level=0.01), syllables(3)])
    for end_s in (1.536, 2.048, 3.072):
        live = arriving(samples, np.array([end_s]))
        whole = create("speech").extract(sound(samples[: round(end_s * RATE_HZ)]), np.array([end_s - 1e-6]))
        # The gain of the older windows was computed without the later sound.
        np.testing.assert_allclose(live, whole[:, 0], atol=0.1)


def test_speech_is_recognised_half_a_second_after_its_start():
    times_s = np.arange(1, 150) / 30
    rows = arriving(np.concatenate([noise(2, level=1e-3), syllables(3)]), times_s)
    assert rows[(times_s > 0.5) & (times_s < 2)].max() < 0.3
    assert rows[times_s > 2.6].min() > 0.3


def test_rows_do_not_depend_on_the_size_of_the_blocks():
    samples, times_s = syllables(2), np.arange(1, 50) / 25
    np.testing.assert_array_equal(arriving(samples, times_s, 320), arriving(samples, times_s, 5000))


def test_there_is_no_row_before_the_first_window():
    stream = create("speech").live()
    stream.add(np.zeros(511, np.float32))
    row, is_final = stream.row(0.01)
    assert np.isnan(row).all()
    assert not is_final
