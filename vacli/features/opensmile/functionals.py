"""openSMILE functionals over a window that slides with the video's frames, in one pass.

One call for each window costs about 26 ms, nearly all of it for setup and for descriptors that
neighbouring windows share. Here openSMILE slides the window on its grid of 10 ms; if the frames lie on
a coarser grid (25 Hz: 40 ms), only the windows of that grid are computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from vacli.features.audio_flags import TemporalContext
from vacli.features.opensmile import binding as smile
from vacli.features.opensmile.lld import nearest_row
from vacli.features.registry import OPENSMILE_LICENCE
from vacli.files import scratch
from vacli.media.audio import Sound
from vacli.spec import AUDIO, FeatureSpec

WINDOW_S = 1.0
_SLIDING = Path(__file__).with_name("sliding.conf")
_FIRST_S, _LAST_S = 0.010, 0.030  # centres of the short and the long analysis frames of a row


def row_grid(rows: np.ndarray) -> tuple[int, int]:
    """(first, step) of the coarsest grid of rows that holds all of `rows`; 0 <= first < step."""
    step = int(np.gcd.reduce(rows - rows[0])) or 1
    return int(rows[0]) % step, step


class _Functionals:
    """Common part of the sets."""

    _name: str
    _config: str

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self.window_s = window_s
        self._whole = smile.SmileSet(config=self._config, level="func")
        self.centre_s = (window_s - smile.HOP_S + _FIRST_S + _LAST_S) / 2
        self.context = TemporalContext(before_s=self.centre_s, after_s=window_s + 0.05 - self.centre_s)
        columns = smile.column_names(self._whole)
        self.spec = FeatureSpec(
            name=self._name,
            version=Path(self._config).stem,
            modality=AUDIO,
            dim=len(columns),
            columns=columns,
            units="as openSMILE, lengths in seconds",
            licence=OPENSMILE_LICENCE,
            settings={"window_s": window_s, "hop_s": smile.HOP_S, "centre_s": self.centre_s},
        )

    @staticmethod
    def options_from(settings: Mapping[str, object], weights: Mapping[str, Path]) -> dict[str, object]:
        """See `features.protocols.Extractor`."""
        return {"window_s": settings.get("window_s", WINDOW_S)}

    def extract(self, sound: Sound, times_s: np.ndarray) -> np.ndarray:
        """Functionals of the window around each time, moved inside the recording at its ends.

        times_s: (N,) seconds. Returns: (N, dim) float32, NaN where there is
        no sound. A recording shorter than the window gets one row for its whole length.
        """
        values = scratch.missing_rows(len(times_s), self.spec.dim)
        there = sound.is_audible_at(times_s)
        if not there.any():
            return values
        first, samples = smile.recorded_samples(sound)
        wanted = nearest_row(times_s[there], self.centre_s)
        rows, at = self._slide(samples, first, wanted)
        if not len(rows):
            rows, at = smile.run(self._whole, samples[first * smile.HOP :])[:1], np.zeros(len(wanted), int)
        numbers = np.flatnonzero(there)
        for start, block in scratch.blocks(values):
            low, high = np.searchsorted(numbers, (start, start + len(block)))
            block[numbers[low:high] - start] = rows[at[low:high]] if len(rows) else np.nan
            scratch.release(rows)
        return values

    def sliding(self, step: int) -> smile.SmileSet:
        """The set over windows that are `step` rows of 10 ms apart."""
        options = {
            "frameModeFunctionalsConf": _SLIDING,
            "windowSize": self.window_s,
            "windowStep": step * smile.HOP_S,
        }
        return smile.SmileSet(config=self._config, level="func", options=options)

    def _slide(self, samples: np.ndarray, earliest: int, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows (R, dim), and which of them is that of each of the `wanted` windows, none below `earliest`.

        R is 0 where not one window fits.
        """
        first, step = row_grid(wanted)
        span = smile.Span(hop_rows=step, window_s=self.window_s)
        rows = smile.run_long(self.sliding(step), samples[first * smile.HOP :], span)
        lowest, highest = -((first - earliest) // step), len(rows) - 1
        if highest < lowest:
            return rows[:0], wanted
        return rows, ((wanted - first) // step).clip(lowest, highest)


class GemapsFunctionals(_Functionals):
    """The 62 of GeMAPSv01b (Eyben et al. 2016)."""

    _name, _config = "gemaps-functionals", "gemaps/v01b/GeMAPSv01b.conf"


class EgemapsFunctionals(_Functionals):
    """The 88 of eGeMAPSv02 (Eyben et al. 2016)."""

    _name, _config = "egemaps-functionals", "egemaps/v02/eGeMAPSv02.conf"
