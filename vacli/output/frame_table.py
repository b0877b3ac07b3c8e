"""The table that `va predict` makes: one row a frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

COLUMNS = {
    "frame": "index of the frame in the file, from 0",
    "time_s": "when the file shows it, seconds on the container's clock",
    "valence": "unpleasant -1 to pleasant 1",
    "arousal": "calm -1 to excited 1",
    "face_ok": "1 where a face was seen",
    "audio_ok": "1 where there was sound",
    "modality": "what the numbers rest on: av, v, a or none",
    "valence_sd": "standard deviation of the error where the model is calibrated, else of its members",
    "arousal_sd": "standard deviation of the error where the model is calibrated, else of its members",
    "face_score": "confidence of the face detector, 0 to 1",
    "face_x": "left edge of the face's box, pixels of the upright picture",
    "face_y": "top edge",
    "face_w": "width",
    "face_h": "height",
    "person": "identity within the file, from 0; empty where nobody was seen in all of it",
    "input": "the file",
}
DECIMALS = {"time_s": 6, "face_x": 1, "face_y": 1, "face_w": 1, "face_h": 1}


@dataclass(frozen=True, eq=False)
class FrameTable:
    """Valence and arousal of one person in one input.

    columns: name -> (N,) array; floats may be NaN where there is nothing to tell.
    """

    name: str
    columns: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.columns["frame"])

    def rows(self) -> Iterator[list[str]]:
        """Rows as text, in the order of COLUMNS; what is unknown is empty."""
        texts = [_texts(self.columns[c], DECIMALS.get(c, 4)) for c in COLUMNS if c != "input"]
        for cells in zip(*texts, strict=True):
            yield [*cells, self.name]

    def summary(self) -> dict[str, str | float]:
        """One row for the whole input: means, spreads and the shares of frames with face and sound."""
        c = self.columns
        mean = {f"{name}_mean": float(np.nanmean(c[name])) for name in ("valence", "arousal") if len(self)}
        spread = {f"{name}_std": float(np.nanstd(c[name])) for name in ("valence", "arousal") if len(self)}
        return {
            "input": self.name,
            "frames": len(self),
            "duration_s": float(c["time_s"][-1] - c["time_s"][0]) if len(self) else 0.0,
            **mean,
            **spread,
            "face_share": float(np.mean(c["face_ok"])) if len(self) else 0.0,
            "audio_share": float(np.mean(c["audio_ok"])) if len(self) else 0.0,
        }


def modality(face_ok: np.ndarray, audio_ok: np.ndarray) -> np.ndarray:
    """What each row rests on, (N,) of "av", "v", "a", "none"."""
    return np.array(["none", "a", "v", "av"])[2 * face_ok.astype(int) + audio_ok.astype(int)]


def _texts(values: np.ndarray, decimals: int) -> list[str]:
    if values.dtype.kind == "f":
        return ["" if np.isnan(v) else f"{v:.{decimals}f}" for v in values.tolist()]
    if values.dtype.kind == "b":
        return [str(int(v)) for v in values]
    if values.dtype.kind == "i":
        return ["" if v < 0 else str(v) for v in values.tolist()]
    return [str(v) for v in values.tolist()]
