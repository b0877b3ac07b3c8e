"""Warnings of options that were given and change nothing, because of the inputs that they are given with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vacli.progress import Progress
from vacli.steps._prediction_settings import PredictSettings

UNUSED_BY_STORE = ("weights", "audio_track", "backend")
UNUSED_BY_TABLE = ("model", *UNUSED_BY_STORE, "allow_mismatch", "device")


def warn_of_unused(
    settings: PredictSettings, tables: Sequence[Path], stores: Sequence[Path], progress: Progress
) -> None:
    """Warn of options that change nothing for tables and stores. It is for commands without other inputs."""
    unused = [name for name in (UNUSED_BY_STORE if stores else UNUSED_BY_TABLE) if name in settings.given]
    if settings.speech_model is not None and "weights" in unused:  # they may be those of the speech model
        unused.remove("weights")
    if not unused or not (tables or stores):
        return
    options = ", ".join(f"--{name.replace('_', '-')}" for name in unused)
    has = " and ".join(["predictions"] * bool(tables) + ["features"] * bool(stores))
    inputs = [*tables, *stores]
    more = f" and {len(inputs) - 1} more" if len(inputs) > 1 else ""
    progress.warn(
        f"{options}: no effect, because {inputs[0]}{more} {'have' if more else 'has'} the {has} already; "
        "name the recordings to predict them again"
    )


def warn_of_face(settings: PredictSettings, stores: Sequence[Path], progress: Progress) -> None:
    """Warn that `--face` does not select from stores."""
    if stores and settings.selects_face:
        reason = "a store has the faces of `va align --face`"
        progress.warn(f"--face {settings.face} is not used for {stores[0]}: {reason}")
