"""A process that reads one part of a store again and again, and notes each different thing that it saw."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

from vacli.errors import StoreError
from vacli.store import Store


def main(arguments: list[str]) -> None:
    """STORE VIDEO PART UNTIL: read until the file UNTIL is there; print what was seen, and how often."""
    store, video, part, until = Path(arguments[0]), arguments[1], arguments[2], Path(arguments[3])
    seen: dict[str, int] = {}
    while not until.exists():
        state = look(store, video, part)
        seen[state] = seen.get(state, 0) + 1
        time.sleep(0.0005)
    print(json.dumps(seen))


def look(store: Path, video: str, part: str) -> str:
    """A hash of all that a part holds at this instant, or what was wrong with it."""
    try:
        view = Store.open(store).video(video)
        names = (
            [f"feature/{part}", f"flag/{part}"]
            if part != "face"
            else ["face/detected", "face/box", "face/track"]
        )
        arrays = [view.read(name) for name in names]
    except StoreError as error:
        return f"refused: {str(error)[-60:]}"
    except Exception as error:
        return f"half: {type(error).__name__}"
    return hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()[:12]
