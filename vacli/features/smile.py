"""openSMILE as a function: samples in, rows out, one every 10 ms.

openSMILE (audEERING) is free for research and private use only, so it is optional: everything
else works without it. Its Python wrapper is left aside for its library binding, because the
wrapper wraps samples of +1.0 to -1.0, warns of the sets that we want, and builds a table of time
stamps that we do not need.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import numpy as np

from vacli.errors import PackageMissing

RATE_HZ = 16000
HOP_S = 0.01
LICENCE = "audEERING openSMILE licence: research and private use"
_SOURCE, _SINK = "extsource", "extsink"  # the components' names in openSMILE's include files
_BLOCK_S, _CONTEXT_S = 120, 2  # rows depend on well under half a second to each side
_HOP = round(RATE_HZ * HOP_S)


@dataclass(frozen=True, kw_only=True)
class SmileSet:
    """A configuration file and the level of it that is read.

    `config` is a path inside openSMILE's own configuration folder, or an absolute one.
    """

    config: str
    level: str = "lld"
    options: Mapping[str, object] = field(default_factory=dict)


@functools.cache
def _library() -> ModuleType:
    try:
        return importlib.import_module("opensmile.core.lib")
    except ImportError as error:
        raise PackageMissing(
            f"openSMILE is not installed ({error})",
            hint="pip install opensmile (research and private use), or leave its features out",
        ) from error


def config_folder() -> Path:
    """Where openSMILE keeps the configuration files that come with it."""
    return Path(str(_library().__file__)).parent / "config"


def _opened(wanted: SmileSet) -> object:
    shared = config_folder() / "shared"
    session = _library().OpenSMILE()
    options = {
        "source": shared / "standard_external_wave_input.conf.inc",
        "sink": shared / "standard_external_data_output_single.conf.inc",
        "sinkLevel": wanted.level,
        "sampleRate": RATE_HZ,
        "nBits": 16,
        "bufferModeRbConf": shared / "BufferModeRb.conf.inc",
        "frameModeFunctionalsConf": shared / "FrameModeFunctionals.conf.inc",
        **wanted.options,
    }
    session.initialize(str(config_folder() / wanted.config), options, loglevel=0)
    return session


@functools.cache
def _names(config: str, level: str) -> tuple[str, ...]:
    session = _opened(SmileSet(config=config, level=level))
    try:
        count = session.external_sink_get_num_elements(_SINK)
        return tuple(session.external_sink_get_element_name(_SINK, i) for i in range(count))
    finally:
        session.free()


def column_names(wanted: SmileSet) -> tuple[str, ...]:
    """The names that openSMILE itself gives the columns."""
    return _names(wanted.config, wanted.level)


def to_int16(samples: np.ndarray) -> np.ndarray:
    """16-bit samples as openSMILE reads them; +1.0 is clipped, since 32768 would wrap."""
    return np.clip(samples * np.float32(32768), -32768, 32767).astype(np.int16)


def run(wanted: SmileSet, samples: np.ndarray) -> np.ndarray:
    """All rows of one pass over `samples`.

    samples: (S,) float32 at 16 kHz. Returns: (R, D) float32; R is 0 below one analysis frame.
    """
    library = _library()
    session = _opened(wanted)
    rows: list[bytes] = []

    def take(values, count, size, meta, _) -> int:
        rows.append(ctypes.string_at(values, 4 * count * size))
        return 1

    callback = library.ExternalSinkCallbackEx(take)  # must outlive the run
    library.smileapi.smile_extsink_set_data_callback_ex(session._smileobj, _SINK.encode(), callback, None)
    try:
        session.external_audio_source_write_data(_SOURCE, to_int16(samples).tobytes())
        session.external_audio_source_set_eoi(_SOURCE)
        session.run()
    finally:
        session.free()
    width = len(column_names(wanted))
    return np.frombuffer(b"".join(rows), np.float32).reshape(-1, width)


def _blocks(size: int) -> Iterator[tuple[int, int, int, int | None]]:
    """(first sample, last sample, first row, rows) of blocks that overlap by their context."""
    block, context = _BLOCK_S * RATE_HZ, _CONTEXT_S * RATE_HZ
    for start in range(0, size, block):
        before = min(start, context)
        last = start + block >= size - context
        end = size if last else start + block + context
        yield start - before, end, before // _HOP, None if last else block // _HOP
        if last:
            return


def run_long(wanted: SmileSet, samples: np.ndarray) -> np.ndarray:
    """The rows of `run`, made in blocks of two minutes so that an hour needs no more memory."""
    parts = []
    for start, end, skip, count in _blocks(len(samples)):
        rows = run(wanted, samples[start:end])
        parts.append(rows[skip:] if count is None else rows[skip : skip + count])
    return np.concatenate(parts) if parts else np.empty((0, len(column_names(wanted))), np.float32)
