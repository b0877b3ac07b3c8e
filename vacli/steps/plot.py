"""`va plot`: figures of predictions, and of the labels of a store before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vacli import __version__
from vacli.datasets.annotations import ANNOTATED
from vacli.errors import LabelError, UsageError
from vacli.files.atomic import refuse_existing
from vacli.files.digests import file_sha256
from vacli.files.store_folder import is_store
from vacli.output import plot, provenance
from vacli.output.file_names import output_names
from vacli.output.formats import TableOptions
from vacli.output.prediction_figure import draw_predictions
from vacli.progress import Progress, RecordingProgress
from vacli.steps._batch import DONE, Batch, run_each
from vacli.steps._evaluation_figures import check_formats
from vacli.steps._output_folder import check_is_folder
from vacli.steps._prediction_provenance import conditions
from vacli.steps._prediction_settings import PredictSettings
from vacli.steps._recordings import Recording, find_recordings, input_name
from vacli.store import Store, VideoView

ALL_VIDEOS = ("labels", "plane")  # figures of a store


@dataclass(frozen=True, kw_only=True)
class PlotSettings:
    """inputs: recordings, tables of `va predict`, or one labelled store. out: a folder.

    model and face: of recordings that are predicted. given: as in `PredictSettings`. formats: of
    `output.plot.FORMATS`, a file for each. force: replace files that are no figures of `va`.
    """

    inputs: tuple[Path, ...]
    out: Path
    model: Path | None = None
    face: str = "all"
    given: frozenset[str] = frozenset()
    force: bool = False
    formats: tuple[str, ...] = plot.FORMATS[:1]


@dataclass
class PlotResult(Batch):
    """The batch of the videos, and all figures that were written."""

    figures: list[Path] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class _Labels:
    """values: (N, 2), NaN where there is no label. filled: (N,) bool, True where it is not annotated."""

    values: np.ndarray
    filled: np.ndarray


def run(settings: PlotSettings, progress: Progress | None = None) -> PlotResult:
    """Draw the predictions of each recording, or the labels of a store.

    Earlier figures of `va` are replaced. Raises OutputError for other files, unless `force` is given,
    UsageError for an unknown format, a folder that is named like a file, or a store beside other inputs,
    LabelError where no video of a store has labels.
    """
    progress = progress or RecordingProgress()
    check_formats("--format", settings.formats)
    check_is_folder(settings.out, _folder_hint(settings.out))
    stores = [path for path in settings.inputs if is_store(path)]
    if stores and len(settings.inputs) > 1:
        raise UsageError(f"{stores[0]} is a store among other inputs", hint="draw a store on its own")
    result = PlotResult(settings.out)
    if stores:
        if unused := sorted(settings.given & {"model", "face"}):
            options = ", ".join(f"--{name}" for name in unused)
            progress.warn(
                f"{options}: no effect on {stores[0]}, because only the labels of a store are drawn"
            )
        _draw_labels(stores[0], settings, result, progress)
    else:
        _draw_recordings(settings, result, progress)
    return result


def _folder_hint(out: Path) -> str:
    """How to get figures in the format that the name of a file asks for."""
    form = out.suffix.lower().removeprefix(".")
    return "give a folder, such as -o figures/" + (f" --format {form}" if form in plot.FORMATS else "")


def _draw_recordings(settings: PlotSettings, result: PlotResult, progress: Progress) -> None:
    """One figure for each recording, named after it."""
    predicted = PredictSettings(
        inputs=settings.inputs, model=settings.model, face=settings.face, given=settings.given
    )
    recordings = find_recordings(predicted, result, progress)
    distinct = {recording.name: input_name(recording) for recording in recordings}
    names = dict(zip(distinct, output_names(list(distinct.values())), strict=True))
    _check_replaceable(settings, list(names.values()))
    if recordings:
        settings.out.mkdir(parents=True, exist_ok=True)

    def work(recording: Recording) -> str:
        tables = recording.load()
        about = provenance.as_line(_provenance(recording, predicted))
        for path in _paths(settings, names[recording.name], result):
            draw_predictions(path, Path(recording.name).name, tables, about)
        return DONE

    run_each(result, recordings, lambda recording: recording.name, work, progress)


def _provenance(recording: Recording, settings: PredictSettings) -> dict[str, object]:
    """Version, and the table or the recording with the model and its settings."""
    source = recording.table or recording.media
    made: dict[str, object] = {"va": __version__}
    if source is not None and source.is_file():
        made["source"] = {"name": source.name, "sha256": file_sha256(source)}
    if recording.table is not None and settings.selects_face:
        made["settings"] = {"face": settings.face}
    if recording.table is None:
        predicted = conditions(settings, TableOptions())
        made |= {name: predicted[name] for name in ("model", "settings")}
    return made


def _draw_labels(store: Path, settings: PlotSettings, result: PlotResult, progress: Progress) -> None:
    """The labels of each video over time, their histograms and their density in the plane."""
    views = [view for view in Store.open(store).videos() if view.has("label")]
    if not views:
        raise LabelError(
            f"{store}: no video has labels",
            hint="add them with `va import-labels`, or draw a table of `va predict`",
        )
    _check_replaceable(settings, [*ALL_VIDEOS, *(f"{plot.VIDEOS}/{view.id}" for view in views)])
    (settings.out / plot.VIDEOS).mkdir(parents=True, exist_ok=True)
    drawn: list[_Labels] = []

    def work(view: VideoView) -> str:
        labels = _labels(view)
        curves = plot.Curves(view.times_s, labels=labels.values, filled=labels.filled)
        for path in _paths(settings, f"{plot.VIDEOS}/{view.id}", result):
            plot.trajectory(path, view.id, curves)
        drawn.append(labels)
        return DONE

    run_each(result, views, lambda view: view.id, work, progress)
    if drawn:
        _draw_all(settings, drawn, result)
    progress.info(f"{len(result.figures)} figures of {len(drawn)} videos")


def _draw_all(settings: PlotSettings, drawn: list[_Labels], result: PlotResult) -> None:
    """The figures of all videos together."""
    values, filled = (np.concatenate(x) for x in zip(*((d.values, d.filled) for d in drawn), strict=True))
    histogram, plane = ALL_VIDEOS
    for path in _paths(settings, histogram, result):
        plot.label_histogram(path, values, filled)
    for path in _paths(settings, plane, result):
        plot.plane(path, _panels(values, filled))


def _panels(values: np.ndarray, filled: np.ndarray) -> dict[str, np.ndarray]:
    """Annotated labels, and beside them the filled ones if there are any."""
    panels = {"Annotated": values[~filled]}
    return panels | {"Filled": values[filled]} if filled.any() else panels


def _check_replaceable(settings: PlotSettings, names: Sequence[str]) -> None:
    """Raise OutputError for an existing file that is no figure of `va`, unless `force` is given."""
    paths = (path for name in names for path in _files(settings, name))
    refuse_existing((path for path in paths if not plot.is_figure(path)), settings.force)


def _files(settings: PlotSettings, name: str) -> list[Path]:
    return [settings.out / f"{name}.{form}" for form in settings.formats]


def _paths(settings: PlotSettings, name: str, result: PlotResult) -> list[Path]:
    paths = _files(settings, name)
    result.figures += paths
    return paths


def _labels(view: VideoView) -> _Labels:
    values = view.labels()
    known = ~np.isnan(values).any(axis=1)
    source = view.read("label/source") if view.has("label/source") else np.full(len(values), ANNOTATED)
    return _Labels(values, known & (source != ANNOTATED))
