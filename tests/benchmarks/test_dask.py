"""Two Dask workers of one thread against two threads of one process, on clips of three seconds.

The cluster is started before the timing, as with `--dask tcp://HOST:PORT`; what its start and the first task
of each worker cost is recorded.
"""

from __future__ import annotations

import os
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from synth.clips import Clip, steady, write_clip
from synth.faces import SIZE_PX, scene

from vacli.progress import RecordingProgress
from vacli.runtime.executor import DaskChoice
from vacli.steps import extract_audio, predict_folder
from vacli.steps._prediction_settings import PredictSettings
from vacli.store import Store

pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings("default")

CLIPS = int(os.environ.get("VA_BENCH_CLIPS", "100"))
SECONDS = 3.0
WORKERS = 2
ROUNDS = 3
BOUND = 0.9


@pytest.fixture(scope="module")
def media(tmp_path_factory) -> Path:
    """Different clips with a face that moves and a sound."""
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    for number in range(CLIPS):
        x, y = rng.integers(90, 130, 2)
        pitch_hz = float(rng.integers(90, 250))

        def picture(row: int, x: int = int(x), y: int = int(y)) -> np.ndarray:
            return scene((x + row % 9, y + row % 7))

        def sound(times_s: np.ndarray, pitch_hz: float = pitch_hz) -> np.ndarray:
            return 0.3 * np.sin(2 * np.pi * pitch_hz * times_s) * (np.sin(2 * np.pi * 3 * times_s) > -0.3)

        spans = ((0.0, SECONDS),)
        content = Clip(steady(25, SECONDS), size_px=SIZE_PX, sound_spans=spans, picture=picture, sound=sound)
        write_clip(folder / f"c{number:03d}.mp4", content)
    return folder


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[str, float]]:
    """The address of two workers, and how long their start took."""
    from vacli.runtime.dask_executor import DaskExecutor

    start = time.perf_counter()
    with DaskExecutor(DaskChoice(None, WORKERS), False, RecordingProgress()) as executor:
        yield executor.client.scheduler.address, time.perf_counter() - start


def predict(media: Path, out: Path, dask: str | None) -> dict[str, bytes]:
    """Predict all clips; the tables."""
    prediction = PredictSettings(inputs=(media,), device="cpu", dask=dask)
    settings = predict_folder.PredictFolderSettings(prediction=prediction, folder=out, jobs=WORKERS)
    batch = predict_folder.run(settings)
    assert len(batch.done) == CLIPS, batch.failed
    return {path.name: path.read_bytes() for path in out.glob("*.csv")}


def extract(media: Path, out: Path, dask: str | None) -> dict[str, bytes]:
    """Extract the audio features of all clips; their rows."""
    settings = extract_audio.ExtractAudioSettings(
        inputs=(media,), store=out, features=("egemaps", "mfcc39"), workers=WORKERS, dask=dask
    )
    batch = extract_audio.run(settings)
    assert len(batch.done) == CLIPS, batch.failed
    views = Store.open(out).videos()
    return {
        f"{view.id} {name}": view.read(f"feature/{name}").tobytes()
        for view in views
        for name in ("egemaps", "mfcc39")
    }


@pytest.mark.parametrize("step", [predict, extract])
def test_throughput_of_two_workers(
    step: Callable[[Path, Path, str | None], dict[str, bytes]],
    media: Path,
    cluster: tuple[str, float],
    tmp_path: Path,
    benchmark,
) -> None:
    address, starting_s = cluster

    def timed(dask: str | None, inputs: Path = media) -> tuple[float, dict[str, bytes]]:
        out = tmp_path / "out.zarr"
        start = time.perf_counter()
        made = step(inputs, out, dask)
        seconds = time.perf_counter() - start
        shutil.rmtree(out)
        return seconds, made

    first_s, expected = timed(address)  # imports and loads in the workers
    timed(None)
    pairs = []
    for number in range(ROUNDS):
        order = (None, address) if number % 2 else (address, None)
        seconds = {}
        for dask in order:
            seconds[dask], made = timed(dask)
            assert made == expected
        pairs.append(seconds)
    ratios = [seconds[None] / seconds[address] for seconds in pairs]
    benchmark.extra_info.update(
        ratio=statistics.median(ratios),
        ratios=ratios,
        bound=BOUND,
        error=0.0,
        name=f"throughput of two Dask workers over that of two threads: {step.__name__}",
        local_s=[seconds[None] for seconds in pairs],
        dask_s=[seconds[address] for seconds in pairs],
        cluster_start_s=starting_s,
        first_run_more_s=first_s - statistics.median(seconds[address] for seconds in pairs),
    )
    benchmark.pedantic(lambda: None, rounds=1)
    assert statistics.median(ratios) >= BOUND
