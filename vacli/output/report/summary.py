"""The summary of a recording: its means, the modalities of its rows, and what is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vacli.clock import duration_s
from vacli.output.annotations import FaceTier
from vacli.output.frame_table import FrameTable
from vacli.output.report.packing import MODALITIES, UNKNOWN, modality_codes, usable

NOT_LOW = (
    "",
    "no_face_or_speech",
)  # values of `quality_limit` of rows that are not left out for their quality
MEANINGS = {
    "audiovisual": "face and sound",
    "visual": "the face only",
    "audio": "the sound only",
    "none": "no prediction",
    UNKNOWN: "not recorded in the table",
}


@dataclass(frozen=True)
class FaceSummary:
    """One face. Means and standard deviations are over the valid rows, None without one.

    uncertainty: mean of each dimension over the valid rows, None where it is unknown. quality: mean over all
    rows, None if it is unknown. shares: modality -> fraction of the rows.
    """

    label: str
    frames: int
    duration_s: float
    mean: tuple[float, float] | None
    sd: tuple[float, float] | None
    uncertainty: tuple[float | None, float | None]
    valid_fraction: float
    quality: float | None
    shares: dict[str, float]
    left_out: str


def summarize_face(tier: FaceTier) -> FaceSummary:
    """The summary of one face."""
    table, is_usable = tier.table, usable(tier.table)
    values = np.stack([table.columns[name][is_usable] for name in ("valence", "arousal")], axis=1)
    return FaceSummary(
        label=tier.label,
        frames=len(table),
        duration_s=duration_s(table.columns["time_s"]),
        mean=_pair(values.mean(axis=0)) if len(values) else None,
        sd=_pair(values.std(axis=0)) if len(values) else None,
        uncertainty=(
            _mean_uncertainty(table, "valence", is_usable),
            _mean_uncertainty(table, "arousal", is_usable),
        ),
        valid_fraction=_fraction(is_usable),
        quality=_quality(table),
        shares=_shares(table),
        left_out=_left_out(table, is_usable),
    )


def index_row(name: str, tiers: Sequence[FaceTier]) -> dict[str, Any]:
    """The row of a recording in the index as JSON values: means over the valid rows of all faces."""
    faces = [summarize_face(tier) for tier in tiers]
    rows = np.concatenate(
        [np.stack([t.table.columns[n] for n in ("valence", "arousal")], 1)[usable(t.table)] for t in tiers]
    )
    valence, arousal = rows.mean(axis=0).tolist() if len(rows) else (None, None)
    frames = sum(face.frames for face in faces)
    return {
        "name": name,
        "duration_s": max(face.duration_s for face in faces),
        "faces": sum(map(_has_face, tiers)),
        "valence": valence,
        "arousal": arousal,
        "valid_fraction": len(rows) / max(frames, 1),
    }


def _has_face(tier: FaceTier) -> bool:
    """Whether a face was detected; true for a table without this column."""
    detected = tier.table.columns.get("face_detected")
    return detected is None or bool(detected.any())


def _shares(table: FrameTable) -> dict[str, float]:
    codes = modality_codes(table)
    shares = {name: _fraction(codes == code) for code, name in enumerate((*MODALITIES, UNKNOWN))}
    return {name: share for name, share in shares.items() if share > 0}


def _left_out(table: FrameTable, is_usable: np.ndarray) -> str:
    """A sentence about the rows without a prediction."""
    total, count = len(table), int((~is_usable).sum())
    if not count:
        return "No frame is left out: each has a prediction."
    lead = f"{count:,} of {total:,} frames ({count / total:.1%}) are left out, because "
    return lead + " and ".join(_causes(table, ~is_usable)) + "."


def _causes(table: FrameTable, is_out: np.ndarray) -> list[str]:
    """Why rows are left out, each with its number if there are several causes."""
    if "audio_present" not in table.columns:
        return ["the table has no prediction for them"]
    audio = table.columns["audio_present"]
    limit = table.columns.get("quality_limit", np.full(len(table), ""))
    is_low = is_out & ~np.isin(limit, NOT_LOW)
    causes = {
        "they have neither a face nor sound": is_out & ~is_low & ~audio,
        "they have no face, and their sound was not detected as speech": is_out & ~is_low & audio,
        "their quality is too low": is_low,
    }
    counts = {cause: int(rows.sum()) for cause, rows in causes.items() if rows.any()}
    texts = list(counts) if len(counts) == 1 else [f"{cause} ({count:,})" for cause, count in counts.items()]
    return [*texts[:-1], f"{texts[-1]}: {_limits(limit[is_low])}"] if is_low.any() else texts


def _limits(limits: np.ndarray) -> str:
    """The factors that lower the quality of rows, the most frequent first."""
    return ", ".join(f"{name} {count:,}" for name, count in Counter(limits.tolist()).most_common())


def _mean_uncertainty(table: FrameTable, dimension: str, is_usable: np.ndarray) -> float | None:
    values = table.columns.get(f"{dimension}_uncertainty")
    known = None if values is None else values[is_usable & ~np.isnan(values)]
    return None if known is None or not len(known) else float(known.mean())


def _quality(table: FrameTable) -> float | None:
    values = table.columns.get("quality", np.empty(0))
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _fraction(flags: np.ndarray) -> float:
    return float(flags.mean()) if len(flags) else 0.0


def _pair(values: np.ndarray) -> tuple[float, float]:
    return float(values[0]), float(values[1])
