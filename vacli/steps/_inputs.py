"""The inputs of a step: what the paths lead to that it can use, and word of what it leaves out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from vacli.errors import VaError
from vacli.media.inputs import find_media
from vacli.media.kinds import MediaInput
from vacli.progress import Progress
from vacli.steps._batch import Batch, find_each

MOST_NAMED = 5  # files of a folder that are left out for one reason

# What a step makes of one input: the inputs to work on, or why it is left out.
Use = Callable[[MediaInput], "list[MediaInput] | str"]


def usable(
    paths: Iterable[Path], use: Use, nothing: Callable[[Path], VaError], batch: Batch, progress: Progress
) -> list[MediaInput]:
    """What there is to work on, each once, in the order of the paths.

    A path that holds nothing usable fails with the error that `nothing` makes of it, and so does what cannot
    be looked at; one line names the other files of a folder.
    """

    def find(path: Path) -> list[MediaInput]:
        found = find_media([path])
        for failed, error in found.failed.items():
            batch.fail(str(failed), error, progress)
        uses = {media.path: use(media) for media in found.media}
        left_out = found.skipped | {path: used for path, used in uses.items() if isinstance(used, str)}
        chosen = [one for used in uses.values() if not isinstance(used, str) for one in used]
        if not chosen and not found.failed:
            raise nothing(path)
        if chosen and left_out:
            progress.say(_told(path, left_out))
        return chosen

    usable: dict[str, MediaInput] = {}
    for one in find_each(paths, find, batch, progress):
        usable.setdefault(os.path.realpath(one.path), one)
    return list(usable.values())


def _told(folder: Path, left_out: Mapping[Path, str]) -> str:
    """One line that names the other files of a folder."""
    reasons = dict.fromkeys(left_out.values())
    parts = []
    for reason in reasons:
        names = sorted(str(path.relative_to(folder)) for path, why in left_out.items() if why == reason)
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        parts.append(f"{', '.join(names[:MOST_NAMED])}{more} ({reason})")
    files = "1 file" if len(left_out) == 1 else f"{len(left_out)} files"
    return f"{folder}: {files} left out: {'; '.join(parts)}"
