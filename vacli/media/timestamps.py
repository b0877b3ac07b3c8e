"""Conversion of the timestamps of a file to strictly ascending times."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from vacli.clock import regular_times

MIN_STEP_S = 1e-5  # tables have six decimals, so two frames never have the same time there
MIN_GAP_S = 10.0
MIN_GAP_STEPS = 10  # median steps: a picture every half minute is no gap
DEFAULT_HZ = Fraction(25)
RATES_HZ = (0.01, 10_000)  # plausible rates of a header


def nominal_hz(*rates: Fraction | None) -> Fraction:
    """Return the first plausible rate, else 25 Hz."""
    plausible = (Fraction(rate) for rate in rates if rate and RATES_HZ[0] <= rate <= RATES_HZ[1])
    return next(plausible, DEFAULT_HZ)


def make_ascending(times_s: np.ndarray, rate_hz: Fraction) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return strictly ascending times for frames in display order, and sentences for the user.

    A frame without a timestamp follows the one before it at `rate_hz`. One that is not later than the one
    before it gets a time MIN_STEP_S after it. If these are at least every second frame, equal times are
    spread up to the next one where no time descends; else the timestamps are ignored, and all frames follow
    each other at `rate_hz`.
    times_s: (N,) float64, NaN without a timestamp. Returns: (N,) float64 and sentences.
    """
    filled_s = _fill_missing(times_s, rate_hz)
    late = int(np.sum(np.diff(filled_s) < MIN_STEP_S))
    if not late:
        return filled_s, _gap_notes(filled_s)
    if 2 * late >= len(filled_s) - 1:
        if (spread_s := _spread(filled_s)) is not None:
            note = f"{late} of {len(filled_s)} frames have the time of the one before; they are spread evenly"
            return spread_s, (*_gap_notes(spread_s), note)
        note = f"its timestamps do not ascend, so a rate of {float(rate_hz):g} frames a second is assumed"
        return regular_times(len(filled_s), rate_hz, float(filled_s[0])), (note,)
    ramp_s = np.arange(len(filled_s)) * MIN_STEP_S
    made_s = np.maximum.accumulate(filled_s - ramp_s) + ramp_s
    note = (
        f"{late} of {len(filled_s)} frames are not later than the one before; they are moved right after it"
    )
    return made_s, (*_gap_notes(made_s), note)


def _spread(times_s: np.ndarray) -> np.ndarray | None:
    """Times whose equal ones are spread up to the next time; None where they descend, or are all equal."""
    steps_s = np.diff(times_s)
    first = np.append(0, np.flatnonzero(steps_s >= MIN_STEP_S) + 1)  # of each group of equal times
    if (steps_s < 0).any() or len(first) < 2:
        return None
    step_s = (times_s[first[-1]] - times_s[0]) / first[-1]
    end_s = times_s[first[-1]] + step_s * (len(times_s) - first[-1])
    spread_s = np.interp(np.arange(len(times_s)), [*first, len(times_s)], [*times_s[first], end_s])
    return spread_s if (np.diff(spread_s) >= MIN_STEP_S).all() else None


def _fill_missing(times_s: np.ndarray, rate_hz: Fraction) -> np.ndarray:
    known = np.isfinite(times_s)
    if known.all():
        return times_s
    if not known.any():
        return regular_times(len(times_s), rate_hz)
    at = np.arange(len(times_s))
    last = np.maximum.accumulate(np.where(known, at, np.argmax(known)))
    return times_s[last] + (at - last) / float(rate_hz)


def _gap_notes(times_s: np.ndarray) -> tuple[str, ...]:
    """Return a sentence about long times without a picture."""
    steps_s = np.diff(times_s)
    if not len(steps_s):
        return ()
    at = np.flatnonzero(steps_s > max(MIN_GAP_S, MIN_GAP_STEPS * float(np.median(steps_s))))
    if not len(at):
        return ()
    more = f", and {len(at) - 1} more such gaps" if len(at) > 1 else ""
    return (f"no picture for {steps_s[at[0]]:.0f} s after {times_s[at[0]]:.3f} s{more}",)
