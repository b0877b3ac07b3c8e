"""The settings and the frames that a `va finetune-mae` run was started with, as finetune.json has them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vacli.errors import RunError
from vacli.features.encoder_run import DEFAULT_NORMALISE

if TYPE_CHECKING:
    from vacli.steps.finetune_mae import FinetuneMaeSettings

RENAMED = {  # settings of va 0.1 -> present
    "every": "frame_stride",
    "most_per_video": "max_frames_per_video",
    "accumulate": "grad_accum",
    "average": "ema_decay",
}
RENAMED_STATISTICS = {"own": "model", "channels": "per-channel"}  # values of `normalise` of va 0.1 -> present
FRAMES = "frames"  # key of the digests of the frames, which runs of earlier versions lack
NOT_COMPARED = ("out", "device", "resume", "force")  # settings that may change when a run resumes


def to_text(settings: FinetuneMaeSettings, frames: Mapping[str, str]) -> str:
    """The content of finetune.json. frames: the digests of `SelectedFrames.digests`."""
    return json.dumps({**as_json(settings), FRAMES: frames}, indent=2) + "\n"


def frames_of(path: Path) -> dict[str, str] | None:
    """The digests of the frames in a file that `difference` can read; None if it has none."""
    return json.loads(path.read_text()).get(FRAMES)


def as_json(settings: FinetuneMaeSettings) -> dict[str, object]:
    """The settings as JSON values; the default of `normalise` by its name, as in earlier versions."""
    values = json.loads(json.dumps(asdict(settings), default=str))
    return values | {"normalise": settings.normalise or DEFAULT_NORMALISE}


def difference(path: Path, settings: FinetuneMaeSettings) -> str | None:
    """The first setting that differs from those in a file, None if all are equal; RunError without a run."""
    try:
        before = _present_names(json.loads(path.read_text()))
    except (OSError, ValueError, AttributeError):
        raise RunError(f"{path.parent} holds no run to resume", hint="omit --resume") from None
    defaults = {field.name: field.default for field in fields(settings)}
    for key, value in as_json(settings).items():
        initial = before.get(key, defaults[key])  # earlier versions lack some settings
        if key not in NOT_COMPARED and initial != value:
            return f"{key} {initial!r}, not {value!r}"
    return None


def _present_names(settings: dict[str, Any]) -> dict[str, object]:
    """The settings of a run of any version in the present names."""
    renamed = {RENAMED.get(name, name): value for name, value in settings.items()}
    if "normalise" in renamed:
        renamed["normalise"] = RENAMED_STATISTICS.get(renamed["normalise"], renamed["normalise"])
    return renamed
