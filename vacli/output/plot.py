"""Figures as files: label histograms, trajectories over time, density in the VA plane."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vacli.files.atomic import staged_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CREATOR = "va, figure of valence and arousal"  # in the metadata of each file
METADATA_BYTES = 1 << 16  # at the start of a PNG and SVG file, and at the end of a PDF file
NAMES = ("Valence", "Arousal")
COLOURS = ("#0072b2", "#d55e00")  # Okabe and Ito: distinct for colour-blind readers and in grey
LABEL_COLOUR = "#b4b4b4"
FILLED_COLOUR = "#e69f00"
FORMATS = ("png", "pdf", "svg")
VIDEOS = "videos"  # folder of the figures of single videos, whose names may be any
MAX_TITLE = 72  # characters
TICKS = (-1, -0.5, 0, 0.5, 1)
BINS = 40
CELLS = (16, 50)  # smallest and largest number of cells along an axis
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "savefig.dpi": 150,
    "pdf.fonttype": 42,  # TrueType: journals reject Type 3 fonts
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "va",
}


@dataclass(frozen=True, eq=False)
class Curves:
    """A trajectory to draw: times_s (T,); predicted, labels and sd (T, 2), NaN where there is none.

    filled: (T,) bool, True where the label was not annotated but filled in or repaired.
    """

    times_s: np.ndarray
    predicted: np.ndarray | None = None
    labels: np.ndarray | None = None
    sd: np.ndarray | None = None
    filled: np.ndarray | None = None


def trajectory(path: Path, title: str, curves: Curves) -> None:
    """Valence above arousal over time, labels in grey behind, a band of one standard deviation.

    Filled labels have a colour of their own. The format of the file follows from its suffix (FORMATS).
    """
    with _figure(path, (9.0, 4.2), rows=2, sharex=True) as (figure, axes):
        for side, axis in enumerate(axes):
            _curve(axis, curves, side)
        axes[0].set_title(drawable_title(title), loc="left", parse_math=False)
        axes[1].set_xlabel("Time (s)")
        if curves.labels is not None:
            axes[0].legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=4, frameon=False)
        figure.align_ylabels(axes)


def label_histogram(path: Path, labels: np.ndarray, filled: np.ndarray | None = None) -> None:
    """Histograms of valence and arousal labels, filled ones stacked on the annotated ones.

    labels: (N, 2), NaN where there is none. filled: (N,) bool, True where the label was filled in.
    """
    filled = np.zeros(len(labels), bool) if filled is None else filled
    with _figure(path, (8.0, 3.2), columns=2, sharey=True) as (_, axes):
        for side, axis in enumerate(axes):
            known = ~np.isnan(labels[:, side])
            values = labels[known, side]
            groups = [labels[known & ~filled, side], labels[known & filled, side]]
            weights = [np.full(len(group), 100 / max(len(values), 1)) for group in groups]
            colours = [COLOURS[side], FILLED_COLOUR]
            names = ["Annotated", "Filled"]
            axis.hist(groups, BINS, range=(-1, 1), weights=weights, color=colours, label=names, stacked=True)
            axis.set_xlim(-1, 1)
            axis.set_xticks(TICKS)
            axis.set_xlabel(NAMES[side])
            axis.set_title(_summary(values), loc="left")
            axis.grid(axis="x", visible=False)
            if filled.any():
                axis.legend(frameon=False)
        axes[0].set_ylabel("Frames (%)")


def plane(path: Path, panels: Mapping[str, np.ndarray]) -> None:
    """Densities of frames in the valence-arousal plane, a panel each: title -> (N, 2), NaN if missing."""
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import LogLocator

    sides = [values[~np.isnan(values).any(axis=1)] for values in panels.values()]
    cells = int(np.clip(len(sides[0]) ** 0.5 / 3, *CELLS))
    shares = [_shares(values, cells) for values in sides]
    filled = np.concatenate([share[share > 0] for share in shares])
    span = (filled.min(), filled.max()) if len(filled) else (1.0, 1.0)
    size_in = (0.8 + 3.8 * len(panels), 3.9)
    with _figure(path, size_in, columns=len(panels), sharey=True, squeeze=False) as (figure, ((*axes,),)):
        for axis, share, title in zip(axes, shares, panels, strict=True):
            image = axis.imshow(
                np.ma.masked_equal(share.T, 0),
                origin="lower",
                extent=(-1, 1, -1, 1),
                cmap="viridis",
                norm=LogNorm(*span),
                interpolation="nearest",
            )
            _cross(axis, title)
        axes[0].set_ylabel(NAMES[1])
        scale = figure.colorbar(image, ax=axes, ticks=LogLocator(subs=(1, 2, 5)), format="%g", shrink=0.9)
        scale.minorticks_off()
        scale.set_label("Frames in a cell (%)")


def _curve(axis: Axes, curves: Curves, side: int) -> None:
    if curves.labels is not None:
        _label_curves(axis, curves, side)
    if curves.predicted is not None:
        predicted = curves.predicted[:, side]
        if curves.sd is not None:
            low, high = predicted - curves.sd[:, side], predicted + curves.sd[:, side]
            axis.fill_between(
                curves.times_s, low, high, color=COLOURS[0], alpha=0.25, lw=0, label="1 standard deviation"
            )
        axis.plot(curves.times_s, predicted, color=COLOURS[0], lw=1.1, label="Predicted")
    axis.axhline(0, color="#b0b0b0", lw=0.8, zorder=0)
    axis.set_ylim(-1.05, 1.05)
    axis.set_yticks(TICKS)
    axis.set_ylabel(NAMES[side])
    axis.margins(x=0)


def _label_curves(axis: Axes, curves: Curves, side: int) -> None:
    """Annotated labels in grey, and filled ones in their own colour where there are any."""
    assert curves.labels is not None
    labels = curves.labels[:, side]
    filled = np.zeros(len(labels), bool) if curves.filled is None else curves.filled
    annotated = np.where(filled, np.nan, labels)
    axis.plot(curves.times_s, annotated, color=LABEL_COLOUR, lw=2.6, label="Annotated")
    if filled.any():
        values = np.where(filled, labels, np.nan)
        axis.plot(curves.times_s, values, color=FILLED_COLOUR, lw=2.6, label="Filled")


def _cross(axis: Axes, title: str) -> None:
    axis.axhline(0, color="#b0b0b0", lw=0.8)
    axis.axvline(0, color="#b0b0b0", lw=0.8)
    axis.set_xlabel(NAMES[0])
    axis.set_title(title, loc="left")
    axis.set_xticks(TICKS)
    axis.set_yticks(TICKS)
    axis.grid(visible=False)


def _shares(values: np.ndarray, cells: int) -> np.ndarray:
    """Per cent of the frames in each cell of the plane: (cells, cells), valence first."""
    counts, _, _ = np.histogram2d(values[:, 0], values[:, 1], cells, range=((-1, 1), (-1, 1)))
    return 100 * counts / max(len(values), 1)


def _summary(values: np.ndarray) -> str:
    if not len(values):
        return "no annotated frames"
    mean = round(float(values.mean()), 2) + 0.0  # + 0.0: no negative zero
    return f"{len(values):,} frames, mean {mean:.2f}, sd {values.std():.2f}"


@contextmanager
def _figure(
    path: Path, size_in: tuple[float, float], rows: int = 1, columns: int = 1, **shared: Any
) -> Iterator[tuple[Figure, Any]]:
    """A figure with a grid of axes, see `figure_file`."""
    with figure_file(path, size_in) as figure:
        yield figure, figure.subplots(rows, columns, **shared)


def drawable(text: str) -> str:
    """Text with `?` for the bytes of a file name that are not UTF-8, which fonts cannot draw."""
    return text.encode("utf-8", "replace").decode("utf-8")


def drawable_title(name: str) -> str:
    """The name of a recording as a title, without its middle where it is too long for the figure."""
    text, half = drawable(name), MAX_TITLE // 2
    return text if len(text) <= MAX_TITLE else f"{text[:half]} ... {text[-half:]}"


@contextmanager
def figure_file(path: Path, size_in: tuple[float, float], about: str = "") -> Iterator[Figure]:
    """An empty figure in STYLE, written to `path` at the end; no display is needed.

    The format follows from the suffix (FORMATS). about: a description in the file. Equal figures give equal
    files.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    kind = path.suffix.removeprefix(".") or FORMATS[0]
    with matplotlib.rc_context(STYLE):
        figure: Figure = Figure(figsize=size_in, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        _fix_layout(figure)
        with staged_file(path) as part:
            figure.savefig(part, format=kind, metadata=_metadata(kind, about))


def _metadata(kind: str, about: str) -> dict[str, str | None]:
    """The metadata of a file: a description, CREATOR, and no date, so that equal data gives equal files."""
    described: dict[str, str | None] = {"Subject" if kind == "pdf" else "Description": about} if about else {}
    described["Software" if kind == "png" else "Creator"] = CREATOR
    return described if kind == "png" else {**described, "CreationDate" if kind == "pdf" else "Date": None}


def is_figure(path: Path) -> bool:
    """Whether a file is a figure that this module wrote; False if it cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(METADATA_BYTES)
            file.seek(max(len(head), path.stat().st_size - METADATA_BYTES))
            return CREATOR.encode() in head + file.read()
    except OSError:
        return False


def _fix_layout(figure: Figure) -> None:
    """Place the axes and round their positions, whose last digits differ between runs of the solver."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axis in figure.axes:
        x, y, width, height = np.round(axis.get_position(original=True).bounds, 5).tolist()
        axis.set_position((x, y, width, height))
