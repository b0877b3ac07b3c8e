"""Audio features at every video frame, each over the plain way on the same sound.

`ratio` is the plain way's time over ours, the least of interleaved rounds; `bound` is what was asked.
VA_BENCH_SOUND_S sets the length of the sound; the plain ways are timed on a few of its windows.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from synth.sounds import RATE_HZ, sound, voice
from synth.vggish_weights import random_net, write_checkpoint

from vacli.datasets.audio_augmentation import write_wav
from vacli.features.opensmile import binding as smile
from vacli.features.registry import create
from vacli.features.speech_activity import extractor as speech_activity
from vacli.features.vggish.extractor import Vggish, first_frames
from vacli.features.vggish.log_mel import log_mel_around
from vacli.features.vggish.shared import TapConv
from vacli.media.audio import read_sound
from vacli.runtime.concurrency import n_cores, parallel_map
from vacli.runtime.devices import multiplies_bfloat16
from vacli.runtime.options import ExecutionOptions
from vacli.steps.extract_audio import ExtractAudioSettings, run
from vacli.store import Store

SECONDS = float(os.environ.get("VA_BENCH_SOUND_S", "20"))
FILES = int(os.environ.get("VA_BENCH_FILES", "8"))
ROUNDS = 4
COSINE_ERROR = {"float32": 1e-6, "bfloat16": 5e-4}  # the largest one that is accepted, for each dtype
RATES_HZ = {"25": 25.0, "29.97": 30000 / 1001}


def seconds_of(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(benchmark, ours: Callable[[], object], plain: Callable[[], object], plain_share: float) -> float:
    """Ratio of the plain way's time, of which `plain` does a share, to ours; rounds take turns."""
    ours()
    times = [(seconds_of(ours), seconds_of(plain)) for _ in range(ROUNDS)]
    benchmark.pedantic(ours, rounds=1)
    fastest, plain_s = (min(column) for column in zip(*times, strict=True))
    return plain_s / plain_share / fastest


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = write_checkpoint(tmp_path_factory.mktemp("weights") / "vggish.pth", random_net())
    yield path
    path.unlink()


@pytest.fixture(scope="module", params=list(COSINE_ERROR))
def vggish(checkpoint, request):
    if request.param == "bfloat16" and not multiplies_bfloat16(torch.device("cpu")):
        pytest.skip("the processor has no bfloat16 units")
    return Vggish(weights=checkpoint, execution=ExecutionOptions(dtype=request.param, device="cpu"))


def cosine_error(rows: np.ndarray, others: np.ndarray) -> float:
    norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(others, axis=1)
    return float(1 - ((rows * others).sum(axis=1) / norms).min())


@pytest.mark.parametrize("rate_hz", RATES_HZ.values(), ids=RATES_HZ)
def test_vggish_at_every_frame_against_a_patch_at_a_time(vggish, checkpoint, benchmark, rate_hz):
    """`ratio`: over the network in float32, as in torchvggish; `same_dtype`: over that of the extractor."""
    samples = voice(SECONDS)
    times_s = np.arange(int(SECONDS * rate_hz)) / rate_hz
    rows = vggish.extract(sound(samples), times_s)
    few = np.linspace(0, len(times_s) - 1, 20).astype(int)
    starts = first_frames(times_s[few], vggish.align)
    patches = [torch.from_numpy(log_mel_around(samples, int(s), 96))[None, None] for s in starts]
    plain = Vggish(weights=checkpoint, execution=ExecutionOptions(dtype="float32", device="cpu"))

    def patch_at_a_time(extractor: Vggish = plain) -> np.ndarray:
        with torch.inference_mode():
            return torch.cat([extractor.net(patch.to(extractor.dtype)).float() for patch in patches]).numpy()

    error, bound = cosine_error(patch_at_a_time(), rows[few]), COSINE_ERROR[str(vggish.dtype)[6:]]
    assert error < bound
    share = len(few) / len(times_s)
    same_s = min(seconds_of(lambda: patch_at_a_time(vggish)) for _ in range(ROUNDS)) / share
    ours_s = min(seconds_of(lambda: vggish.extract(sound(samples), times_s)) for _ in range(ROUNDS))
    ratio = compare(benchmark, lambda: vggish.extract(sound(samples), times_s), patch_at_a_time, share)
    benchmark.extra_info.update(
        ratio=ratio, bound=10, error=error, error_bound=bound, same_dtype=same_s / ours_s
    )


@pytest.mark.parametrize("count", [32, 1500], ids=["one batch", "a minute"])
def test_vggish_against_batches_of_32_patches(vggish, benchmark, monkeypatch, count):
    """Windows at 25 Hz with shared maps, over the plain network of the same dtype on 32 windows at a time."""
    times_s = 0.6 + np.arange(count) / 25
    recording = sound(voice(times_s[-1] + 0.6))
    few = min(count, 256)  # windows that the plain way is timed on

    def batches() -> np.ndarray:
        with monkeypatch.context() as patch:
            patch.setattr(vggish, "shared", None)
            return vggish.extract(recording, times_s[:few])

    error, bound = (
        cosine_error(batches(), vggish.extract(recording, times_s)[:few]),
        COSINE_ERROR[str(vggish.dtype)[6:]],
    )
    ratio = compare(benchmark, lambda: vggish.extract(recording, times_s), batches, few / count)
    benchmark.extra_info.update(ratio=ratio, bound=1.15, error=error, error_bound=bound)
    assert error < bound


def test_winograd_against_a_convolution_of_torch(benchmark):
    """The largest product of VGGish's dense maps: 256 to 512 channels on 4 x 100 frames of 8 bands."""
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(256, 512, 3, padding=1, bias=False).to(memory_format=torch.channels_last)
    maps = torch.rand(4, 100, 8, 256)
    ours = TapConv(conv)

    def plain() -> torch.Tensor:
        return conv(maps.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)

    with torch.inference_mode():
        error = (plain() - ours.dense(maps))[:, 1:-1].abs().max().item()
        ratio = compare(benchmark, lambda: ours.dense(maps), plain, 1.0)
    benchmark.extra_info.update(ratio=ratio, bound=1.15, error=error, error_bound=1e-3)
    assert error < 1e-3


def test_sliding_functionals_against_a_call_a_window(benchmark):
    opensmile = pytest.importorskip("opensmile", reason="openSMILE is not installed")
    extractor, samples = create("gemaps-functionals"), voice(3 * SECONDS)
    times_s = np.arange(int(3 * SECONDS * 25)) / 25
    public = opensmile.Smile(opensmile.FeatureSet.GeMAPSv01b, opensmile.FeatureLevel.Functionals)
    few = np.arange(100, 120)
    cuts = [
        samples[round((times_s[i] - extractor.centre_s) * RATE_HZ) :][: round(1.05 * RATE_HZ)] for i in few
    ]

    def call_a_window() -> np.ndarray:
        return np.concatenate([public.process_signal(cut, RATE_HZ).to_numpy() for cut in cuts])

    rows = extractor.extract(sound(samples), times_s)[few]
    means = [i for i, name in enumerate(extractor.spec.columns) if name.endswith("amean")]
    separate = call_a_window()[:, means]
    error = float(np.median(np.abs(rows[:, means] - separate) / (np.abs(separate) + 1e-3)))
    assert error < 0.05  # a call on its own loses the context at both ends of its window
    descriptors = smile.SmileSet(config="gemaps/v01b/GeMAPSv01b.conf")
    floor_s = min(seconds_of(lambda: smile.run_long(descriptors, samples)) for _ in range(ROUNDS))
    ours_s = min(seconds_of(lambda: extractor.extract(sound(samples), times_s)) for _ in range(ROUNDS))
    share = len(few) / len(times_s)
    ratio = compare(benchmark, lambda: extractor.extract(sound(samples), times_s), call_a_window, share)
    benchmark.extra_info.update(
        ratio=ratio, bound=50, error=error, error_bound=0.05, of_floor=floor_s / ours_s, of_floor_bound=0.9
    )


@pytest.mark.parametrize("features", [("egemaps",), ("mfcc39",), ("egemaps", "mfcc39")], ids="+".join)
def test_many_files_against_the_clock(tmp_path, benchmark, features):
    """Seconds of sound per second, from files to the store; VA_BENCH_FILES sets the number of files.

    `of_floor` is the time of openSMILE's passes over the same samples, on all cores, over ours.
    """
    pytest.importorskip("opensmile", reason="openSMILE is not installed")
    for number in range(FILES):
        write_wav(tmp_path / f"{number}.wav", voice(SECONDS, seed=number))
    rounds = iter(range(100))
    files = tuple(tmp_path / f"{number}.wav" for number in range(FILES))
    sets = [create(name)._set.wanted for name in features]
    recordings = [read_sound(path).samples for path in files]

    def passes(samples: np.ndarray) -> None:
        for wanted in sets:
            smile.run(wanted, samples)

    def floor() -> None:
        list(parallel_map(passes, recordings, n_cores(), FILES))

    def extract() -> None:
        store = tmp_path / f"{next(rounds)}.zarr"
        batch = run(ExtractAudioSettings(inputs=files, store=store, features=features))
        assert len(batch.done) == FILES

    times = [(seconds_of(extract), seconds_of(floor)) for _ in range(ROUNDS)]
    fastest, floor_s = (min(column) for column in zip(*times, strict=True))
    benchmark.pedantic(extract, rounds=1)
    view = Store.open(tmp_path / "0.zarr").video("0")
    single = [create(name).extract(read_sound(tmp_path / "0.wav"), view.times_s) for name in features]
    stored = [view.feature(name)[0] for name in features]
    error = max(float(np.nanmax(np.abs(a - b))) for a, b in zip(stored, single, strict=True))
    benchmark.extra_info.update(
        ratio=FILES * SECONDS / fastest,
        bound=100,
        error=error,
        error_bound=1e-3,
        floor=FILES * SECONDS / floor_s,
        of_floor=floor_s / fastest,
        of_floor_bound=0.9,
    )
    assert error < 1e-3


def test_speech_probability_against_a_call_a_window(benchmark):
    """Silero VAD on 16 s of windows a call, over a call for each window as in a stream."""
    extractor, samples = create("speech"), voice(SECONDS)
    recording, times_s = sound(samples), np.arange(int(SECONDS * 25)) / 25

    def call_a_window() -> np.ndarray:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(speech_activity, "WINDOWS_PER_RUN", 1)
            return extractor.extract(recording, times_s)

    error = float(np.abs(extractor.extract(recording, times_s) - call_a_window()).max())
    ratio = compare(benchmark, lambda: extractor.extract(recording, times_s), call_a_window, 1.0)
    benchmark.extra_info.update(ratio=ratio, bound=1.5, error=error, error_bound=1e-5)
    assert error < 1e-5
