"""The live engine: one frame of the bundled model against its window again, and all of a frame with sound.

Also the memory of a long stream, of VA_BENCH_LIVE_S seconds (7200 for the two hours that are stated).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import numpy as np
from synth.faces import scene

from vacli.inference.prediction import model_outputs
from vacli.inference.run import BUNDLED, load_run
from vacli.inference.step_predictor import StepPredictor
from vacli.media.live_input import LiveFrame, SoundBlock
from vacli.media.synthetic_speech import RATE_HZ, syllables
from vacli.pipeline.live_engine import LiveEngine, LiveSettings
from vacli.progress import RecordingProgress
from vacli.sequences.base import FeatureSequence
from vacli.steps._prediction_settings import PredictSettings
from vacli.steps._recording_predictor import load_model, with_extractors

WINDOW, FILE = 300, 3_000  # frames
FRAME_RATE_HZ = 30
P95_MS = 60.0
LIVE_S, LIVE_RATE_HZ, N_MEASURED = float(os.environ.get("VA_BENCH_LIVE_S", "120")), 10, 12
GROWTH_MB = 10.0  # after the first twelfth


def seconds(function: Callable[[], object]) -> float:
    start = perf_counter()
    function()
    return perf_counter() - start


def sequence(frames: int) -> FeatureSequence:
    draw, recipe = np.random.default_rng(0), load_run(BUNDLED).recipe
    streams = {s.name: draw.standard_normal((frames, s.dim)).astype(np.float32) for s in recipe.model.streams}
    return FeatureSequence(video="x", times_s=np.arange(frames) / FRAME_RATE_HZ, streams=streams)


def test_step_of_the_bundled_model(benchmark):
    """`ratio`: running the window of 300 frames for each new one, over one step.

    file_ratio: a step over a frame of a file in windows, which are why files are predicted in windows.
    """
    run, rows, file = load_run(BUNDLED), sequence(WINDOW), sequence(FILE)
    whole, predictor, outputs, times = model_outputs(run, rows), StepPredictor(run), [], []
    for t in range(WINDOW):
        frame = {name: x[t : t + 1] for name, x in rows.streams.items()}
        start = perf_counter()
        outputs.append(predictor.step(frame, {})[0])
        times.append(perf_counter() - start)
    plain = median(seconds(lambda: model_outputs(run, rows)) for _ in range(9))
    windows = median(seconds(lambda: model_outputs(run, file)) for _ in range(3)) / FILE
    benchmark(predictor.step, frame, {})
    first = run.recipe.window.stride_frames  # a running source has a second window from here on
    error = float(np.abs(np.stack(outputs, axis=1) - whole)[:, :first].max())
    benchmark.extra_info.update(
        ratio=plain / median(times),
        bound=10.0,
        error=error,
        error_bound=1e-5,
        step_ms=1e3 * median(times),
        file_ratio=median(times) / windows,
    )
    assert error < 1e-5


def test_a_frame_of_the_live_engine(benchmark):
    """`p95_ms` of `add_frame` with a face of 640 x 360 px and sound; CPU time of a frame with its sound."""
    settings, progress = PredictSettings(inputs=()), RecordingProgress()
    loaded = with_extractors(load_model(settings, progress), settings, progress)
    wall = np.tile(np.linspace(60, 130, 640, dtype=np.uint8)[None, :, None], (360, 1, 3))
    pictures = []
    for k in range(60):
        picture = wall.copy()
        picture[60:300, 160:480] = scene((160 + 20 * np.sin(k / 9.6), 120))
        pictures.append(picture)
    sound, times, sound_busy = syllables(30), [], 0.0
    with LiveEngine(loaded, LiveSettings(name="x", rate_hz=FRAME_RATE_HZ)) as engine:
        numbers = iter(range(10**6))

        def frame() -> None:
            nonlocal sound_busy
            k = next(numbers)
            start = round(max(k - 1, 0) / FRAME_RATE_HZ * RATE_HZ)
            part = sound[start % len(sound) :][: round(k / FRAME_RATE_HZ * RATE_HZ) - start]
            before = process_time()
            engine.add_sound(SoundBlock(start / RATE_HZ, part))
            sound_busy += process_time() - before
            begin = perf_counter()
            engine.add_frame(LiveFrame(k, k / FRAME_RATE_HZ, pictures[k % len(pictures)]))
            times.append(perf_counter() - begin)

        for _ in range(FRAME_RATE_HZ):
            frame()
        times.clear()
        busy = process_time()
        for _ in range(10 * FRAME_RATE_HZ):
            frame()
        busy = process_time() - busy
        benchmark.pedantic(frame, rounds=60)
    benchmark.extra_info.update(
        p50_ms=1e3 * float(np.percentile(times, 50)),
        p95_ms=1e3 * float(np.percentile(times, 95)),
        p95_ms_bound=P95_MS,
        cores=busy / 10,
        cores_bound=1.0,
        sound_ms=1e3 * sound_busy / next(numbers),
    )


def resident_mb() -> float:
    """The memory of this process that is not shared."""
    pages = Path("/proc/self/statm").read_text().split()
    return (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGE_SIZE") / 1e6


def test_memory_of_a_long_stream(benchmark):
    """`growth_mb` from a twelfth of the stream to its end, with a moving face of 320 x 180 px and sound."""
    settings, progress = PredictSettings(inputs=()), RecordingProgress()
    loaded = with_extractors(load_model(settings, progress), settings, progress)
    pictures = [scene((110 + 30 * np.sin(k / 9.6), 120))[30:210] for k in range(60)]
    sound, memory_mb = syllables(30), []
    n_frames = round(LIVE_S * LIVE_RATE_HZ)
    step = RATE_HZ // LIVE_RATE_HZ

    def stream() -> None:
        with LiveEngine(loaded, LiveSettings(name="x", rate_hz=LIVE_RATE_HZ)) as engine:
            for k in range(n_frames):
                part = sound[k * step % len(sound) :][:step]
                engine.add_sound(SoundBlock(k / LIVE_RATE_HZ, part))
                rows = engine.add_frame(LiveFrame(k, k / LIVE_RATE_HZ, pictures[k % len(pictures)]))
                assert k < 2 or rows.columns["face_detected"].all()
                if (k + 1) % (n_frames // N_MEASURED) == 0:
                    memory_mb.append(resident_mb())
                    print(f"{k / LIVE_RATE_HZ:.0f} s: {memory_mb[-1]:.1f} MB", flush=True)

    benchmark.pedantic(stream, rounds=1)
    benchmark.extra_info.update(
        stream_s=LIVE_S,
        memory_mb=memory_mb,
        growth_mb=memory_mb[-1] - memory_mb[0],
        growth_mb_bound=GROWTH_MB,
        pace=LIVE_S / benchmark.stats.stats.total,
    )
