"""Groups of videos that a split keeps together: those of one subject, or those of one recording.

Videos of several stores may have the same id, so a video is named by its key: its id, or its store and id.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from vacli.datasets.subject_name import subject_name
from vacli.datasets.subjects import Subjects
from vacli.errors import UsageError
from vacli.sequences.folds import recording
from vacli.store.reader import VideoView

Basis = Literal["subject", "video"]


@dataclass(frozen=True)
class VideoIdentity:
    """A video's id, its source file's SHA-256 and its subject; "" where unknown.

    store: the path of its store, "" where all videos are of one store, whose ids are unique.
    """

    video: str
    sha256: str = ""
    subject: str = ""
    store: str = ""

    @property
    def key(self) -> str:
        """The name of the video among all that are grouped."""
        return _key(self.store, self.video)

    @property
    def recording(self) -> str:
        """The key of its recording, which several videos of one store may share."""
        return _key(self.store, recording(self.video))


@dataclass(frozen=True)
class Grouping:
    """Groups of videos that must not be separated.

    basis: "subject" if every video has a known subject, else "video". groups: key of a video -> group.
    subjects: key of a video -> subject, empty where unknown.
    """

    basis: Basis
    groups: Mapping[str, str]
    subjects: Mapping[str, str]

    def shared_subjects(self, train: Iterable[str], validation: Iterable[str]) -> list[str]:
        """Sorted subjects that are both in the training and in the validation videos, given by their keys."""
        sides = [{self.subjects[v] for v in part if v in self.subjects} for part in (train, validation)]
        return sorted(sides[0] & sides[1])


def identity(view: VideoView, subjects: Subjects | None = None) -> VideoIdentity:
    """The identity of a stored video; `subjects` replaces the subjects of its labels."""
    attributes = view.part_attrs("label") if view.has("label") else {}
    subject = str(attributes.get("subject") or "") if subjects is None else subjects.of(view.id) or ""
    return VideoIdentity(view.id, str(view.source.get("sha256") or ""), subject_name(subject))


def identity_among_stores(view: VideoView, subjects: Subjects | None = None) -> VideoIdentity:
    """As `identity`, with the store of the video: others may have a video of the same id."""
    return replace(identity(view, subjects), store=str(view.path.parent))


def key_among_stores(view: VideoView) -> str:
    """The key of a stored video in a grouping of `identity_among_stores`."""
    return _key(str(view.path.parent), view.id)


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
    return Grouping(
        basis=basis,
        groups=_connected(identities),
        subjects={} if basis == "video" else {i.key: i.subject for i in identities},
    )


def _key(store: str, name: str) -> str:
    return f"{store}/{name}" if store else name


def _connected(identities: Sequence[VideoIdentity]) -> dict[str, str]:
    """Key -> the first name, in sorted order, of all videos that are connected with it by a common property.

    Recordings of one name in several stores are one if the SHA-256 of one of them is unknown.
    """
    parents: dict[str, str] = {}
    names = _names(identities)
    unknown = {recording(one.video) for one in identities if not one.sha256}

    def root(key: str) -> str:
        while parents.setdefault(key, key) != key:
            key = parents[key]
        return key

    for one in identities:
        name = recording(one.video)
        properties = [f"name {names[one.key]}", f"recording {name if name in unknown else one.recording}"]
        for key in properties + ([f"sha256 {one.sha256}"] if one.sha256 else []):
            parents[root(key)] = root(f"video {one.key}")
    members = defaultdict(set)
    for video, name in names.items():
        members[root(f"video {video}")].add(name)
    return {video: min(members[root(f"video {video}")]) for video in names}


def _names(identities: Sequence[VideoIdentity]) -> dict[str, str]:
    """Key -> the subject, else the recording, with its store where others have one of that name."""
    stores: dict[str, set[str]] = defaultdict(set)
    for one in identities:
        stores[recording(one.video)].add(one.store)
    return {
        i.key: i.subject or (i.recording if len(stores[recording(i.video)]) > 1 else recording(i.video))
        for i in identities
    }
