"""Match annotations to the videos of a store: by the recording's name, then by the folders of both."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from vacli.datasets.label_columns import RATER_WORDS
from vacli.errors import LabelError, UsageError
from vacli.store.schema import file_stem, safe_id

_WORDS = "|".join(RATER_WORDS)
RATER_FOLDER = re.compile(rf"(?:^|(?<=/))(?:{_WORDS})(?:s/|[_ -]?(?!s/))([^/]+)/", re.IGNORECASE)
RATER_SUFFIX = re.compile(rf"[_. -](?:{_WORDS})[_ -]?(\d+|[a-z])$", re.IGNORECASE)


class Named(Protocol):
    """An annotation with a name, a file, and the video's folders where its table names them."""

    @property
    def path(self) -> Path:
        """The annotation file."""
        ...

    @property
    def trial(self) -> str:
        """The name by which a video is found."""
        ...

    @property
    def folders(self) -> tuple[str, ...] | None:
        """The folders above the file that may name its video; None if only the name counts."""
        ...

    @property
    def rater(self) -> str:
        """The annotator, empty if unknown."""
        ...


class Described(Protocol):
    """A video whose `source` may have its recording's "path" and "name"."""

    @property
    def source(self) -> Mapping[str, Any]:
        """The recording."""
        ...


class Videos(Protocol):
    """Videos by id: a store, or the predictions of a table."""

    def find_by_name(self, name: str) -> list[str]:
        """The ids of the videos of a name."""
        ...

    def video_ids(self) -> list[str]:
        """All ids."""
        ...

    def video(self, key: str, /) -> Described:
        """A video."""
        ...


TWICE_HINT = "give one edition at a time; name the rater with --rater-pattern if they are of several raters"

Item = TypeVar("Item", bound=Named)


@dataclass(frozen=True)
class Refusal:
    """A name whose annotations are not used, and the reason."""

    name: str
    error: LabelError


@dataclass
class Matches(Generic[Item]):
    """videos: id -> annotations by rater. unmatched: those whose name or folder is of no video."""

    videos: dict[str, dict[str, Item]] = field(default_factory=dict)
    unmatched: list[tuple[Item, str]] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)


@dataclass(frozen=True)
class _Label(Generic[Item]):
    """An annotation, the name and folders to look for, its rater, and its number of folders in common."""

    item: Item
    name: str
    folders: tuple[str, ...]
    rater: str
    common: int = 0


@dataclass(frozen=True)
class RaterPattern:
    """Finds the rater in a file's path below the given folder, without suffix; the match is removed.

    Without an expression: a folder such as rater1, annotator_Ann or raters/Ann, or a suffix such as _rater1
    or -annotator-B.
    """

    expression: re.Pattern[str] | None = None

    @classmethod
    def of(cls, pattern: str | None) -> RaterPattern:
        """A pattern of the user; raises UsageError for an invalid expression."""
        try:
            return cls(None if pattern is None else re.compile(pattern))
        except re.error as error:
            message = f"--rater-pattern {pattern!r}: {error}"
            raise UsageError(message, hint="give a regular expression") from None

    def split(self, path: str, is_video: Callable[[str], bool]) -> tuple[str, str]:
        """Rater and remaining path; a suffix of the usual form is not removed from the name of a video."""
        if self.expression is not None:
            return _removed(self.expression, path)
        rater, rest = _removed(RATER_FOLDER, path)
        if rater or is_video(rest.rpartition("/")[2]):
            return rater, rest
        return _removed(RATER_SUFFIX, rest)


def match(
    store: Videos, items: Iterable[Item], base: Path, raters: RaterPattern = RaterPattern()
) -> Matches[Item]:
    """Match annotations to videos. base: the folder that was given, or the parent of the file.

    Names are equal where they have the same characters in Unicode's NFC, with or without the suffix of a
    recording. Of several videos or annotations of one name, those match that have most folders in common.
    Annotations are refused where that does not decide, and where two are of one video and rater.
    """
    matches: Matches[Item] = Matches()
    found: dict[str, list[_Label[Item]]] = defaultdict(list)
    for item in items:
        label = _label(store, item, base, raters)
        videos = store.find_by_name(label.name)
        if not videos:
            matches.unmatched.append((item, _reason(store, label.name)))
            continue
        best, most = closest(store, videos, label.folders)
        if len(best) > 1:
            matches.refused.append(Refusal(label.name, _several_videos(store, label.name, best)))
            continue
        found[best[0]].append(_Label(item, label.name, label.folders, label.rater, most))
    for video, labels in sorted(found.items()):
        _choose(video, labels, matches)
    return matches


def closest(store: Videos, videos: Sequence[str], folders: Sequence[str]) -> tuple[list[str], int]:
    """Of some videos those with most of their innermost folders in `folders`, and how many these are."""
    shared = {video: _in_common(folders, _folders(store, video)) for video in videos}
    most = max(shared.values())
    return [video for video, common in shared.items() if common == most], most


def _choose(video: str, labels: Sequence[_Label[Item]], matches: Matches[Item]) -> None:
    """Keep the annotations of one video whose folders match best, one of each rater."""
    most = max(label.common for label in labels)
    by_rater: dict[str, list[Item]] = defaultdict(list)
    for label in labels:
        if label.common < most:
            matches.unmatched.append((label.item, "the store has no video of that name and folder"))
        else:
            by_rater[label.rater].append(label.item)
    twice = next((items for items in by_rater.values() if len(items) > 1), None)
    if twice is not None:
        first, second = twice[:2]
        message = f"{second.path} and {first.path} annotate the same trial"
        if first.path == second.path:
            message = f"{first.path} has {first.trial} and {second.trial}, which are one video"
        matches.refused.append(Refusal(video, LabelError(message, hint=TWICE_HINT)))
    else:
        matches.videos[video] = {rater: items[0] for rater, items in by_rater.items()}


def _label(store: Videos, item: Item, base: Path, raters: RaterPattern) -> _Label[Item]:
    """The name, folders and rater of an annotation, from its table or else from its path."""
    below = item.path.parent.relative_to(base).parts
    folders = item.folders if item.folders is not None else below
    path = "/".join((*folders, item.trial))
    rater, rest = raters.split(path, lambda name: bool(store.find_by_name(name)))
    *left, name = rest.split("/")
    if not store.find_by_name(name):  # a recording in another container
        name = file_stem(name)
    # The names of a table's columns and cells take precedence over those of files.
    above = (base.name,) if item.folders is None else ()
    return _Label(item, name, (*above, *left), item.rater or rater)


def _removed(expression: re.Pattern[str], path: str) -> tuple[str, str]:
    found = expression.search(path)
    if found is None:
        return "", path
    rest = (path[: found.start()] + path[found.end() :]).strip("/")
    return (found[1] if expression.groups else found[0]).strip("/") or found[0], rest


def _folders(store: Videos, video: str) -> tuple[str, ...]:
    return folders_of(str(store.video(video).source.get("path", "")))


def folders_of(path: str) -> tuple[str, ...]:
    """The folders of a path of any system, the outermost first."""
    return tuple(re.split(r"[/\\]", path)[:-1])


def _in_common(label: Sequence[str], video: Sequence[str]) -> int:
    """The number of a video's innermost folders that an annotation has too."""
    names = {_folded(name) for name in label}
    count = 0
    for folder in reversed(video):
        if _folded(folder) not in names:
            break
        count += 1
    return count


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _several_videos(store: Videos, name: str, videos: Sequence[str]) -> LabelError:
    paths = [str(store.video(video).source.get("path", video)) for video in videos[:2]]
    return LabelError(
        f"{len(videos)} videos are called {name} ({', '.join(paths)})",
        hint="put annotations into folders with the names of the videos' folders, or use the full file name",
    )


def _reason(store: Videos, name: str) -> str:
    base = re.sub(r"_(left|right)$", "", name)
    if base != name and store.find_by_name(base):
        return f"the store has only {base}; run `va align --face {name[len(base) + 1 :]}` to add that person"
    reason, wanted = "the store has no video of that name", safe_id(name).casefold()
    similar = next((video for video in store.video_ids() if video.casefold() == wanted), None)
    if similar is not None:
        reason += f"; {store.video(similar).source.get('name', similar)} has another name"
    return reason
