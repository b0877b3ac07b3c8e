"""The inputs of a step: what the paths lead to that it can use, and word of what it leaves out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from vacli.errors import VaError
from vacli.media.inputs import find_media
from vacli.media.kinds import MediaInput
from vacli.progress import Progress
from vacli.steps.batch import Batch

MOST_NAMED = 5  # files of a folder that are left out for one reason

# What a step makes of one input: the inputs to work on, or why it is left out.
Use = Callable[[MediaInput], "list[MediaInput] | str"]


def usable(
    paths: Iterable[Path], use: Use, nothing: Callable[[Path], VaError], batch: Batch, progress: Progress
) -> list[MediaInput]:
    """What there is to work on, each once, in the order of the paths.

    A path that holds nothing usable fails with the error that `nothing` makes of it, and so does what cannot
    be looked at; what a folder holds besides is told in one line.
    """
    usable: dict[str, MediaInput] = {}
    for path in paths:
        try:
            found = find_media([path])
        except VaError as error:
            batch.fail(str(path), error, progress)
            continue
        for failed, error in found.failed.items():
            batch.fail(str(failed), error, progress)
        left_out, count = dict(found.left_out), 0
        for media in found.media:
            used = use(media)
            if isinstance(used, str):
                left_out[media.path] = used
                continue
            count += 1
            for one in used:
                usable.setdefault(os.path.realpath(one.path), one)
        if not count and not found.failed:
            batch.fail(str(path), nothing(path), progress)
        elif left_out:
            progress.say(_told(path, left_out))
    return list(usable.values())


def _told(folder: Path, left_out: Mapping[Path, str]) -> str:
    """One line on what a folder holds besides."""
    reasons = dict.fromkeys(left_out.values())
    parts = []
    for reason in reasons:
        names = sorted(str(path.relative_to(folder)) for path, why in left_out.items() if why == reason)
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        parts.append(f"{', '.join(names[:MOST_NAMED])}{more} ({reason})")
    files = "1 file" if len(left_out) == 1 else f"{len(left_out)} files"
    return f"{folder}: {files} left out: {'; '.join(parts)}"
