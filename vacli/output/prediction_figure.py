"""One figure of the predictions of a recording: curves, what they rest on, and the valence-arousal plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vacli.clock import median_step_s
from vacli.output.frame_durations import NO_FRAMES, recording_gaps
from vacli.output.frame_table import NO_MODALITY, FrameTable
from vacli.output.plot import NAMES, TICKS, drawable_title, figure_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FACE_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")  # Okabe and Ito
LINE_STYLES = ("-", "--", ":", "-.")  # the first six faces, the next six, and so on
MODALITIES = {  # modality -> colour and hatching of its shade
    "audiovisual": ("#ffffff", ""),
    "visual": ("#e2f0e0", ""),
    "audio": ("#fdeccd", ""),
    NO_MODALITY: ("#d9d9d9", "////"),
    NO_FRAMES: ("#ffffff", ".."),
}
MAX_POINTS = 4000  # of a curve; longer recordings are drawn as means over equal times
BINS = 1500
STRIP_IN = 0.16  # height of a face's strip of modalities
COLUMNS = ("valence", "arousal", "valence_uncertainty", "arousal_uncertainty")


@dataclass(frozen=True, eq=False)
class FaceCurve:
    """What is drawn of one face. values and sd: (T, 2), NaN where unknown. modality: (T,) text or None."""

    name: str
    colour: str
    line_style: str
    times_s: np.ndarray
    values: np.ndarray
    sd: np.ndarray
    modality: np.ndarray | None


def draw_predictions(path: Path, title: str, tables: Sequence[FrameTable], about: str = "") -> None:
    """Draw the tables of one recording, one for each face; the suffix of `path` selects the format.

    Left valence and arousal over time with a band of one standard deviation of the expected error, shaded by
    modality; below a strip of modalities for each face. Right the valence-arousal plane. Frames without a
    prediction and times without a frame are gaps. Curves of more than MAX_POINTS frames are means of BINS
    equal times, which the axis says. about: a description in the file.
    """
    step_s = _step_s(tables)
    ordered = sorted(tables, key=_face_id)
    faces = [_curve(table, number, step_s) for number, table in enumerate(ordered)]
    strips = sum(face.modality is not None for face in faces)
    with figure_file(path, (9.0, 4.2 + STRIP_IN * strips), about) as figure:
        axes = _axes(figure, strips)
        for side, axis in enumerate((axes["valence"], axes["arousal"])):
            _draw_side(axis, faces, side)
        if len(faces) == 1:
            for axis in (axes["valence"], axes["arousal"]):
                _shade(axis, faces[0], 0.0, 1.0)
        if strips:
            _draw_strips(axes["basis"], [face for face in faces if face.modality is not None])
        _draw_plane(axes["plane"], faces)
        last = axes["basis" if strips else "arousal"]
        last.set_xlabel(
            "Time (s)" if step_s is None else f"Time (s); each point is a mean over {step_s:.2g} s"
        )
        axes["valence"].set_title(drawable_title(title), loc="left", parse_math=False)
        figure.legend(
            handles=_legend(faces), loc="outside lower center", ncols=6, frameon=False, fontsize="small"
        )


def _step_s(tables: Sequence[FrameTable]) -> float | None:
    """The length of a bin, or None if all frames are drawn."""
    if max(map(len, tables)) <= MAX_POINTS:
        return None
    span_s = max(float(table.columns["time_s"][-1]) for table in tables) - min(
        float(table.columns["time_s"][0]) for table in tables
    )
    return span_s / BINS


def _curve(table: FrameTable, number: int, step_s: float | None) -> FaceCurve:
    nothing = np.full(len(table), np.nan)
    valid = table.valid
    x = np.stack([np.where(valid, table.columns.get(name, nothing), np.nan) for name in COLUMNS], axis=1)
    times_s, modality = table.columns["time_s"], table.columns.get("modality")
    if step_s is not None:
        times_s, x, modality = _binned(times_s, x, modality, step_s)
    times_s, x, modality = _with_ends(times_s, x, modality)
    face_id, (cycle, place) = _face_id(table), divmod(number, len(FACE_COLOURS))
    name = "no face" if face_id < 0 else f"face {face_id}"
    style = LINE_STYLES[cycle % len(LINE_STYLES)]
    return FaceCurve(name, FACE_COLOURS[place], style, times_s, x[:, :2], x[:, 2:], modality)


def _face_id(table: FrameTable) -> int:
    """The number of the face, -1 if none was detected or the table does not say it."""
    return int(table.columns.get("face_id", np.full(1, -1)).max(initial=-1))


def _binned(
    times_s: np.ndarray, x: np.ndarray, modality: np.ndarray | None, step_s: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Means of the known values in bins of `step_s`, NaN in a bin without one; the modality at its start."""
    numbers = ((times_s - times_s[0]) / step_s).astype(int)
    first = np.flatnonzero(np.diff(numbers, prepend=-1))
    known = ~np.isnan(x)
    counts = np.add.reduceat(known, first, axis=0, dtype=float)
    sums = np.add.reduceat(np.where(known, x, 0.0), first, axis=0)
    means = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    return times_s[first], means, None if modality is None else modality[first]


def _with_ends(
    times_s: np.ndarray, x: np.ndarray, modality: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Add a row without values at the end of the last frame and of each frame before a gap."""
    if not len(times_s):
        return times_s, x, modality
    gaps, starts_s = recording_gaps(times_s)
    at = np.append(gaps, len(times_s) - 1) + 1
    times_s = np.insert(times_s, at, [*starts_s, times_s[-1] + median_step_s(times_s)])
    x = np.insert(x, at, np.nan, axis=0)
    return times_s, x, None if modality is None else np.insert(modality.astype(object), at, NO_FRAMES)


def _axes(figure: Figure, strips: int) -> Mapping[str, Axes]:
    rows: list[Any] = [["valence", "plane"], ["arousal", "plane"]]
    heights = [1.9, 1.9]
    if strips:
        rows.append(["basis", "."])
        heights.append(STRIP_IN * strips)
    axes = figure.subplot_mosaic(rows, height_ratios=heights, width_ratios=[2.6, 1.0])
    for name in ("arousal", "basis"):
        if name in axes:
            axes[name].sharex(axes["valence"])
    for name in ("valence", "arousal")[: 2 if strips else 1]:
        axes[name].tick_params(labelbottom=False)
    figure.align_ylabels([axes["valence"], axes["arousal"]])
    return axes


def _draw_side(axis: Axes, faces: Sequence[FaceCurve], side: int) -> None:
    for face in faces:
        value, sd = face.values[:, side], face.sd[:, side]
        axis.fill_between(face.times_s, value - sd, value + sd, color=face.colour, alpha=0.25, lw=0)
        axis.plot(face.times_s, value, face.line_style, color=face.colour, lw=1.1)
        if (alone := _alone(value)).any():
            _draw_points(axis, face.times_s[alone], value[alone], sd[alone], face.colour)
    axis.axhline(0, color="#b0b0b0", lw=0.8, zorder=0)
    axis.set_ylim(-1.05, 1.05)
    axis.set_yticks(TICKS)
    axis.set_ylabel(NAMES[side])
    axis.margins(x=0)


def _draw_points(axis: Axes, at_s: np.ndarray, value: np.ndarray, sd: np.ndarray, colour: str) -> None:
    axis.vlines(at_s, value - sd, value + sd, color=colour, alpha=0.25, lw=3, clip_on=False)
    axis.plot(at_s, value, "o", color=colour, ms=3, clip_on=False)


def _alone(value: np.ndarray) -> np.ndarray:
    """Whether each value is known but none beside it is, so that a line does not show it."""
    known = np.pad(np.isfinite(value), 1)
    return known[1:-1] & ~known[:-2] & ~known[2:]


def _shade(axis: Axes, face: FaceCurve, low: float, high: float) -> None:
    """Shade the height from `low` to `high`, fractions of the axis, by modality."""
    if face.modality is None or not len(face.times_s):
        return
    for start, end, name in _spans(face.times_s, face.modality):
        colour, hatch = MODALITIES[name]
        axis.axvspan(
            start, end, low, high, facecolor=colour, edgecolor="#a0a0a0", hatch=hatch, lw=0, zorder=-1
        )


def _spans(times_s: np.ndarray, modality: np.ndarray) -> list[tuple[float, float, str]]:
    """Start, end and modality of the runs of equal modality; a frame lasts until the next one.

    The last row is an end without a frame.
    """
    starts = np.flatnonzero(np.r_[True, modality[1:-1] != modality[:-2]])
    ends = np.r_[starts[1:], len(times_s) - 1]
    return [(times_s[a], times_s[b], str(modality[a])) for a, b in zip(starts, ends, strict=True)]


def _draw_strips(axis: Axes, faces: Sequence[FaceCurve]) -> None:
    for row, face in enumerate(faces):
        low = 1 - (row + 1) / len(faces)
        _shade(axis, face, low, low + 1 / len(faces))
    axis.set_yticks([1 - (row + 0.5) / len(faces) for row in range(len(faces))])
    axis.set_yticklabels([face.name for face in faces])
    axis.set_ylim(0, 1)
    axis.margins(x=0)
    axis.grid(visible=False)
    axis.spines[:].set_visible(True)
    axis.tick_params(left=False)


def _draw_plane(axis: Axes, faces: Sequence[FaceCurve]) -> None:
    for face in faces:
        axis.plot(face.values[:, 0], face.values[:, 1], color=face.colour, lw=0.5, alpha=0.5)
        axis.plot(face.values[:, 0], face.values[:, 1], ".", color=face.colour, ms=2, alpha=0.6)
    axis.axhline(0, color="#b0b0b0", lw=0.8, zorder=0)
    axis.axvline(0, color="#b0b0b0", lw=0.8, zorder=0)
    axis.set(xlim=(-1.05, 1.05), ylim=(-1.05, 1.05), xticks=TICKS, yticks=TICKS, aspect="equal", anchor="N")
    axis.tick_params(labelsize="small")
    axis.set_xlabel(NAMES[0])
    axis.set_ylabel(NAMES[1], labelpad=0)


def _legend(faces: Sequence[FaceCurve]) -> list[object]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    lines = [Line2D([], [], color=face.colour, ls=face.line_style, label=face.name) for face in faces]
    names = {
        str(name) for face in faces if face.modality is not None for name in np.unique(face.modality[:-1])
    }
    shades = [
        Patch(facecolor=colour, edgecolor="#a0a0a0", hatch=hatch, lw=0.5, label=_label(name))
        for name, (colour, hatch) in MODALITIES.items()
        if name in names
    ]
    has_sd = any(np.isfinite(face.sd).any() for face in faces)
    band = [Patch(color=faces[0].colour, alpha=0.25, lw=0, label="1 SD of the expected error")]
    return [*lines, *(band if has_sd else []), *shades]


def _label(modality: str) -> str:
    return "no face and no speech" if modality == NO_MODALITY else modality
