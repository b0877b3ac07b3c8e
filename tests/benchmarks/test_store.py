"""The size of a store against that of its crops, the opening of a large store, and writing to S3.

VA_BENCH_VIDEOS is the number of videos of the generated store.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from synth.face_stores import drawn_face, jpeg
from synth.faces import scene, write_video
from synth.object_stores import S3Server, counted_requests
from synth.stores import empty
from synth.videos import generate_videos

from vacli.steps import align
from vacli.store import Store, VideoView

CLIPS, CLIP_FRAMES = 100, 75  # of three seconds
VIDEOS = int(os.environ.get("VA_BENCH_VIDEOS", "100000"))
OPENING_S = 2.0
WRITTEN, ROUNDS = 10, 3  # videos


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


def write_clips(store: Store, prefix: str) -> float:
    """Write WRITTEN clips with faces and a feature; seconds a clip."""
    draw = np.random.default_rng(0)
    crops = [jpeg(drawn_face(0.2, 0.1, draw)) for _ in range(CLIP_FRAMES)]
    times_s, rows = np.arange(CLIP_FRAMES) / 25, np.ones((CLIP_FRAMES, 88), np.float32)
    start = time.perf_counter()
    for number in range(WRITTEN):
        video = f"{prefix}-{number}"
        store.add_video(video, times_s, source={"sha256": video}, stream={})
        with store.stage(video, "face", {}) as writer:
            writer.append("detected", np.ones(CLIP_FRAMES, bool))
            writer.append("box", np.ones((CLIP_FRAMES, 4), np.float32), dims=("corner",))
            writer.append_images("crop", crops)
        store.put_feature(video, {"name": "x", "dim": 88}, rows, np.zeros(CLIP_FRAMES, np.uint8))
    return (time.perf_counter() - start) / WRITTEN


def test_writing_to_s3(s3: S3Server, tmp_path, benchmark):
    """What writing a clip of three seconds to S3 costs; the server (moto) runs in this process."""
    local, remote = Store.open_or_create(tmp_path / "s.zarr"), Store.open_or_create(s3.folder() / "s.zarr")
    pairs = [(write_clips(local, f"w{k}"), write_clips(remote, f"w{k}")) for k in range(ROUNDS)]
    with counted_requests() as requests:
        write_clips(remote, "counted")
    local_s, remote_s = np.median(pairs, axis=0)
    benchmark.extra_info.update(
        ratio=local_s / remote_s,
        error=0.0,
        name="writing a clip of three seconds: to this disk over to S3",
        local_ms=1e3 * local_s,
        overhead_ms=1e3 * (remote_s - local_s),
        requests_per_video=len(requests) / WRITTEN,
        pairs_s=pairs,
    )
    benchmark.pedantic(lambda: None, rounds=1)
