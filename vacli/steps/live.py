"""`va live`: predict valence and arousal from a camera or a stream while it runs."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from vacli.errors import InputError, UsageError
from vacli.faces.selection import check_face_choice
from vacli.media.capture import Capture
from vacli.media.frame_buffer import Captured, CapturedFrame
from vacli.media.live_input import LiveFrame
from vacli.media.live_source import Drop, LiveSource, parse_source
from vacli.media.stream_reader import CaptureSettings
from vacli.output.frame_table import FrameTable
from vacli.output.live.rows import LATENCY, LiveOutput, PredictedRows
from vacli.output.quality_filter import QualityFilter
from vacli.pipeline import live_engine
from vacli.pipeline.live import LoadedModel
from vacli.pipeline.live_engine import FLAG_SEPARATOR, LiveEngine
from vacli.pipeline.live_rows import FLAG
from vacli.progress import Progress, RecordingProgress
from vacli.runtime.interruption import postponed
from vacli.steps._live_record import LiveRecord
from vacli.steps._live_statistics import LiveStatistics
from vacli.steps._prediction_settings import PredictSettings
from vacli.steps._recording_predictor import load_model, with_extractors

REPORT_S = 1.0
LOOPBACK = "127.0.0.1"
DROPPED = "dropped"  # in the column `flag`: frames before this one have no row


@dataclass(frozen=True, kw_only=True)
class LiveSettings:
    """The source, how it is read, and where the rows go.

    source, audio, demuxer, options, audio_track: see `live_source.parse_source`. drop: None for the policy of
    the source.
    timeout_s: end if nothing arrives for so long. duration_s: end after so many seconds of the source.
    prediction: model and faces; its inputs are not used. record: folder of a table and its provenance.
    record_media: keep the media there too. force: replace files there. serve_port: of the web page, None for
    no page; host: the address that it is served at. lsl: open outlets of Lab Streaming Layer. delay_s: see
    `live_engine.LiveSettings`.
    """

    source: str
    audio: str | None = None
    demuxer: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    audio_track: int | None = None
    drop: Drop | None = None
    timeout_s: float | None = None
    duration_s: float | None = None
    prediction: PredictSettings = field(default_factory=lambda: PredictSettings(inputs=()))
    record: Path | None = None
    record_media: bool = False
    force: bool = False
    serve_port: int | None = None
    host: str = LOOPBACK
    lsl: bool = False
    delay_s: float = 0.0


@dataclass(frozen=True)
class LiveResult:
    """interruption: the signal that ended the run, None if the source ended. table: the recorded table."""

    statistics: LiveStatistics
    interruption: KeyboardInterrupt | None = None
    table: Path | None = None


def run(
    settings: LiveSettings, outputs: Sequence[LiveOutput] = (), progress: Progress | None = None
) -> LiveResult:
    """Predict until the source ends or the user interrupts; each row goes to all outputs at once.

    Raises UsageError, InputError if the source cannot be opened, and OutputError; what was written is kept.
    """
    progress = progress or RecordingProgress()
    check_face_choice(settings.prediction.face)
    if settings.record_media and settings.record is None:
        raise UsageError("--record-media needs a folder", hint="name it with --record")
    if settings.delay_s > live_engine.MAX_DELAY_S:
        most = f"--delay is at most {live_engine.MAX_DELAY_S:g} s"
        raise UsageError(most, hint="`va predict` reads files without a delay")
    source = parse_source(
        settings.source, settings.audio, settings.demuxer, settings.options, settings.audio_track
    )
    filtered = QualityFilter(settings.prediction.min_quality)
    with ExitStack() as stack:
        record = None
        if settings.record is not None:
            record = LiveRecord(settings.record, settings.record_media, settings.force)
        outputs = [*outputs, *_opened_outputs(settings, source, progress)]
        if record is not None:  # the first one: a row that somebody has seen is in the table
            outputs.insert(0, record)
        for output in outputs:
            stack.callback(output.close)
        loaded = load_model(settings.prediction, progress)
        loaded = with_extractors(loaded, settings.prediction, progress)
        session = _Session(settings, source, loaded, outputs, filtered)
        try:
            interruption = session.run(record, progress)
        finally:
            if session.has_read:
                progress.info(f"{source.name}: {session.statistics.text()}")
    if filtered.report:
        progress.info(filtered.report)
    return LiveResult(session.statistics, interruption, record.table if record and record.has_begun else None)


def _opened_outputs(settings: LiveSettings, source: LiveSource, progress: Progress) -> Iterator[LiveOutput]:
    """Open the outputs that the settings ask for."""
    if settings.lsl:
        from vacli.output.live.lsl import LslOutlets

        yield LslOutlets(source.name)
    if settings.serve_port is not None:
        from vacli.output.live.server import LivePageServer

        server = LivePageServer(settings.host, settings.serve_port, source.name)
        progress.info(f"the page is at {server.url}")
        yield server


class _Session:
    """One run over a source."""

    def __init__(
        self,
        settings: LiveSettings,
        source: LiveSource,
        loaded: LoadedModel,
        outputs: Sequence[LiveOutput],
        filtered: QualityFilter,
    ) -> None:
        self._settings, self._source, self._loaded = settings, source, loaded
        self._outputs, self._filter = outputs, filtered
        self._waiting: dict[int, CapturedFrame] = {}  # frame -> its capture, until it has its rows
        self._last_index, self._last_frame_s = -1, math.inf
        self._reported_s = time.monotonic()
        self._name = source.name
        self.statistics = LiveStatistics()

    def run(self, record: LiveRecord | None, progress: Progress) -> KeyboardInterrupt | None:
        """Predict until the end; returns the interruption, if there was one."""
        settings = self._settings
        copy = record.media_stem if record else None
        capture_settings = CaptureSettings(settings.drop, settings.timeout_s, copy)
        with self._engine(with_sound=True) as first:  # errors of the model come before the source is opened
            first.warm_up()
        interruption, engine = None, None
        with ExitStack() as stack, Capture(self._source, capture_settings, progress.warn) as capture:
            progress.info(f"waiting for {self._source.name}")
            advance = stack.enter_context(progress.task("live", None, "frames"))
            try:
                capture.wait_open()
                engine = stack.enter_context(self._engine(capture.reader.has_sound, capture.reader.rate_hz))
                for captured in capture:
                    with postponed():
                        self._add(engine, captured, capture, record)
                    if captured.frame is not None:
                        advance(1)
                        self._report(progress)
                        if self._is_over(captured.frame.frame):
                            break
            except KeyboardInterrupt as stop:
                interruption = stop
            if engine is not None and self.has_read:
                self._write(engine.finish(), None)
        self.statistics.n_dropped = capture.buffer.n_dropped
        if (reason := capture.reader.end_reason) is not None:
            if interruption is None and not self.has_read:
                raise InputError(
                    f"{self._source.name}: {reason}",
                    hint="no frame was read; name an MP4 file by its path, since its index is at the end",
                )
            progress.warn(f"{self._source.name}: {reason}")
        return interruption

    def _add(
        self, engine: LiveEngine, captured: Captured, capture: Capture, record: LiveRecord | None
    ) -> None:
        """Predict what has arrived, and write the rows that are ready."""
        for block in captured.sound:
            engine.add_sound(block)
        if captured.frame is None:
            self._write_due(engine, capture)
            return
        if record is not None and not record.has_begun:
            recording = capture.reader.recording
            self._name = record.begin(self._settings.prediction, self._source.name, recording)
        self._add_frame(engine, captured.frame)
        self.statistics.n_dropped = capture.buffer.n_dropped

    @property
    def has_read(self) -> bool:
        """Whether a frame of the source was read."""
        return self._last_index >= 0

    def _engine(self, with_sound: bool, rate_hz: float | None = None) -> LiveEngine:
        return LiveEngine(
            self._loaded,
            live_engine.LiveSettings(
                name=self._source.name,
                face=self._settings.prediction.face,
                with_sound=with_sound,
                delay_s=self._settings.delay_s,
                rate_hz=rate_hz,
            ),
        )

    def _report(self, progress: Progress) -> None:
        """Show the latency about once a second."""
        now_s = time.monotonic()
        if now_s - self._reported_s >= REPORT_S:
            self._reported_s = now_s
            progress.status(self.statistics.latency.text())

    def _is_over(self, frame: LiveFrame) -> bool:
        return self._settings.duration_s is not None and frame.time_s >= self._settings.duration_s

    def _add_frame(self, engine: LiveEngine, captured: CapturedFrame) -> None:
        frame = captured.frame
        if frame.index != self._last_index + 1:
            captured = replace(captured, flags=(DROPPED, *captured.flags))
        self._last_index, self._last_frame_s = frame.index, time.monotonic()
        self._waiting[frame.index] = captured
        self._write(engine.add_frame(frame), frame)

    def _write_due(self, engine: LiveEngine, capture: Capture) -> None:
        """Write the rows that are ready without a further frame, if the source runs in real time."""
        if capture.buffer.drop != "none":
            due = engine.rows_due(time.monotonic() - self._last_frame_s)
            if len(due):
                self._write(due, None)

    def _write(self, predicted: FrameTable, frame: LiveFrame | None) -> None:
        """Add what is known about the frames to their rows, and pass them to the outputs."""
        if not self._settings.prediction.fill:
            predicted = predicted.without_unsupported()
        table = self._filter(predicted)
        indices = table.columns["frame"].tolist()
        found = [self._waiting.get(index) for index in indices]
        captured_s = np.array([np.nan if one is None else one.captured_s for one in found], np.float64)
        latency_s = time.monotonic() - captured_s
        words: list[Any] = []
        for own, one in zip(table.columns[FLAG].tolist(), found, strict=True):
            listed = [*(one.flags if one else ()), *own.split(FLAG_SEPARATOR)]
            words.append(FLAG_SEPARATOR.join(dict.fromkeys(word for word in listed if word)))
        columns = {**table.columns, LATENCY: latency_s, FLAG: np.array(words, dtype=np.str_)}
        rows = PredictedRows(replace(table, name=self._name, columns=columns), captured_s, frame)
        for output in self._outputs:
            output.write(rows)
        self._count(rows, indices)

    def _count(self, rows: PredictedRows, indices: Sequence[int]) -> None:
        self.statistics.n_rows += len(rows.table)
        self.statistics.latency.add(time.monotonic() - rows.captured_s)
        for text in rows.table.columns[FLAG].tolist():
            self.statistics.flags.update(word for word in text.split(FLAG_SEPARATOR) if word)
        if indices:
            self._waiting = {index: one for index, one in self._waiting.items() if index >= indices[-1]}
