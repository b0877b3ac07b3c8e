"""Per-frame openSMILE descriptors on the video's own frame times.

openSMILE starts row k at k x 10 ms for any length of the analysis frame, so columns of 60 ms frames
describe a moment 20 ms later than columns of 20 ms frames.
Each column is therefore taken from the row whose own analysis frame is centred nearest to the
video frame: at most 5 ms off.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vacli.features.audio_flags import TemporalContext
from vacli.features.opensmile import binding as smile
from vacli.features.opensmile.incremental import IncrementalSmile, LiveSet, LiveSink
from vacli.features.registry import OPENSMILE_LICENCE
from vacli.files import scratch
from vacli.media.audio import Sound
from vacli.spec import AUDIO, FeatureSpec

SHORT_CENTRE_S = 0.010  # 20 ms frames: spectrum, loudness, cepstrum, formant frequencies
LONG_CENTRE_S = 0.030  # 60 ms frames: pitch and measures of its harmonics
MFCC_CENTRE_S = 0.0125  # 25 ms frames
# Rows of samples after the start of a row until it is known, of those of `_LONG` at the earliest.
LAG_ROWS, PITCH_LAG_ROWS, MFCC_LAG_ROWS = 5, 8, 8
_LONG = ("F0semitone", "jitter", "shimmer", "HNR", "logRelF0", "F1amplitude", "F2amplitude", "F3amplitude")


@dataclass(frozen=True)
class _Set:
    """A frame-wise openSMILE set: its configuration, columns and their centres."""

    wanted: smile.SmileSet
    columns: tuple[str, ...]
    centres_s: tuple[float, ...]


def nearest_row(times_s: np.ndarray, centre_s: float) -> np.ndarray:
    """Index of the row whose analysis frame is centred nearest to each time; may be out of range.

    Ties go to the earlier row, with a tolerance for rounding in `times_s`.
    """
    return np.ceil((times_s - centre_s) / smile.HOP_S - 0.5 - 1e-6).astype(np.int64)


class _Descriptors:
    """Common part of the frame-wise sets."""

    spec: FeatureSpec
    context: TemporalContext
    _set: _Set

    def extract(self, sound: Sound, times_s: np.ndarray) -> np.ndarray:
        """Descriptors at `times_s`.

        times_s: (N,) seconds. Returns: (N, dim) float32, NaN where the
        recording has no sound, or where all of it is shorter than one analysis frame.
        """
        values = scratch.missing_rows(len(times_s), self.spec.dim)
        there = sound.is_audible_at(times_s)
        if not there.any():
            return values
        first, samples = smile.recorded_samples(sound)
        rows = smile.run_long(self._set.wanted, samples)
        if len(rows) <= first:
            return values
        centres = np.array(self._set.centres_s)
        for start, block in scratch.blocks(values):
            here = np.flatnonzero(there[start : start + len(block)])
            for centre in np.unique(centres):
                columns = np.flatnonzero(centres == centre)
                nearest = nearest_row(times_s[start + here], centre).clip(first, len(rows) - 1)
                block[np.ix_(here, columns)] = rows[np.ix_(nearest, columns)]
            scratch.release(rows)
        return values

    def _live(self, wanted: LiveSet) -> LiveDescriptors:
        return LiveDescriptors(wanted, np.array(self._set.centres_s))


class LiveDescriptors:
    """The descriptors of a sound that is still arriving, see `incremental`.

    A row that does not follow in time is replaced by the latest known one, column group by column group.
    """

    def __init__(self, wanted: LiveSet, centres_s: np.ndarray) -> None:
        self._smile, self._sinks = IncrementalSmile(wanted), wanted.sinks
        self._centres_s = centres_s

    def add(self, samples: np.ndarray) -> None:
        """See `features.protocols.LiveAudioStream`."""
        self._smile.add(samples)

    def row(self, time_s: float) -> tuple[np.ndarray, bool]:
        """See `features.protocols.LiveAudioStream`."""
        values, exact = np.full(len(self._centres_s), np.nan, np.float32), True
        for sink in self._sinks:
            centres = self._centres_s[sink.columns]
            for centre in np.unique(centres):
                number = max(int(nearest_row(np.array([time_s]), centre)[0]), 0)
                row, is_same = self._smile.row(sink, number)
                values[sink.columns] = np.where(centres == centre, row, values[sink.columns])
                exact &= is_same
        return values, exact

    def is_final(self, time_s: float) -> bool:
        """See `features.protocols.LiveAudioStream`."""
        return self.row(time_s)[1]

    def close(self) -> None:
        """See `features.protocols.LiveAudioStream`."""
        self._smile.close()


def _by_centre(content: _Set) -> dict[str, list[str]]:
    """Column names by their centre, in seconds after the start of the row."""
    groups: dict[str, list[str]] = {}
    for column, centre in zip(content.columns, content.centres_s, strict=True):
        groups.setdefault(f"{centre:g}", []).append(column)
    return groups


def _spec(name: str, version: str, units: str, content: _Set) -> FeatureSpec:
    return FeatureSpec(
        name=name,
        version=version,
        modality=AUDIO,
        dim=len(content.columns),
        columns=content.columns,
        units=units,
        licence=OPENSMILE_LICENCE,
        settings={"hop_s": smile.HOP_S, "row": "centred nearest", "centre_s": _by_centre(content)},
    )


class _GenevaDescriptors(_Descriptors):
    """Low-level descriptors of the extended Geneva set (Eyben et al. 2016)."""

    context = TemporalContext(before_s=0.04, after_s=0.04)  # 60 ms frames, smoothed over three rows
    _name: str
    _config: str  # as `SmileSet.config`
    _version: str

    def __init__(self) -> None:
        wanted = smile.SmileSet(config=self._config)
        columns = smile.column_names(wanted)
        centres = tuple(LONG_CENTRE_S if c.startswith(_LONG) else SHORT_CENTRE_S for c in columns)
        self._set = _Set(wanted, columns, centres)
        units = "as openSMILE: F0 in semitones from 27.5 Hz, frequencies in Hz, levels in dB"
        self.spec = _spec(self._name, self._version, units, self._set)


class Egemaps(_GenevaDescriptors):
    """The 23 of eGeMAPSv01b."""

    _name, _version = "egemaps", "eGeMAPSv01b"
    # The values of openSMILE's own file, without the components of the functionals: a sixth of the time.
    _config = str(Path(__file__).with_name("egemaps_lld.conf"))

    def live(self) -> LiveDescriptors:
        """See `features.protocols.LiveExtractor`."""
        folder = smile.config_folder()
        options = {
            "gemaps": folder / "gemaps/v01b/GeMAPSv01b_core.lld.conf.inc",
            "egemaps": folder / "egemaps/v01b/eGeMAPSv01b_core.lld.conf.inc",
        }
        pitch = LiveSink(name="pitchsink", columns=slice(10, 23), lag_rows=PITCH_LAG_ROWS, may_lag=True)
        sinks = (LiveSink(name=smile.SINK, columns=slice(0, 10), lag_rows=LAG_ROWS), pitch)
        config = Path(__file__).with_name("egemaps_live.conf")
        return self._live(LiveSet(config=config, sinks=sinks, options=options))


class EgemapsV02(_GenevaDescriptors):
    """The 25 of eGeMAPSv02, which adds the bandwidths of the second and third formant."""

    _name, _version, _config = "egemaps-v02", "eGeMAPSv02", "egemaps/v02/eGeMAPSv02.conf"


def mfcc_columns() -> tuple[str, ...]:
    """c1 to c12, then c0 (openSMILE's order, which its column names do not show), then the differences."""
    static = [*(f"mfcc{i}" for i in range(1, 13)), "mfcc0"]
    return tuple(name + suffix for suffix in ("", "_delta", "_delta_delta") for name in static)


class Mfcc39(_Descriptors):
    """13 mel-frequency cepstral coefficients with both differences, as HTK's MFCC_0_D_A."""

    context = TemporalContext(before_s=0.0525, after_s=0.0525)  # half a frame and two rows twice

    def __init__(self) -> None:
        wanted = smile.SmileSet(config=str(Path(__file__).with_name("mfcc39.conf")))
        columns = mfcc_columns()
        self._set = _Set(wanted, columns, (MFCC_CENTRE_S,) * len(columns))
        units = "HTK's scale (16-bit samples, natural logarithm)"
        self.spec = _spec("mfcc39", "MFCC12_0_D_A", units, self._set)
        smile.column_names(wanted)  # raises PackageMissing without openSMILE

    def live(self) -> LiveDescriptors:
        """See `features.protocols.LiveExtractor`."""
        options = {
            "grow": 0,
            "ring": 1,
            "sink": smile.config_folder() / "shared/standard_external_data_output_single.conf.inc",
            "sinkLevel": self._set.wanted.level,
        }
        sinks = (LiveSink(name=smile.SINK, columns=slice(0, len(self._set.columns)), lag_rows=MFCC_LAG_ROWS),)
        return self._live(LiveSet(config=Path(self._set.wanted.config), sinks=sinks, options=options))
