"""What identifies the labels and features of a run's videos, and whether they have changed since."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vacli.errors import RunError
from vacli.sequences.stored import StoredSequence
from vacli.store.content import feature_content

LABELS, CONTENT = "labels", "content"  # keys of data.json
MAX_NAMED = 3


def content_record(videos: Sequence[StoredSequence]) -> dict[str, object]:
    """Entries of data.json: the fingerprint of each video's labels, and the marks of its features' values."""
    return {
        LABELS: {rows.video: _label_fingerprint(rows) for rows in videos},
        CONTENT: {rows.video: {f: feature_content(rows.view, f) for f in rows.widths} for rows in videos},
    }


def changed_content(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The labels and features that differ between two values of data.json, "" if none is known to.

    Only videos of both are compared. Runs of earlier versions do not have all fingerprints.
    """
    changed = []
    labels = before.get(LABELS) or {}
    videos = [v for v, known in now[LABELS].items() if labels.get(v) not in (None, known)]
    if videos:
        changed.append(_phrase("labels", videos))
    content = before.get(CONTENT) or {}
    features: dict[str, list[str]] = {}
    for video, marks in now[CONTENT].items():
        for feature, known in marks.items():
            stored = content.get(video, {}).get(feature)
            if stored and known and not set(stored) & set(known):
                features.setdefault(feature, []).append(video)
    changed += [_phrase(f"features {feature}", videos) for feature, videos in features.items()]
    return " and ".join(changed)


def check_unchanged(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise RunError if the labels or features have changed since the training in `folder` began."""
    if changed := changed_content(before, now):
        raise RunError(
            f"{folder}: the {changed} have changed since the training began",
            hint="train into another folder with --out, or restore them before --resume",
        )


def _label_fingerprint(rows: StoredSequence) -> str:
    """That of `va import-labels`; of labels without one, from their values."""
    stored = rows.view.part_attrs("label").get("fingerprint")
    return str(stored or hashlib.sha256(rows.view.labels().tobytes()).hexdigest()[:12])


def _phrase(what: str, videos: Sequence[str]) -> str:
    names = ", ".join(videos[:MAX_NAMED]) + (", ..." if len(videos) > MAX_NAMED else "")
    return f"{what} of {len(videos)} videos ({names})"
