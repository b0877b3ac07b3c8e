"""Write into a store from another process, which cannot import a test module."""

from __future__ import annotations

import time
from multiprocessing.synchronize import Event

import numpy as np
from synth import crash_jobs

from vacli.spec import AUDIO, FeatureSpec
from vacli.store import Store


def write_one_video(path: str, name: str) -> None:
    """Add a video of four frames and a feature to the store at `path`, which is made if need be."""
    store = Store.open_or_create(path)
    store.add_video(name, np.arange(4) / 25, source={"sha256": "0f"}, stream={})
    spec = FeatureSpec(name="mfcc39", version="1", modality=AUDIO, dim=3).attributes()
    store.put_feature(name, spec, np.ones((4, 3), np.float32), np.zeros(4, np.uint8))


def add_same_name(path: str, sha256: str) -> None:
    """Add a recording called clip.mp4, with a feature that identifies it."""
    store = Store.open_or_create(path)
    source = {"name": "clip.mp4", "sha256": sha256}
    view = store.add_recording("clip.mp4", np.arange(4) / 25, source=source, stream={})
    spec = FeatureSpec(name="mfcc39", version="1", modality=AUDIO, dim=3).attributes()
    store.put_feature(view.id, spec, np.full((4, 3), ord(sha256), np.float32), np.zeros(4, np.uint8))


def replace_often(path: str, value: int, times: int = 12) -> None:
    """Replace a feature of `crash_jobs` in the store at `path` again and again."""
    for _ in range(times):
        crash_jobs.write_feature(Store.open(path), crash_jobs.AUDIO, value)


def wait_in_stage(path: str, started: Event) -> None:
    """Begin a part, set `started`, and do not end it."""
    with Store.open(path).stage("clip", "label", {}) as part:
        part.append("valence", np.zeros(crash_jobs.FRAMES, np.float32))
        started.set()
        time.sleep(600)
