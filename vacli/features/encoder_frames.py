"""The frames that a `va finetune-mae` run was trained on, so that later training can leave them out."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vacli.errors import RunError
from vacli.features.flags import ENCODER_TRAINING
from vacli.files import digests

FRAMES_FILE = "training_frames.json"
ENCODER_DATA = "encoder_data"  # attribute of a feature: how its encoder used the video

Use = Literal["training", "early stopping", ""]
TRAINING: Use = "training"
EARLY_STOPPING: Use = "early stopping"
UNSEEN: Use = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class UsedFrames:
    """Frames of one video. sha256, subject: "" where unknown. rows: (K,) int64, ascending."""

    video: str
    sha256: str = ""
    subject: str = ""
    rows: np.ndarray

    def to_json(self) -> dict[str, object]:
        """JSON values; the rows as arithmetic progressions [first, count, step]."""
        about = {"video": self.video, "sha256": self.sha256, "subject": self.subject}
        return {**about, "rows": [[r.start, len(r), r.step] for r in progressions(self.rows.tolist())]}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> UsedFrames:
        """The inverse of `to_json`."""
        parts = [first + step * np.arange(count) for first, count, step in values["rows"]]
        rows = np.concatenate(parts).astype(np.int64) if parts else np.empty(0, np.int64)
        subject = unicodedata.normalize("NFC", values["subject"])
        return cls(video=values["video"], sha256=values["sha256"], subject=subject, rows=rows)


@dataclass(frozen=True, eq=False, kw_only=True)
class EncoderFrames:
    """The training frames of an encoder, and the validation frames that chose its best epoch."""

    train: tuple[UsedFrames, ...]
    validation: tuple[UsedFrames, ...]

    def write(self, folder: Path) -> None:
        """Write the record into a run directory."""
        record = {
            "train": [used.to_json() for used in self.train],
            "validation": [used.to_json() for used in self.validation],
        }
        digests.write(folder / FRAMES_FILE, (json.dumps(record) + "\n").encode("utf-8"))

    def mark(self, flags: np.ndarray, video: str, sha256: str) -> np.ndarray:
        """The flags (N,) of a feature, with ENCODER_TRAINING at the training frames of the video."""
        used = [u for u in self.train if _is_same(u, video, sha256)]
        marked = flags.copy()
        for frames in [u for u in used if u.video == video] or used:
            rows = np.asarray(frames.rows, np.int64)
            marked[rows[rows < len(flags)]] |= ENCODER_TRAINING
        return marked

    def attributes(self, video: str, sha256: str, subject: str) -> dict[str, object]:
        """How the encoder used a video and its subject, as an attribute of the video's feature."""
        use = {
            "video": self._use(lambda used: _is_same(used, video, sha256)),
            "subject": self._subjects.get(subject, UNSEEN) if subject else UNSEEN,
        }
        return {ENCODER_DATA: use}

    def _use(self, matches: Any) -> Use:
        if any(map(matches, self.train)):
            return TRAINING
        return EARLY_STOPPING if any(map(matches, self.validation)) else UNSEEN

    @cached_property
    def _subjects(self) -> dict[str, Use]:
        uses = {used.subject: EARLY_STOPPING for used in self.validation}
        return uses | {used.subject: TRAINING for used in self.train}


def read_encoder_frames(weights: Path | None) -> EncoderFrames | None:
    """The record of a run directory; None for other weights and for runs that have no record."""
    path = Path(weights) / FRAMES_FILE if weights is not None else None
    if path is None or not path.is_file():
        return None
    try:
        data = path.read_bytes()
        digests.check_bytes(path, data)
        record = json.loads(data)
        train, validation = (
            tuple(map(UsedFrames.from_json, record[part])) for part in ("train", "validation")
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{path} cannot be read: {error}", hint="make it again with `va finetune-mae`"
        ) from None
    return EncoderFrames(train=train, validation=validation)


def strongest(uses: Iterable[str]) -> Use:
    """TRAINING before EARLY_STOPPING before UNSEEN."""
    found = set(uses)
    return TRAINING if TRAINING in found else EARLY_STOPPING if EARLY_STOPPING in found else UNSEEN


def progressions(rows: Sequence[int]) -> list[range]:
    """Ascending numbers as the fewest arithmetic progressions that a greedy search finds."""
    found: list[range] = []
    start = 0
    while start < len(rows):
        step = rows[start + 1] - rows[start] if start + 1 < len(rows) else 1
        end = start + 1
        while end < len(rows) and rows[end] - rows[end - 1] == step:
            end += 1
        found.append(range(rows[start], rows[end - 1] + 1, step))
        start = end
    return found


def _is_same(used: UsedFrames, video: str, sha256: str) -> bool:
    """Whether a video has the same source file; without known hashes, whether it has the same id."""
    return used.sha256 == sha256 if used.sha256 and sha256 else used.video == video
