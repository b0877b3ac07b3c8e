"""Folders of faces that are aligned already, such as Aff-Wild2's `cropped_aligned`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vacli.clock import SOUND_CLOCK_HZ, regular_times
from vacli.errors import InputError
from vacli.faces.align import resize_crop
from vacli.faces.face_frame import Face
from vacli.faces.quality import sharpness
from vacli.files.digests import file_sha256
from vacli.media.crops import CropFolder
from vacli.media.video import open_video

TRIAL_SUFFIXES = ("_left", "_right")  # endings of trials of two people in one video


@dataclass(frozen=True, eq=False)
class TimedCrops:
    """A folder of crops and the time of each of its rows, (N,) float64 seconds."""

    folder: CropFolder
    times_s: np.ndarray


def videos_of(trial: str, videos: Mapping[str, Sequence[Path]]) -> Sequence[Path]:
    """The videos with the name of a trial, or with that name less a trailing _left or _right."""
    if trial in videos:
        return videos[trial]
    for side in TRIAL_SUFFIXES:
        if trial.endswith(side):
            return videos.get(trial.removesuffix(side), ())
    return ()


def single_video(trial: str, paths: Sequence[Path]) -> Path | None:
    """The first of several copies of a video, or None without one.

    Aff-Wild2's batches of videos have some files in common. Raises InputError if the files differ.
    """
    if len(paths) > 1 and len({file_sha256(path) for path in paths}) > 1:
        raise InputError(
            f"{trial}: {len(paths)} different videos have this name ({', '.join(map(str, paths))})",
            hint="give only the video that the faces were cut from",
        )
    return paths[0] if paths else None


def open_crops(path: Path, video: Path | None) -> TimedCrops:
    """A trial's crops on its video's clock, or, without a video, at 25 rows a second.

    Some published trials have one image more than the video has frames; their last rows continue at the
    video's median frame rate.
    """
    folder = CropFolder(path)
    if video is None:
        return TimedCrops(folder, regular_times(len(folder), SOUND_CLOCK_HZ))
    with open_video(video) as reader:
        times_s = reader.times_s
    extra = len(folder) - len(times_s)
    if extra > 0:
        step_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 1 / SOUND_CLOCK_HZ
        return TimedCrops(folder, np.concatenate([times_s, times_s[-1] + step_s * np.arange(1, extra + 1)]))
    return TimedCrops(CropFolder(path, len(times_s)), times_s)


def faces(folder: CropFolder) -> Iterator[tuple[int, Face]]:
    """Row and face of each crop that decodes; box and landmarks are NaN."""
    box, landmarks = np.full(4, np.nan, np.float32), np.full((5, 2), np.nan, np.float32)
    for row, picture in folder:
        crop = resize_crop(picture)
        size_px = float(max(picture.shape[:2]))
        yield row, Face(0, box, landmarks, float("nan"), crop, sharpness(crop), size_px)


def folder_source(path: Path, folder: CropFolder) -> dict[str, object]:
    """The record that a store keeps of a folder: its hash is that of its files' names and sizes."""
    files = sorted((file.name, file.stat().st_size) for file in path.iterdir() if file.is_file())
    digest = hashlib.sha256(repr(files).encode()).hexdigest()
    size_bytes = sum(size for _, size in files)
    return {"name": path.name, "path": str(path.resolve()), "size_bytes": size_bytes, "sha256": digest}
