"""`va overlay`: frames a second against a plain transcode with the same encoder and settings."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from synth.overlays import table_at, times_of

from vacli.media.video_writer import H264, MUXER_OPTIONS
from vacli.progress import RecordingProgress
from vacli.steps._overlay_video import Drawing, write_overlay

ROUNDS = 5
BOUND = 0.6  # of the speed of the transcode


def transcode(source: Path, out: Path) -> None:
    """The plain way: decode with all threads, encode at the same size, copy the sound."""
    with av.open(str(source)) as given, av.open(str(out), "w", options=MUXER_OPTIONS["mp4"]) as made:
        video = given.streams.video[0]
        video.thread_type = "AUTO"
        stream = made.add_stream(H264.name, rate=video.average_rate, options=H264.options)
        stream.width, stream.height = video.width // 2 * 2, video.height // 2 * 2
        stream.pix_fmt, stream.thread_type = "yuv420p", "FRAME"
        stream.time_base = stream.codec_context.time_base = video.time_base
        sound = next(iter(given.streams.audio), None)
        copied = made.add_stream_from_template(sound) if sound else None
        for packet in given.demux([one for one in (video, sound) if one]):
            if packet.stream is not video:
                if packet.size:
                    packet.stream = copied
                    made.mux(packet)
                continue
            for frame in packet.decode():
                shown = frame.reformat(stream.width, stream.height, "yuv420p")
                shown.pict_type = 0
                made.mux(stream.encode(shown))
        made.mux(stream.encode(None))


@pytest.mark.parametrize("number", ["07", "11", "20", "21"])
def test_frames_a_second_against_a_transcode(benchmark, clips: Path, tmp_path: Path, number: str) -> None:
    """Two faces are drawn on every frame; the table is given, so nothing is predicted."""
    source = next(clips.glob(f"{number}_*"))
    times_s = times_of(source)
    faces = [(80 + 100 * face, 60, 90, 120) for face in range(2)]
    wave = 0.6 * np.sin(times_s)
    tables = [table_at(times_s, source.name, face, box, valence=wave) for face, box in enumerate(faces)]

    def overlay(source: Path, out: Path) -> None:
        write_overlay(source, tables, out, Drawing(), RecordingProgress())

    overlay(source, tmp_path / "warm.mp4")
    wall_s: dict[Callable, list[float]] = {transcode: [], overlay: []}
    processor_s: dict[Callable, list[float]] = {transcode: [], overlay: []}
    for round_ in range(ROUNDS):
        for write in (transcode, overlay)[:: 1 if round_ % 2 else -1]:
            start_s, started_s = time.perf_counter(), time.process_time()
            write(source, tmp_path / f"{write.__name__}.mp4")
            wall_s[write].append(time.perf_counter() - start_s)
            processor_s[write].append(time.process_time() - started_s)
    benchmark.pedantic(overlay, args=(source, tmp_path / "last.mp4"), rounds=1)
    benchmark.extra_info.update(
        ratio=min(wall_s[transcode]) / min(wall_s[overlay]),
        median_of_pairs=float(np.median(np.divide(wall_s[transcode], wall_s[overlay]))),
        processor_ratio=min(processor_s[transcode]) / min(processor_s[overlay]),
        bound=BOUND,
        error=float(np.abs(times_of(tmp_path / "overlay.mp4") - times_s).max()),
        frames_per_s=len(times_s) / min(wall_s[overlay]),
        name=f"overlay of clip {number} against a transcode",
    )
