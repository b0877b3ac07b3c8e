"""The size of a store against that of its crops, and the opening of a large store.

VA_BENCH_VIDEOS is the number of videos of the generated store.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from synth.faces import scene, write_video
from synth.stores import empty
from synth.videos import generate_videos

from vacli.steps import align
from vacli.store import Store, VideoView

CLIPS, CLIP_FRAMES = 100, 75  # of three seconds
VIDEOS = int(os.environ.get("VA_BENCH_VIDEOS", "100000"))
OPENING_S = 2.0


@pytest.fixture(scope="module")
def aligned(tmp_path_factory) -> Path:
    """A store of CLIPS different clips of three seconds with a face."""
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    for number in range(CLIPS):
        x, y = rng.integers(90, 130, 2)
        frames = [scene((int(x + i % 9), int(y + i % 7))) for i in range(CLIP_FRAMES)]
        write_video(folder / f"c{number:03d}.mp4", frames)
    store = folder / "s.zarr"
    assert not align.run(align.AlignSettings(inputs=(folder,), store=store)).failed
    return store


def test_size_of_a_store_against_its_crops(aligned, benchmark):
    files = [path.stat().st_size for path in aligned.rglob("*") if path.is_file()]
    views = Store.open(aligned).videos()
    crops = sum(int(view.read("face/crop_size").sum()) for view in views)
    assert len(views) == CLIPS
    assert all(view.read("face/detected").all() for view in views)
    benchmark.extra_info.update(
        ratio=crops / sum(files),
        bound=1 / 1.15,
        error=0.0,
        name="crops' bytes of 100 three-second clips over the bytes of their store",
        store_mb=sum(files) / 1e6,
        crops_mb=crops / 1e6,
        files_per_video=(len(files) - 1) / CLIPS,
    )
    benchmark.pedantic(lambda: Store.open(aligned).video_ids(), rounds=3)
    assert sum(files) <= 1.15 * crops


def test_opening_of_a_large_store(tmp_path, benchmark):
    store = empty(tmp_path / "s.zarr")
    generate_videos(store.path, VIDEOS)

    def plain() -> list[str]:
        """Read each video, as a program without an index does."""
        folders = [folder for folder in sorted(store.path.iterdir()) if (folder / "zarr.json").is_file()]
        return [folder.name for folder in folders if VideoView(folder).source["sha256"]]

    def ours() -> list[str]:
        return Store.open(store.path).video_ids()

    start = time.perf_counter()
    wanted = plain()
    plain_s = time.perf_counter() - start
    start = time.perf_counter()
    assert store.find_by_sha256("sha-7") == ["v000007"]  # writes the index
    index_s = time.perf_counter() - start
    assert benchmark.pedantic(ours, rounds=5) == wanted
    seconds = benchmark.stats.stats.median
    start = time.perf_counter()
    assert Store.open(store.path).find_by_sha256("sha-8") == ["v000008"]
    benchmark.extra_info.update(
        ratio=OPENING_S / seconds,
        bound=1.0,
        error=0.0,
        name="two seconds over the opening of a store of 100,000 videos",
        reading_each_s=plain_s,
        videos=VIDEOS,
        opening_s=seconds,
        first_search_s=time.perf_counter() - start,
        first_index_s=index_s,
    )
