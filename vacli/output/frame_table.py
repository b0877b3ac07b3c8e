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
NOTHING = "none"  # modality of a row that rests on nothing
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

    @property
    def known(self) -> np.ndarray:
        """(N,) bool: rows that rest on something."""
        return self.columns["modality"] != NOTHING

    def rows(self) -> Iterator[list[str]]:
        """Rows as text, in the order of COLUMNS; what is unknown is empty."""
        texts = [_texts(self.columns[c], DECIMALS.get(c, 4)) for c in COLUMNS if c != "input"]
        for cells in zip(*texts, strict=True):
            yield [*cells, self.name]

    def summary(self) -> dict[str, str | float]:
        """One row for the whole input.

        Means and spreads are over the frames that rest on something (`known_share` of all), or over all where
        none does; empty without rows.
        """
        c, known = self.columns, self.known
        counted = known if known.any() else ~known
        told = {name: c[name][counted] for name in ("valence", "arousal")}
        return {
            "input": self.name,
            "frames": len(self),
            "duration_s": float(c["time_s"][-1] - c["time_s"][0]) if len(self) else 0.0,
            **{f"{name}_mean": float(np.nanmean(x)) if len(x) else "" for name, x in told.items()},
            **{f"{name}_std": float(np.nanstd(x)) if len(x) else "" for name, x in told.items()},
            "face_share": _share(c["face_ok"]),
            "audio_share": _share(c["audio_ok"]),
            "known_share": _share(known),
        }


def _share(ok: np.ndarray) -> float:
    return float(np.mean(ok)) if len(ok) else 0.0


def modality(face_ok: np.ndarray, audio_ok: np.ndarray) -> np.ndarray:
    """What each row rests on, (N,) of "av", "v", "a", "none"."""
    return np.array([NOTHING, "a", "v", "av"])[2 * face_ok.astype(int) + audio_ok.astype(int)]


def _texts(values: np.ndarray, decimals: int) -> list[str]:
    if values.dtype.kind == "f":
        return ["" if np.isnan(v) else f"{v:.{decimals}f}" for v in values.tolist()]
    if values.dtype.kind == "b":
        return [str(int(v)) for v in values]
    if values.dtype.kind == "i":
        return ["" if v < 0 else str(v) for v in values.tolist()]
    return [str(v) for v in values.tolist()]
