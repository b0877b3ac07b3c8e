"""From time stamps as files have them to times that always ascend."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from vacli.clock import regular_times

LEAST_STEP_S = 1e-5  # tables show six decimals, so two frames never show one time
HOLE_S = 10.0
HOLE_STEPS = 10  # times the usual step: pictures every half a minute are no holes
USUAL_HZ = Fraction(25)
RATES_HZ = (0.01, 10_000)  # a header's rate outside is not meant


def nominal_hz(*rates: Fraction | None) -> Fraction:
    """The first rate that can be meant, else 25 Hz."""
    meant = (Fraction(rate) for rate in rates if rate and RATES_HZ[0] <= rate <= RATES_HZ[1])
    return next(meant, USUAL_HZ)


def ascending(times_s: np.ndarray, rate_hz: Fraction) -> tuple[np.ndarray, tuple[str, ...]]:
    """Strictly ascending times for frames in display order, and what the user should know of them.

    A frame without a stamp follows the one before it at `rate_hz`. One that is not later than the one before
    it is shown LEAST_STEP_S after it; where that is so of more than half of the frames the stamps are no
    clock, and all frames follow each other at `rate_hz`.
    times_s: (N,) float64, NaN without a stamp. Returns: (N,) float64 and sentences.
    """
    filled_s = _filled(times_s, rate_hz)
    late = int(np.sum(np.diff(filled_s) < LEAST_STEP_S))
    if not late:
        return filled_s, _holes(filled_s)
    if 2 * late > len(filled_s):
        note = f"its time stamps are no clock, so {float(rate_hz):g} frames a second are taken for granted"
        return regular_times(len(filled_s), rate_hz, float(filled_s[0])), (note,)
    ramp_s = np.arange(len(filled_s)) * LEAST_STEP_S
    made_s = np.maximum.accumulate(filled_s - ramp_s) + ramp_s
    note = f"{late} of {len(filled_s)} frames are not later than the one before, and are put right behind it"
    return made_s, (*_holes(made_s), note)


def _filled(times_s: np.ndarray, rate_hz: Fraction) -> np.ndarray:
    known = np.isfinite(times_s)
    if known.all():
        return times_s
    if not known.any():
        return regular_times(len(times_s), rate_hz)
    at = np.arange(len(times_s))
    last = np.maximum.accumulate(np.where(known, at, np.argmax(known)))
    return times_s[last] + (at - last) / float(rate_hz)


def _holes(times_s: np.ndarray) -> tuple[str, ...]:
    """A sentence about long times without a picture."""
    steps_s = np.diff(times_s)
    if not len(steps_s):
        return ()
    at = np.flatnonzero(steps_s > max(HOLE_S, HOLE_STEPS * float(np.median(steps_s))))
    if not len(at):
        return ()
    more = f", and {len(at) - 1} more such holes" if len(at) > 1 else ""
    return (f"no picture for {steps_s[at[0]]:.0f} s after {times_s[at[0]]:.3f} s{more}",)
