"""Jobs for `crashes`: each changes the content of a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from synth.stores import add_video, spec

from vacli.steps import repack
from vacli.store import Store

FRAMES = 6
VISUAL, AUDIO = "xv", "xa"  # names of features; `synth.stores.spec` knows the second as one of sound


def write_faces(store: Store, value: int, drop_features: tuple[str, ...] = ()) -> None:
    """Faces with the constant `value`."""
    with store.stage("clip", "face", {"settings": value}, drop_features=drop_features) as part:
        part.append("detected", np.ones(FRAMES, bool))
        part.append("box", np.full((FRAMES, 4), value, np.float32), dims=("xyxy",))
        part.append_images("crop", [bytes([value]) * 7] * FRAMES)


def write_feature(store: Store, name: str, value: int) -> None:
    """A feature with the constant `value`, also in its flags."""
    values, flags = np.full((FRAMES, 3), value, np.float32), np.full(FRAMES, 2 * value, np.uint8)
    store.put_feature("clip", spec(name, 3).attributes(), values, flags)


def empty_store(folder: Path) -> None:
    """A new store below a folder that may not exist."""
    Store.open_or_create(folder / "s.zarr")


def first_edition(folder: Path) -> None:
    """A store with one video, its faces and two features, all of value 1."""
    store = Store.open_or_create(folder / "s.zarr")
    add_video(store, "clip", FRAMES)
    write_faces(store, 1)
    for name in (VISUAL, AUDIO):
        write_feature(store, name, 1)


def new_faces(folder: Path) -> None:
    """Replace the faces and drop the features of the previous ones."""
    write_faces(Store.open(folder / "s.zarr"), 2, (VISUAL,))


def new_feature(folder: Path) -> None:
    """Replace a feature and its flags."""
    write_feature(Store.open(folder / "s.zarr"), AUDIO, 2)


def repack_store(folder: Path) -> None:
    """Write the videos of a store again."""
    repack.run(repack.RepackSettings(store=folder / "s.zarr"))
