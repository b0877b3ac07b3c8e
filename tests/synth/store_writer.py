"""Writing into a store from a process of its own: importable there, as a test module is not."""

from __future__ import annotations

import numpy as np

from vacli.spec import AUDIO, FeatureSpec
from vacli.store import Store


def write_one_video(path: str, name: str) -> None:
    """Add a video of four frames and a feature to the store at `path`, which is made if need be."""
    store = Store.open_or_create(path)
    store.add_video(name, np.arange(4) / 25, source={"sha256": "0f"}, stream={})
    spec = FeatureSpec(name="mfcc39", version="1", modality=AUDIO, dim=3).attributes()
    store.put_feature(name, spec, np.ones((4, 3), np.float32), np.zeros(4, np.uint8))
