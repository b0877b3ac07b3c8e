"""Facts of a report that are not in the rows: the recording's file, the provenance, the model's limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from vacli.errors import InputError
from vacli.files.digests import file_sha256
from vacli.files.run_directory import CARD_FILE
from vacli.inference.run import BUNDLED, trained_folders
from vacli.media.probe import MediaInfo, probe
from vacli.output.formats import TableOptions
from vacli.output.provenance import read_sidecar
from vacli.output.report.card_text import section
from vacli.output.report.page import Limits
from vacli.output.report.playback import MediaFile
from vacli.output.report.shown_text import shown
from vacli.steps._prediction_provenance import conditions
from vacli.steps._prediction_settings import PredictSettings
from vacli.steps._recordings import Recording
from vacli.steps._table_recording import other_recordings

BUNDLED_CARD = BUNDLED.with_name("CARD.md")
SECTIONS = ("Scores", "Limits", "Use")  # of a card, where it has them
UNKNOWN_MODEL = "The model that made the table is not known here. Read its card before you rely on the rows."
BUNDLED_SOURCE = "From the model card of the bundled model:"

Provenance = list[tuple[str, str]]


def media_file(recording: Recording) -> tuple[MediaFile | None, Provenance]:
    """The file of a recording for the player, and its provenance."""
    path = recording.media
    if path is None:
        return None, [("Recording", f"{shown(recording.name)} (the file is not there)")]
    lines = [("Recording", shown(str(path))), ("SHA-256 of the recording", file_sha256(path))]
    if recording.table and (others := other_recordings(recording.table, recording.name, path)):
        lines = [
            ("Recording", f"{shown(str(path))} is not the file that the rows were made from"),
            ("SHA-256 of this file", file_sha256(path)),
            ("SHA-256 of the file of the rows", shown(" or ".join(str(other["sha256"]) for other in others))),
        ]
    try:
        info = probe(path)
    except InputError:
        return MediaFile(path, "video"), lines
    return _media_file(info), [*lines, ("Streams", ", ".join(_streams(info)))]


def rows_provenance(recording: Recording, settings: PredictSettings) -> Provenance:
    """Where the rows come from: a table, or a model with its settings."""
    if recording.table is None:
        weights = [("Weights", shown(f"{name} {path}".strip())) for name, path in settings.weights.items()]
        return [*_conditions(conditions(settings, TableOptions())), *weights]
    lines = [("Table", shown(str(recording.table))), ("SHA-256 of the table", _sha256(recording.table))]
    if settings.selects_face:
        lines.append(("Faces of the table", settings.face))
    made = read_sidecar(recording.table)
    if made is None:
        return [*lines, ("Rows", "of an unknown model: the table has no provenance file")]
    if not _is_unchanged(recording.table, made):
        return [*lines, ("Rows", "changed since `va predict` wrote the table")]
    return [*lines, *_conditions(made)]


def limits(recording: Recording, settings: PredictSettings) -> Limits:
    """What the card of the model says about its quality and limits."""
    if recording.table is not None:
        if _is_of_bundled_model(recording.table):
            return _sections(BUNDLED_CARD, BUNDLED_SOURCE)
        return Limits(UNKNOWN_MODEL, {})
    if settings.is_bundled:
        return _sections(BUNDLED_CARD, BUNDLED_SOURCE)
    folder = trained_folders(settings.run)[0]
    if not (folder / CARD_FILE).is_file():
        return Limits(f"The run {shown(str(settings.run))} has no model card.", {})
    return _sections(folder / CARD_FILE, f"From the model card {shown(str(folder / CARD_FILE))}:")


def _is_of_bundled_model(table: Path) -> bool:
    made = read_sidecar(table)
    return made is not None and _is_unchanged(table, made) and made.get("model") == _bundled()["model"]


@lru_cache
def _bundled() -> dict[str, Any]:
    return conditions(PredictSettings(inputs=()), TableOptions())


def _is_unchanged(table: Path, made: Mapping[str, Any]) -> bool:
    return made["files"].get(table.name) == _sha256(table)


def _conditions(made: Mapping[str, Any]) -> Provenance:
    """The lines of a record of `_prediction_provenance.conditions`, without settings that are not set."""
    model, settings = made.get("model", {}), made.get("settings", {})
    used = [f"{name} {value}" for name, value in settings.items() if value not in (None, False)]
    return [
        ("Rows", shown(f"predicted by va {made.get('va')}")),
        ("Model", shown(f"{model.get('name')}, fingerprint {model.get('fingerprint')}")),
        ("Settings", shown(", ".join(used).replace("_", " "))),
    ]


def _media_file(info: MediaInfo) -> MediaFile:
    video, audio = info.video, info.audio
    starts_s = [stream.start_s for stream in (video, audio) if stream is not None]
    return MediaFile(
        path=info.path,
        kind="audio" if video is None else "video",
        video_codec=None if video is None else video.codec,
        size_px=None if video is None else (video.width_px, video.height_px),
        start_s=max(0.0, min(starts_s)),
    )


def _streams(info: MediaInfo) -> Iterator[str]:
    if info.video is not None:
        video = info.video
        yield f"{video.codec} {video.width_px} x {video.height_px}, {video.nominal_hz:.2f} frames/s"
    yield f"{info.audio.codec} {info.audio.rate_hz} Hz" if info.audio is not None else "no sound"


@lru_cache
def _sha256(path: Path) -> str:
    return file_sha256(path)


@lru_cache
def _sections(card: Path, source: str) -> Limits:
    text = card.read_text(encoding="utf-8")
    found = {title: section(text, title) for title in SECTIONS}
    return Limits(source, {title: blocks for title, blocks in found.items() if blocks})
