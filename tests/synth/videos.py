"""Many videos of a store, made fast: metadata without arrays, as an index needs it."""

from __future__ import annotations

import json
from pathlib import Path


def generate_videos(store: Path, count: int) -> None:
    """Add the videos v000000, v000001, ... of recordings "clip N.mp4" with the SHA-256 "sha-N"."""
    for number in range(count):
        name = f"clip {number}.mp4"
        source = {"name": name, "path": f"../videos/{name}", "size_bytes": 1, "sha256": f"sha-{number}"}
        attributes = {"source": source, "stream": {"kind": "video"}, "person": ""}
        folder = store / f"v{number:06d}"
        folder.mkdir()
        meta = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
        (folder / "zarr.json").write_text(json.dumps(meta))
