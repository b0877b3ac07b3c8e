"""Memory of `va predict` and of the extractions: of 30 minutes against one.

VA_BENCH_RATE_HZ is the frame rate of the generated recordings.
"""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from synth.clips import Clip, repeated, steady, write_clip
from synth.faces import SIZE_PX, scene

MINUTES = 30
RATE_HZ = Fraction(os.environ.get("VA_BENCH_RATE_HZ", "25"))
BOUND = 1.15
STEPS = {
    "extract-audio": """
from vacli.steps.extract_audio import ExtractAudioSettings, run
batch = run(ExtractAudioSettings(inputs=(source,), store=out / "a.zarr", workers=1))
""",
    "align": """
from vacli.steps.align import AlignSettings, run
batch = run(AlignSettings(inputs=(source,), store=out / "s.zarr"))
""",
    "extract-visual": """
from vacli.steps.extract_visual import ExtractVisualSettings, run
batch = run(ExtractVisualSettings(inputs=(out / "s.zarr",), device="cpu"))
""",
    "predict": """
from vacli.steps._prediction_settings import PredictSettings
from vacli.steps.predict_folder import PredictFolderSettings, run
prediction = PredictSettings(inputs=(source,), device="cpu")
batch = run(PredictFolderSettings(prediction=prediction, folder=out / "tables"))
""",
}
# VmHWM and not getrusage, which still counts the process that this one was forked from.
PROGRAM = """
import sys
from pathlib import Path
source, out = map(Path, sys.argv[1:])
{step}
assert len(batch.done) == 1, batch
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> tuple[Path, Path]:
    """A minute of a face with a sound, and the same MINUTES times."""
    folder = tmp_path_factory.mktemp("length")
    pictures = [scene((110 + i % 9, 110 + i % 7)) for i in range(63)]
    clip = Clip(
        steady(RATE_HZ, 60),
        size_px=SIZE_PX,
        sound_spans=((0.0, 60.0),),
        sound_codec="pcm_s16le",
        sound_rate_hz=16_000,
        options={"bf": "0"},  # so that packets can follow each other without counting again
        picture=lambda row: pictures[row % 63],
        sound=lambda t: 0.3 * np.sin(2 * np.pi * 150 * t) * (np.sin(2 * np.pi * 3 * t) > -0.3),
    )
    minute = write_clip(folder / "minute.mkv", clip)
    return minute, repeated(minute, folder / "long.mkv", MINUTES)


def peak_kib(step: str, source: Path, out: Path) -> int:
    """The peak memory of a step in a new process."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM.format(step=STEPS[step]), str(source), str(out)],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout.split()[-1])


@pytest.mark.parametrize("step", STEPS)
def test_memory_of_a_long_recording(step: str, recordings: tuple[Path, Path], tmp_path_factory, benchmark):
    folders = [tmp_path_factory.getbasetemp() / f"memory-{path.stem}" for path in recordings]
    for folder in folders:
        folder.mkdir(exist_ok=True)
    short = peak_kib(step, recordings[0], folders[0])
    long = benchmark.pedantic(peak_kib, args=(step, recordings[1], folders[1]), rounds=1)
    benchmark.extra_info.update(
        name=f"peak memory of {MINUTES} minutes over that of one: {step}",
        ratio=long / short,
        bound=BOUND,
        error=0.0,
        short_kib=short,
        long_kib=long,
    )
    assert long <= BOUND * short
