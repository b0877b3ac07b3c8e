"""Live runs: rows, flags, latencies, records and interruptions; and the values of `va predict`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from synth.clips import Clip, steady, write_clip
from synth.live_runs import CountingEngine
from synth.senders import http_sender, hurried, transport_stream

from vacli.errors import InputError, OutputError, UsageError
from vacli.media.demo_clip import write_demo_clip
from vacli.media.frame_buffer import START_FRAMES
from vacli.output.columns import LIVE_COLUMNS
from vacli.output.frame_table import FrameTable
from vacli.output.live.rows import PredictedRows
from vacli.output.table_reader import read_table_file
from vacli.progress import RecordingProgress
from vacli.steps import live, predict
from vacli.steps._live_statistics import LatencyMeter
from vacli.steps._prediction_settings import PredictSettings
from vacli.steps.live import LiveResult, LiveSettings

SECONDS, EVENTS = 1.6, (10, 30)
COUNT = 40  # frames
MAX_DIFFERENCE = 0.05  # of a row from that of the whole file, see `pipeline.live_engine`


class Collected:
    """An output that keeps all rows; it interrupts the run after some rows."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.tables: list[FrameTable] = []
        self.is_closed = False
        self._stop_after = stop_after

    def write(self, rows: PredictedRows) -> None:
        self.tables.append(rows.table)
        if self._stop_after is not None and sum(map(len, self.tables)) == self._stop_after:
            self._stop_after = None
            raise KeyboardInterrupt

    def close(self) -> None:
        self.is_closed = True

    def column(self, name: str) -> np.ndarray:
        return np.concatenate([table.columns[name] for table in self.tables])


@pytest.fixture
def clip(tmp_path) -> Path:
    facts = {"times_s": steady(25, SECONDS), "events": EVENTS, "sound_spans": ((0.0, SECONDS),)}
    return write_clip(tmp_path / "clip.ts", Clip(**facts, options={"bf": "0", "g": "10"}))


@pytest.fixture
def counting(monkeypatch) -> None:
    """Runs need no model."""
    monkeypatch.setattr(live, "LiveEngine", CountingEngine)
    monkeypatch.setattr(live, "load_model", lambda *others: None)
    monkeypatch.setattr(live, "with_extractors", lambda *others: None)


def run(
    source: object, stop_after: int | None = None, **settings: object
) -> tuple[LiveResult, Collected, RecordingProgress]:
    output, progress = Collected(stop_after), RecordingProgress()
    result = live.run(LiveSettings(source=str(source), **settings), [output], progress)
    assert output.is_closed
    return result, output, progress


@pytest.mark.usefixtures("counting")
def test_each_frame_has_a_row_with_its_latency(clip):
    result, output, progress = run(clip)
    assert output.column("frame").tolist() == list(range(40))
    assert (output.column("valence") > 0.8).nonzero()[0].tolist() == list(EVENTS)
    assert set(output.tables[0].columns) == set(LIVE_COLUMNS) - {"input"}
    assert (output.column("latency_s") >= 0).all()
    assert result.interruption is None
    assert result.statistics.n_rows == 40
    assert progress.messages[-1].startswith(f"{clip}: 40 rows, 0 frames dropped, latency ")
    assert progress.warnings == []


@pytest.mark.usefixtures("counting")
def test_record_has_the_printed_rows_and_the_media(clip, tmp_path):
    _, output, _ = run(clip, record=tmp_path / "out", record_media=True)
    (table,) = read_table_file(tmp_path / "out" / "live.csv").tables
    np.testing.assert_allclose(table.columns["valence"], output.column("valence"), atol=1e-4)
    assert table.name == str(tmp_path / "out" / "live.ts")
    made = json.loads((tmp_path / "out" / "live.csv.provenance.json").read_text())
    assert set(made["files"]) == {"live.csv", "live.ts"}
    assert made["inputs"] == [{"name": str(clip)}]
    assert made["model"]["name"] == "bundled"
    with pytest.raises(OutputError, match="exists"):
        run(clip, record=tmp_path / "out")
    run(clip, record=tmp_path / "out", force=True)
    assert not (tmp_path / "out" / "live.ts").exists()


@pytest.mark.usefixtures("counting")
def test_interruption_keeps_everything_and_shows_the_counts(clip, tmp_path):
    result, _, progress = run(clip, stop_after=12, record=tmp_path / "out")
    assert isinstance(result.interruption, KeyboardInterrupt)
    (table,) = read_table_file(tmp_path / "out" / "live.csv").tables
    assert 11 <= len(table) <= 12
    assert any("frames dropped" in message for message in progress.messages)


@pytest.mark.usefixtures("counting")
def test_a_row_is_recorded_before_it_is_shown(clip, tmp_path):
    recorded = []

    class Reader(Collected):
        def write(self, rows: PredictedRows) -> None:
            super().write(rows)
            tables = read_table_file(tmp_path / "out" / "live.csv").tables
            recorded.append(sum(map(len, tables)) - sum(map(len, self.tables)))

    live.run(LiveSettings(source=str(clip), record=tmp_path / "out"), [Reader()], RecordingProgress())
    assert len(recorded) >= COUNT
    assert set(recorded) == {0}


@pytest.mark.usefixtures("counting")
def test_a_run_that_does_not_start_leaves_an_earlier_record_as_it_was(clip, tmp_path, monkeypatch):
    out = tmp_path / "out"
    run(clip, record=out, record_media=True)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    (tmp_path / "none.ts").write_bytes(bytes(1000))
    with pytest.raises(InputError):
        run(tmp_path / "none.ts", record=out, force=True)
    with monkeypatch.context() as patch, pytest.raises(UsageError):
        patch.setattr(live, "load_model", _no_model)
        run(clip, record=out, force=True)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    with monkeypatch.context() as patch, pytest.raises(UsageError):
        patch.setattr(live, "load_model", _no_model)
        run(clip, record=tmp_path / "new")
    run(clip, record=tmp_path / "new")  # nothing is in the way


def _no_model(*others: object) -> None:
    raise UsageError("nowhere is not a trained run")


@pytest.mark.usefixtures("counting")
def test_duration_ends_the_run(clip):
    _, output, _ = run(clip, duration_s=0.5)
    assert 0.5 <= output.column("time_s")[-1] < 0.6


@pytest.mark.usefixtures("counting")
def test_dropped_frames_are_flagged_and_counted(clip, monkeypatch):
    real = live.Capture.wait_open

    def wait_until_all_is_read(capture: live.Capture) -> None:
        real(capture)
        capture._thread.join()

    monkeypatch.setattr(live.Capture, "wait_open", wait_until_all_is_read)
    result, output, _ = run(clip, drop="oldest")
    assert output.column("frame").tolist() == list(range(COUNT - START_FRAMES, COUNT))
    assert output.column("flag").tolist() == ["dropped"] + [""] * (START_FRAMES - 1)
    assert result.statistics.n_dropped == COUNT - START_FRAMES
    assert result.statistics.flags == {"dropped": 1}


def test_long_delays_are_usage_errors():
    with pytest.raises(UsageError, match="--delay is at most 2 s"):
        live.run(LiveSettings(source="-", delay_s=2.5))


@pytest.mark.usefixtures("counting")
def test_source_without_a_frame_has_no_counts(tmp_path):
    (tmp_path / "noise.ts").write_bytes(bytes(1000))
    progress = RecordingProgress()
    with pytest.raises(InputError):
        live.run(LiveSettings(source=str(tmp_path / "noise.ts")), [], progress)
    assert not any("frames dropped" in message for message in progress.messages)


def test_media_are_recorded_in_a_folder_only():
    with pytest.raises(UsageError, match="--record-media needs a folder"):
        live.run(LiveSettings(source="-", record_media=True))


def test_latency_meter_has_constant_memory_and_the_quantiles():
    meter, latencies_s = LatencyMeter(), np.random.default_rng(0).gamma(4, 0.01, 20_000)
    for part in np.split(latencies_s, 200):
        meter.add(part)
    meter.add(np.array([np.nan, 30.0]))
    for fraction in (0.5, 0.95):
        assert meter.quantile_s(fraction) == pytest.approx(np.quantile(latencies_s, fraction), abs=0.0011)
    assert meter.worst_s == 30
    assert LatencyMeter().text() == "no latency yet"


def test_values_of_a_stream_are_those_of_the_file(tmp_path):
    write_demo_clip(tmp_path / "clip.mp4", 1.2)
    stream = transport_stream(tmp_path / "clip.mp4")
    path = tmp_path / "clip.ts"
    path.write_bytes(b"".join(data for _, data in stream))
    tables: list[FrameTable] = []
    predict.run(PredictSettings(inputs=(path,)), tables.append)
    with http_sender(hurried(stream, 4)) as url:
        _, output, _ = run(url, drop="none")
    expected = tables[0].columns
    np.testing.assert_allclose(output.column("time_s"), expected["time_s"], atol=1e-9)
    np.testing.assert_array_equal(output.column("face_detected"), expected["face_detected"])
    np.testing.assert_allclose(output.column("face_x"), expected["face_x"], atol=0.1)
    for name in ("valence", "arousal"):
        difference = np.abs(output.column(name) - expected[name])
        assert np.nanmax(difference) < MAX_DIFFERENCE, name
