"""Tables for given frame times, and measurements in the overlays that are drawn from them."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from vacli.media.probe import probe
from vacli.media.timeline import read_timeline
from vacli.output.frame_table import FrameTable
from vacli.output.writers import CsvWriter


def table_at(
    times_s: np.ndarray,
    name: str = "a.mp4",
    face_id: int = 0,
    box: tuple[float, float, float, float] = (10, 10, 20, 20),
    modality: str | np.ndarray = "audiovisual",
    **columns: np.ndarray,
) -> FrameTable:
    """A table with a row at each time; box: left, top, width and height of the face in pixels."""
    count = len(times_s)
    full = {
        "frame": np.arange(count),
        "time_s": np.asarray(times_s, float),
        "valence": np.full(count, 0.5),
        "arousal": np.full(count, -0.25),
        "face_detected": np.full(count, face_id >= 0),
        "audio_present": np.ones(count, bool),
        "speech_present": np.full(count, 1),
        "speaking": np.full(count, -1),
        "modality": np.broadcast_to(np.asarray(modality), count),
        "valence_uncertainty": np.full(count, 0.2),
        "arousal_uncertainty": np.full(count, 0.1),
        "face_score": np.ones(count),
        "face_id": np.full(count, face_id),
        "quality": np.full(count, 0.8),
        "quality_limit": np.full(count, "sharpness"),
    }
    edges = zip(("face_x", "face_y", "face_w", "face_h"), box, strict=True)
    full |= {column: np.full(count, float(value)) for column, value in edges}
    return FrameTable(name, full | columns)


def times_of(path: Path) -> np.ndarray:
    """(N,) the times of a file's frames."""
    return read_timeline(probe(path)).times_s


def write_table(path: Path, *tables: FrameTable) -> Path:
    """Write tables as CSV."""
    with path.open("w", errors="surrogateescape") as stream:
        writer = CsvWriter(stream)
        for table in tables:
            writer.write(table)
    return path


def pictures_of(path: Path) -> list[np.ndarray]:
    """The pictures of a file, (H, W, 3) uint8."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def packets_of(path: Path) -> list[bytes]:
    """The contents of the audio packets of a file."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]
