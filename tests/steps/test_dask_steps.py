"""Steps on Dask workers give the tables, index and store of a local run; Ctrl-C ends all processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from vacli.datasets.audio_augmentation import write_wav
from vacli.progress import RecordingProgress
from vacli.steps import extract_audio, predict_folder
from vacli.steps._prediction_settings import PredictSettings
from vacli.store import Store

pytest.importorskip("distributed")
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
SOURCES = Path(__file__).parents[2]


@pytest.fixture
def media(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "media"
    folder.mkdir()
    noise = np.random.default_rng(2)
    for number in range(4):
        write_wav(folder / f"s{number}.wav", noise.normal(0, 0.1, 16_000).astype(np.float32))
    (folder / "bad.mp4").write_bytes(bytes(1000))
    monkeypatch.chdir(tmp_path)  # relative paths are those of this folder on the workers too
    return Path("media")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_tables_index_and_store_are_those_of_a_local_run(media):
    made = {}
    for dask in (None, "local:2"):
        progress, out = RecordingProgress(), Path(f"out-{dask and 'dask'}")
        prediction = PredictSettings(inputs=(media,), device="cpu", dask=dask, min_quality=0.5)
        batch = predict_folder.run(
            predict_folder.PredictFolderSettings(prediction=prediction, folder=out), progress
        )
        settings = extract_audio.ExtractAudioSettings(
            inputs=(media,), store=out / "s.zarr", features=("mfcc39",), workers=1, dask=dask
        )
        stored = extract_audio.run(settings, progress)
        (out / "s.zarr").rename(store := Path(f"{out}.zarr"))
        rows = [view.read("feature/mfcc39") for view in Store.open(store).videos()]
        made[dask] = (
            contents(out), batch.done, batch.failed, stored.done, stored.failed, progress.warnings,
            progress.messages, [row.tobytes() for row in rows],
        )  # fmt: skip
    assert len(made[None][1]) == 4
    assert made["local:2"] == made[None]


def test_ctrl_c_ends_a_command_with_its_workers(media):
    for number in range(4):
        (media / f"s{number}.wav").unlink()
    noise = np.random.default_rng(3).normal(0, 0.1, 16_000 * 600).astype(np.float32)
    for name in ("a", "b", "c"):
        write_wav(media / f"{name}.wav", noise)
    command = [sys.executable, "-m", "vacli", "predict", "media", "-o", "out/", "--dask", "local:2"]
    environment = {**os.environ, "PYTHONPATH": str(SOURCES)}
    process = subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline_s = time.monotonic() + 60
    while len(members(process.pid)) < 4 and time.monotonic() < deadline_s:  # parent, child, two workers
        time.sleep(0.05)
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, text = process.communicate(timeout=60)
    assert process.returncode == 130, text
    assert text.splitlines()[-1].startswith("va: interrupted; what was complete is kept"), text
    assert "Traceback" not in text
    while (left := members(process.pid)) and time.monotonic() < deadline_s:
        time.sleep(0.1)
    assert not left


def members(session: int) -> list[int]:
    """The processes of a session."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(folder.name))
    return found
