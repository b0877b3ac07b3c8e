"""Outlets of Lab Streaming Layer (LSL): the values of each row, and markers of what happens.

Both have the time of capture on the clock of LSL, so that LabRecorder joins them with other devices. Their
rate is irregular, since frames may be dropped.
"""

from __future__ import annotations

import hashlib
import time
from typing import Any

import numpy as np

from vacli.errors import PackageMissing
from vacli.output.live.rows import PredictedRows
from vacli.packages import require

CHANNELS = (  # name and unit
    ("valence", "-1 to 1"),
    ("arousal", "-1 to 1"),
    ("valence_uncertainty", "standard deviation"),
    ("arousal_uncertainty", "standard deviation"),
    ("quality", "0 to 1"),
    ("face_id", "number"),
    ("frame", "number"),
    ("time_s", "seconds"),
)
VALUES_NAME, VALUES_TYPE = "va", "ValenceArousal"
MARKERS_NAME, MARKERS_TYPE = "va-markers", "Markers"
IRREGULAR_RATE = 0.0
BUFFER_S = 60  # for a reader that is late; LSL counts in hundreds of samples if the rate is irregular
LIBRARY_HINT = (
    "on Linux its wheel has no liblsl: install it (`conda install -c conda-forge liblsl`, or a package of "
    "github.com/sccn/liblsl/releases), or set PYLSL_LIB to the file"
)


class LslOutlets:
    """An outlet of values and one of markers; an output of `va live`.

    Markers are `start`, `end`, the words of the column `flag`, and changes: `face 0 on`, `face 0 off`,
    `speech on` and `speech off`. Raises PackageMissing if pylsl or the library liblsl is absent.
    """

    def __init__(self, source: str) -> None:
        self._lsl = _loaded()
        identity = hashlib.sha256(source.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        self._values = self._outlet(VALUES_NAME, VALUES_TYPE, len(CHANNELS), "double64", identity, CHANNELS)
        self._markers = self._outlet(MARKERS_NAME, MARKERS_TYPE, 1, "string", identity, ())
        self._faces: set[int] = set()
        self._is_speech = False
        self._mark("start", self._lsl.local_clock())

    def _outlet(
        self,
        name: str,
        kind: str,
        count: int,
        form: str,
        identity: str,
        channels: tuple[tuple[str, str], ...],
    ) -> Any:
        info = self._lsl.StreamInfo(name, kind, count, IRREGULAR_RATE, form, f"{name}-{identity}")
        described = info.desc().append_child("channels")
        for label, unit in channels:
            described.append_child("channel").append_child_value("label", label).append_child_value(
                "unit", unit
            )
        return self._lsl.StreamOutlet(info, max_buffered=BUFFER_S)

    def write(self, rows: PredictedRows) -> None:
        """Send the values and the markers of rows."""
        columns = rows.table.columns
        offset_s = self._lsl.local_clock() - time.monotonic()
        values = np.stack([columns[name].astype(np.float64) for name, _ in CHANNELS], axis=1)
        frames = columns["frame"]
        for at, captured_s in enumerate(rows.captured_s.tolist()):
            stamp = offset_s + (captured_s if np.isfinite(captured_s) else time.monotonic())
            self._values.push_sample(values[at].tolist(), stamp)
            for word in filter(None, str(columns["flag"][at]).split("+")):
                self._mark(word, stamp)
            if at == len(frames) - 1 or frames[at + 1] != frames[at]:
                of_frame = (frames == frames[at]) & columns["face_detected"].astype(bool)
                self._mark_faces(set(columns["face_id"][of_frame].tolist()) - {-1}, stamp)
            self._mark_speech(columns["speech_present"][at] > 0, stamp)

    def close(self) -> None:
        """Send the marker of the end; the outlets close when nothing refers to them."""
        self._mark("end", self._lsl.local_clock())
        del self._values, self._markers

    def _mark_faces(self, present: set[int], stamp: float) -> None:
        """Mark the faces that have come into a frame, and those that are gone or no longer followed."""
        for face in sorted(present ^ self._faces):
            self._mark(f"face {face} {'on' if face in present else 'off'}", stamp)
        self._faces = present

    def _mark_speech(self, is_speech: bool, stamp: float) -> None:
        if is_speech != self._is_speech:
            self._is_speech = is_speech
            self._mark(f"speech {'on' if is_speech else 'off'}", stamp)

    def _mark(self, text: str, stamp: float) -> None:
        self._markers.push_sample([text], stamp)


def _loaded() -> Any:
    """The module pylsl. Raises PackageMissing if it, or the library that it wraps, is absent."""
    require("pylsl", "--lsl")
    try:
        import pylsl
    except (ImportError, RuntimeError, OSError) as error:
        line = " ".join(str(error).split())[:120]
        raise PackageMissing(
            f"pylsl cannot load the library liblsl ({line})", package="pylsl", hint=LIBRARY_HINT
        ) from None
    return pylsl
