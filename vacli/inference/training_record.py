"""The videos and subjects that a run was trained on, from its data files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vacli.files.run_directory import DATA_FILE, read_json
from vacli.inference.run import Run


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


def training_record(run: Run) -> TrainingRecord:
    """The record of a run; raises RunError where a data file cannot be read."""
    videos: dict[str, str] = {}
    subjects: set[str] = set()
    for member in run.members:
        data = read_json(member.path / DATA_FILE)
        for video in data.get("train", ()):
            videos[video] = data.get("sha256", {}).get(video) or ""
            subjects.add(data.get("subjects", {}).get(video) or "")
    return TrainingRecord(videos, frozenset(subjects - {""}))
