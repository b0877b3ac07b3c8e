"""openSMILE on sound that is still arriving: the rows of one pass over all of it, as soon as they are known.

openSMILE runs in a thread and waits for samples. The rows are bit-equal to those of `binding.run`. A row of
20 ms frames, smoothed over three rows, follows 40 ms after its start, one of `mfcc39` 65 ms, and one that
depends on the pitch 90 ms, at most 140 ms in speech, when the Viterbi smoother has decided.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vacli.features.opensmile import binding as smile

RING = 500  # rows that are kept, 5 s: sound may arrive before its picture
WAIT_S = 0.25  # for rows whose samples are there; they take milliseconds
MAY_WAIT_S = 0.002  # for rows that may be known with these samples
VITERBI_ROWS = 40  # bufferLength of cPitchSmootherViterbi
SOURCE = Path(__file__).with_name("live_source.conf")
_WRITE_SAMPLES = 1600  # at once
_RETRY_S = 0.001


@dataclass(frozen=True, kw_only=True)
class LiveSink:
    """A sink with some columns of the rows.

    lag_rows: a row follows after so many more rows of samples. may_lag: it may follow later, up to
    VITERBI_ROWS.
    """

    name: str
    columns: slice
    lag_rows: int
    may_lag: bool = False


@dataclass(frozen=True, kw_only=True)
class LiveSet:
    """A configuration file for samples that arrive while it runs, and its sinks in the columns' order."""

    config: Path
    sinks: Sequence[LiveSink]
    options: Mapping[str, object] = field(default_factory=dict)


class IncrementalSmile:
    """One running openSMILE. `close` ends its thread."""

    def __init__(self, wanted: LiveSet) -> None:
        self._session = smile.open_live(wanted.config, {"source": SOURCE, **wanted.options})
        self._changed = threading.Condition()
        self._sinks = wanted.sinks
        self._rows: dict[str, deque[np.ndarray]] = {sink.name: deque(maxlen=RING) for sink in wanted.sinks}
        self._counts = dict.fromkeys(self._rows, 0)
        self._n_samples = 0
        for sink in wanted.sinks:
            self._session.external_sink_set_callback_ex(sink.name, self._callback(sink.name))
        self._thread = threading.Thread(target=self._session.run, name="opensmile", daemon=True)
        self._thread.start()

    def _callback(self, name: str) -> Callable[[np.ndarray, object], None]:
        def add(values: np.ndarray, _: object) -> None:
            row = np.array(values, np.float32).ravel()
            with self._changed:
                self._rows[name].append(row)
                self._counts[name] += 1
                self._changed.notify_all()

        return add

    def add(self, samples: np.ndarray) -> None:
        """Add samples (S,) float32 that follow those of before."""
        values = smile.to_int16(samples)
        for start in range(0, len(values), _WRITE_SAMPLES):
            part = values[start : start + _WRITE_SAMPLES]
            while not self._written(part):
                time.sleep(_RETRY_S)  # its buffer is full
            self._n_samples += len(part)

    def _written(self, part: np.ndarray) -> bool:
        return bool(self._session.external_audio_source_write_data(smile.SOURCE, part.tobytes()))

    def row(self, sink: LiveSink, number: int) -> tuple[np.ndarray, bool]:
        """Row `number` (D,) of a sink, and whether it is that row and not a neighbour.

        If it is not known yet, it is the latest one, NaN before the first.
        """
        known = self._n_samples // smile.HOP - sink.lag_rows
        certain = known - VITERBI_ROWS if sink.may_lag else known
        with self._changed:
            self._changed.wait_for(lambda: self._counts[sink.name] > min(number, certain), WAIT_S)
            if certain < number <= known:
                self._changed.wait_for(lambda: self._counts[sink.name] > number, MAY_WAIT_S)
            count, rows = self._counts[sink.name], self._rows[sink.name]
            if not rows:
                return np.full(sink.columns.stop - sink.columns.start, np.nan, np.float32), False
            at = min(max(number - (count - len(rows)), 0), len(rows) - 1)
            return rows[at], number == count - len(rows) + at

    def close(self) -> None:
        """End the thread and free its memory."""
        self._session.external_audio_source_set_eoi(smile.SOURCE)
        self._thread.join()
        self._session.free()
