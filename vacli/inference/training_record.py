"""The videos and subjects that a run was trained on, from its data files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vacli.datasets.subject_name import subject_name
from vacli.files.run_directory import DATA_FILE, read_json


@dataclass(frozen=True)
class TrainingRecord:
    """The training videos of all models of a run.

    videos: id -> SHA-256 of the source file, "" where unknown. subjects: those of the training videos.
    """

    videos: Mapping[str, str]
    subjects: frozenset[str]

    def includes(self, video: str, sha256: str) -> bool:
        """Whether a model was trained on a video: on its source file, or on its id without known hashes."""
        if sha256 and sha256 in self.videos.values():
            return True
        return video in self.videos and not (sha256 and self.videos[video])


def training_record(folders: Iterable[Path]) -> TrainingRecord:
    """The record of a run, from the folders of its models; RunError where a data file cannot be read."""
    videos: dict[str, str] = {}
    subjects: set[str] = set()
    for folder in folders:
        data = read_json(folder / DATA_FILE)
        for video in data.get("train", ()):
            videos[video] = data.get("sha256", {}).get(video) or ""
            subjects.add(subject_name(data.get("subjects", {}).get(video) or ""))
    return TrainingRecord(videos, frozenset(subjects - {""}))
