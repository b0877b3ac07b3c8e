"""Select the usable inputs of a step and report the files that are left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from vacli.errors import VaError
from vacli.files.object_path import real_path
from vacli.media.inputs import find_media
from vacli.media.kinds import MediaInput
from vacli.progress import Progress
from vacli.steps._batch import Batch, find_each

MAX_NAMED = 5  # files that are listed for each reason

# Maps an input to the inputs to process, or to the reason for leaving it out.
Use = Callable[[MediaInput], "list[MediaInput] | str"]


def usable(
    paths: Iterable[Path],
    use: Use,
    no_input_error: Callable[[Path], VaError],
    batch: Batch,
    progress: Progress,
) -> list[MediaInput]:
    """The inputs to process, without duplicates, in the order of the paths.

    A path without usable inputs is recorded as failed with the error of `no_input_error`. Paths that
    cannot be read are recorded as failed too. One message lists the other files of a folder.
    """

    def find(path: Path) -> list[MediaInput]:
        found = find_media([path])
        for failed, error in found.failed.items():
            batch.fail(str(failed), error, progress)
        uses = {media.path: use(media) for media in found.media}
        left_out = found.skipped | {path: used for path, used in uses.items() if isinstance(used, str)}
        chosen = [one for used in uses.values() if not isinstance(used, str) for one in used]
        if not chosen and not found.failed:
            raise no_input_error(path)
        if chosen and left_out:
            progress.info(_left_out_message(path, left_out))
        return chosen

    usable: dict[str, MediaInput] = {}
    for one in find_each(paths, find, batch, progress):
        usable.setdefault(real_path(one.path), one)
    return list(usable.values())


def _left_out_message(folder: Path, left_out: Mapping[Path, str]) -> str:
    """One line that lists the files left out of a folder and the reasons."""
    reasons = dict.fromkeys(left_out.values())
    parts = []
    for reason in reasons:
        names = sorted(str(path.relative_to(folder)) for path, why in left_out.items() if why == reason)
        more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
        parts.append(f"{', '.join(names[:MAX_NAMED])}{more} ({reason})")
    files = "1 file" if len(left_out) == 1 else f"{len(left_out)} files"
    return f"{folder}: {files} left out: {'; '.join(parts)}"
