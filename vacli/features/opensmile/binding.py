"""openSMILE as a function: samples in, rows out, one every 10 ms.

openSMILE (audEERING) is free for research and private use only, so it is optional: everything
else works without it. Its library binding is used, not its `Smile` class: that one turns samples of
+1.0 into -1.0, warns about some feature sets, and builds an unused table of time stamps.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from vacli.errors import PackageMissing
from vacli.files import scratch
from vacli.media.audio import Sound
from vacli.runtime.concurrency import n_threads, parallel_map

RATE_HZ = 16000
HOP_S = 0.01
SOURCE, SINK = "extsource", "extsink"  # the components' names in openSMILE's include files
_BLOCK_S, _CONTEXT_S = 30, 1  # s; a row depends on less than 0.5 s to each side, through the pitch tracker
HOP = round(RATE_HZ * HOP_S)


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
    return load_library()


def load_library() -> ModuleType:
    """Load the binding of openSMILE's library. Raises PackageMissing if it is absent or broken."""
    try:
        package = importlib.util.find_spec("opensmile")
        if package is None:
            raise ImportError("no package opensmile")
        # Loaded from its file: the package imports pandas, which takes longer than a clip's features.
        path = Path(str(package.origin)).parent / "core" / "lib.py"
        spec = importlib.util.spec_from_file_location("vacli_opensmile_lib", path)
        if spec is None or spec.loader is None:
            raise ImportError(f"cannot load {path}")
        library = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(library)
        return library
    except (ImportError, OSError) as error:
        raise PackageMissing(
            f"openSMILE is not installed ({error})",
            package="opensmile",
            hint="pip install opensmile (research and private use), or leave its features out",
        ) from error


def config_folder() -> Path:
    """The folder of the configuration files that come with openSMILE."""
    return Path(str(_library().__file__)).parent / "config"


def _open(wanted: SmileSet) -> Any:
    shared = config_folder() / "shared"
    session = _library().OpenSMILE()
    options = {
        "source": shared / "standard_external_wave_input.conf.inc",
        "sink": shared / "standard_external_data_output_single.conf.inc",
        "sinkLevel": wanted.level,
        "sampleRate": RATE_HZ,
        "nBits": 16,
        "bufferModeRbConf": shared / "BufferModeRb.conf.inc",
        "bufferModeRbLagConf": shared / "BufferModeRbLag.conf.inc",
        "frameModeFunctionalsConf": shared / "FrameModeFunctionals.conf.inc",
        **wanted.options,
    }
    session.initialize(str(config_folder() / wanted.config), options, loglevel=0)
    return session


def open_live(config: Path, options: Mapping[str, object]) -> Any:
    """A session whose samples arrive while it runs, with an external source SOURCE and external sinks."""
    session = _library().OpenSMILE()
    shared = config_folder() / "shared"
    buffers = {
        "bufferModeRbConf": shared / "BufferModeRb.conf.inc",
        "bufferModeRbLagConf": shared / "BufferModeRbLag.conf.inc",
        "bufferModeConf": shared / "BufferModeRbLag.conf.inc",  # not for functionals: constant size
    }
    session.initialize(str(config), {**buffers, **options}, loglevel=0)
    return session


@functools.cache
def _names(config: str, level: str) -> tuple[str, ...]:
    session = _open(SmileSet(config=config, level=level))
    try:
        count = session.external_sink_get_num_elements(SINK)
        return tuple(session.external_sink_get_element_name(SINK, i) for i in range(count))
    finally:
        session.free()


def column_names(wanted: SmileSet) -> tuple[str, ...]:
    """openSMILE's names of the columns."""
    return _names(wanted.config, wanted.level)


def _collect_rows(session: Any) -> list[bytes]:
    """The list to which a session appends its rows while it runs.

    The package's own callback makes an array of each row, which takes ten times as long and keeps Python's
    lock from the other threads.
    """
    rows: list[bytes] = []

    def append(values: Any, n_rows: int, n_columns: int, meta: object, parameter: object) -> int:
        rows.append(ctypes.string_at(values, 4 * n_rows * n_columns))
        return 1

    library = _library()
    callback = library.ExternalSinkCallbackEx(append)
    session._callbacks.append(callback)  # which keeps it alive
    code = library.smileapi.smile_extsink_set_data_callback_ex(
        session._smileobj, SINK.encode(), callback, None
    )
    session._check_smile_result(code)
    return rows


def recorded_samples(sound: Sound) -> tuple[int, np.ndarray]:
    """The first row that begins inside the recording, and the samples up to its end.

    The samples of `sound` are padded to the length of the picture.
    """
    start_s, end_s = sound.present[0][0], sound.present[-1][1]
    return math.ceil(start_s / HOP_S - 1e-6), sound.samples[: round(end_s * RATE_HZ)]


def to_int16(samples: np.ndarray) -> np.ndarray:
    """16-bit samples as openSMILE reads them; +1.0 is clipped, since 32768 would wrap."""
    return np.clip(samples * np.float32(32768), -32768, 32767).astype(np.int16)


def run(wanted: SmileSet, samples: np.ndarray) -> np.ndarray:
    """All rows of one pass over `samples`.

    samples: (S,) float32 at 16 kHz. Returns: (R, D) float32; R is 0 below one analysis frame.
    """
    session = _open(wanted)
    try:
        rows = _collect_rows(session)
        session.external_audio_source_write_data(SOURCE, to_int16(samples).tobytes())
        session.external_audio_source_set_eoi(SOURCE)
        session.run()
    finally:
        session.free()
        scratch.return_freed_memory()
    width = len(column_names(wanted))
    return np.frombuffer(b"".join(rows), np.float32).reshape(-1, width)


@dataclass(frozen=True)
class _Block:
    start: int  # samples
    end: int
    skip: int  # rows at the start, which are context only
    count: int | None  # rows to keep after those; None: all


@dataclass(frozen=True, kw_only=True)
class Span:
    """Rows start `hop_rows` x 10 ms apart and depend on `window_s` after their start."""

    hop_rows: int = 1
    window_s: float = 0.0  # in addition to the context of every row


def _blocks(size: int, span: Span) -> list[_Block]:
    """Overlapping blocks whose inner rows equal those of one pass over all samples."""
    hop = span.hop_rows * HOP
    length = _BLOCK_S * RATE_HZ // hop * hop
    before = -(-_CONTEXT_S * RATE_HZ // hop) * hop
    after = round((_CONTEXT_S + span.window_s) * RATE_HZ)
    blocks = []
    for start in range(0, size, length):
        first = max(0, start - before)
        if start + length + after >= size:
            blocks.append(_Block(first, size, (start - first) // hop, None))
            break
        blocks.append(_Block(first, start + length + after, (start - first) // hop, length // hop))
    return blocks


def run_long(wanted: SmileSet, samples: np.ndarray, span: Span = Span()) -> np.ndarray:
    """The rows of `run`, computed in blocks on all cores; memory does not grow with the length.

    samples: (S,) float32 at 16 kHz. Returns: (R, D) float32; many rows lie in a file, see `scratch`.
    """

    def rows_of(block: _Block) -> np.ndarray:
        rows = run(wanted, samples[block.start : block.end])[block.skip :]
        scratch.release(samples)
        return rows if block.count is None else rows[: block.count]

    blocks = _blocks(len(samples), span)
    if len(blocks) == 1:
        return rows_of(blocks[0])
    most = len(samples) // (span.hop_rows * HOP) + 1
    rows, count = scratch.empty((most, len(column_names(wanted)))), 0
    threads = n_threads()
    for found in parallel_map(rows_of, blocks, threads, threads):  # openSMILE runs without Python's lock
        rows[count : count + len(found)] = found
        count += len(found)
        scratch.release(rows)
    return rows[:count]
