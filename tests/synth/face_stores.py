"""Stores with aligned faces whose valence and arousal can be seen, for tests of visual steps."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from vacli.store import Store


def drawn_face(valence: float, arousal: float, rng: np.random.Generator) -> np.ndarray:
    """(224, 224, 3) uint8: a disc with eyes as open as the arousal and a mouth as bent as the valence."""
    y, x = np.mgrid[0:224, 0:224]
    image = np.full((224, 224), 60.0) + rng.normal(0, 4, (224, 224))
    image[(x - 112) ** 2 / 90**2 + (y - 112) ** 2 / 105**2 < 1] += 100
    for centre in (77, 147):
        image[((x - centre) / 16) ** 2 + ((y - 95) / (3 + 10 * (arousal + 1))) ** 2 < 1] -= 90
    bend = 172 - valence * 25 * (1 - ((x - 112) / 40.0) ** 2) * -1
    image[(np.abs(y - bend + valence * 12) < 6) & (np.abs(x - 112) < 40)] -= 90
    return np.repeat(image.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


def jpeg(image: np.ndarray) -> bytes:
    """An image as JPEG bytes."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=90)
    return file.getvalue()


def face_store(
    path: Path, videos: int = 3, frames: int = 24, *, labels: bool = True, missing: tuple[int, ...] = (3,)
) -> Store:
    """A store of synthetic faces with their labels; the frames `missing` have no face."""
    rng = np.random.default_rng(0)
    store = Store.open_or_create(path)
    for number in range(videos):
        name = f"clip{number}"
        target = rng.uniform(-1, 1, (frames, 2)).astype(np.float32)
        store.add_video(name, np.arange(frames) / 25, source={"sha256": name}, stream={})
        faces = [None if i in missing else jpeg(drawn_face(*target[i], rng)) for i in range(frames)]
        with store.stage(name, "face", {}) as writer:
            writer.append("detected", np.array([f is not None for f in faces]))
            writer.append_images("crop", faces)
        if labels:
            with store.stage(name, "label", {}) as writer:
                writer.append("valence", target[:, 0])
                writer.append("arousal", target[:, 1])
    return store
