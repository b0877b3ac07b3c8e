"""Reading media: memory against length, and frames a second against decord."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from synth.clips import Clip, repeated, steady, write_clip

from vacli.media.video import open_video

decord = pytest.importorskip("decord")

ROUNDS = 5
MEMORY_BOUND = 1.15
PIECE_BOUND = 1.2  # of `read_sound`, in bytes of the samples

READ_FRAMES = """
from vacli.media.video import open_video
with open_video(sys.argv[1]) as reader:
    count = sum(1 for _ in reader)
"""
READ_BLOCKS = """
from vacli.media.audio_blocks import SoundBlocks
count = sum(len(block) for block in SoundBlocks(sys.argv[1]))
"""
READ_SOUND = """
from vacli.media.audio import read_sound
count = len(read_sound(sys.argv[1]).samples)
"""
# VmHWM and not getrusage, which still counts the process that this one was forked from.
REPORT = """
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(count, peak)
"""


@pytest.fixture(scope="module")
def minute_and_hour(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A minute of picture and sound, and the same sixty times over."""
    folder = tmp_path_factory.mktemp("length")
    clip = Clip(
        steady(25, 60),
        size_px=(160, 96),
        sound_spans=((0.0, 60.0),),
        sound_codec="pcm_s16le",
        sound_rate_hz=16_000,
        options={"bf": "0"},  # so that packets can follow each other without counting again
    )
    minute = write_clip(folder / "minute.mkv", clip)
    return minute, repeated(minute, folder / "hour.mkv", 60)


def peak(script: str, path: Path) -> tuple[int, int]:
    """What a fresh process counted, and its peak memory in KiB."""
    program = "import sys\n" + script + REPORT
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    count, kib = done.stdout.split()
    return int(count), int(kib)


@pytest.mark.parametrize("script", [READ_FRAMES, READ_BLOCKS], ids=["picture", "sound in blocks"])
def test_memory_of_an_hour(benchmark, minute_and_hour: tuple[Path, Path], script: str) -> None:
    minute, hour = minute_and_hour
    short = [peak(script, minute) for _ in range(2)]
    long = benchmark.pedantic(peak, args=(script, hour), rounds=1)
    assert long[0] == pytest.approx(60 * short[0][0], rel=0.001)
    ratio = long[1] / max(kib for _, kib in short)
    error = abs(long[0] / (60 * short[0][0]) - 1)
    benchmark.extra_info |= {"ratio": ratio, "bound": MEMORY_BOUND, "peak_kib": long[1], "error": error}
    benchmark.extra_info["name"] = "peak memory of an hour over that of a minute"
    assert ratio < MEMORY_BOUND


def test_memory_of_an_hour_of_sound_in_one_piece(benchmark, minute_and_hour: tuple[Path, Path]) -> None:
    """Memory of `read_sound` over that of the samples, which it returns."""
    count, kib = benchmark.pedantic(peak, args=(READ_SOUND, minute_and_hour[1]), rounds=1)
    base_kib = peak(READ_SOUND, minute_and_hour[0])[1]
    ratio = (kib - base_kib) * 1024 / (4 * count)
    benchmark.extra_info |= {"peak_kib": kib, "ratio": ratio, "bound": PIECE_BOUND}
    assert ratio < PIECE_BOUND


def decord_frames(path: Path) -> list[np.ndarray]:
    """The plain way: decord, one frame after the other."""
    reader = decord.VideoReader(str(path))
    return [reader.next().asnumpy()[0, 0] for _ in range(len(reader))]


def our_frames(path: Path) -> list[np.ndarray]:
    with open_video(path) as reader:
        return [frame.rgb[0, 0] for frame in reader]


@pytest.mark.parametrize("number", ["01", "04", "07", "08", "11", "20", "23"])
def test_frames_a_second_against_decord(benchmark, clips: Path, number: str) -> None:
    """Opening, listing and reading a clip; processor time beside wall time, as both use all cores."""
    path = next(clips.glob(f"{number}_*"))
    wall_s: dict[Callable, list[float]] = {decord_frames: [], our_frames: []}
    processor_s: dict[Callable, list[float]] = {decord_frames: [], our_frames: []}
    for round_ in range(ROUNDS):
        for read in (decord_frames, our_frames)[:: 1 if round_ % 2 else -1]:
            start_s, started_s = time.perf_counter(), time.process_time()
            read(path)
            wall_s[read].append(time.perf_counter() - start_s)
            processor_s[read].append(time.process_time() - started_s)
    benchmark.pedantic(our_frames, args=(path,), rounds=1)
    shown = len(our_frames(path))
    error = len(decord_frames(path)) - shown
    assert 0 <= error <= 1  # decord repeats the last frame of some files
    benchmark.extra_info.update(
        ratio=min(wall_s[decord_frames]) / min(wall_s[our_frames]),
        processor_ratio=min(processor_s[decord_frames]) / min(processor_s[our_frames]),
        bound=1.0,
        # How far apart pictures are is held by tests/media/test_video.py, where decord shows the same ones.
        error=error,
        frames_per_s=shown / min(wall_s[our_frames]),
        name=f"frames of clip {number} against decord",
    )
