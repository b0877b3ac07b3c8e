"""Groups of videos that a split keeps together: those of one subject, or those of one recording."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from vacli.datasets.subjects import Subjects
from vacli.errors import UsageError
from vacli.sequences.folds import recording
from vacli.store.reader import VideoView

Basis = Literal["subject", "video"]


@dataclass(frozen=True)
class VideoIdentity:
    """A video's id, its source file's SHA-256 and its subject; "" where unknown."""

    video: str
    sha256: str = ""
    subject: str = ""


@dataclass(frozen=True)
class Grouping:
    """Groups of videos that must not be separated.

    basis: "subject" if every video has a known subject, else "video". groups: video -> group.
    subjects: video -> subject, empty where unknown.
    """

    basis: Basis
    groups: Mapping[str, str]
    subjects: Mapping[str, str]

    def shared_subjects(self, train: Iterable[str], validation: Iterable[str]) -> list[str]:
        """Sorted subjects that are both in the training and in the validation videos."""
        sides = [{self.subjects[v] for v in part if v in self.subjects} for part in (train, validation)]
        return sorted(sides[0] & sides[1])


def identity(view: VideoView, subjects: Subjects | None = None) -> VideoIdentity:
    """The identity of a stored video; `subjects` replaces the subjects of its labels."""
    attributes = view.part_attrs("label") if view.has("label") else {}
    subject = str(attributes.get("subject") or "") if subjects is None else subjects.of(view.id) or ""
    return VideoIdentity(view.id, str(view.source.get("sha256") or ""), subject)


def group_videos(videos: Iterable[VideoIdentity], *, by_subject: bool = False) -> Grouping:
    """Group the videos by subject where subjects are known, and by recording and source file.

    Aff-Wild2's `_left` and `_right` of one recording are in one group, and so are the entries of one file.
    by_subject: subjects are required. Raises UsageError if some videos have a subject and others have none.
    """
    identities = list(videos)
    without = [i.video for i in identities if not i.subject]
    if without and (by_subject or len(without) < len(identities)):
        raise UsageError(
            f"{len(without)} of {len(identities)} videos have no subject ({', '.join(without[:3])})",
            hint="name them in the table of --subjects; --subject-pattern '.*' makes each video a subject",
        )
    basis: Basis = "video" if without or not identities else "subject"
    names = {i.video: i.subject or recording(i.video) for i in identities}
    return Grouping(
        basis=basis,
        groups=_connected(identities, names),
        subjects={} if basis == "video" else {i.video: i.subject for i in identities},
    )


def _connected(identities: Iterable[VideoIdentity], names: Mapping[str, str]) -> dict[str, str]:
    """Video -> the first name, in sorted order, of all videos that are connected with it by a common key."""
    parents: dict[str, str] = {}

    def root(key: str) -> str:
        while parents.setdefault(key, key) != key:
            key = parents[key]
        return key

    for one in identities:
        keys = [f"name {names[one.video]}", f"recording {recording(one.video)}"]
        for key in keys + ([f"sha256 {one.sha256}"] if one.sha256 else []):
            parents[root(key)] = root(f"video {one.video}")
    members = defaultdict(set)
    for video, name in names.items():
        members[root(f"video {video}")].add(name)
    return {video: min(members[root(f"video {video}")]) for video in names}
