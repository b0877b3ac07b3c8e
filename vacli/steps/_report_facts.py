"""Facts of a report that are not in the rows: the recording's file, the provenance, the model's limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from vacli import __version__
from vacli.errors import InputError
from vacli.files.digests import file_sha256
from vacli.files.run_directory import WEIGHTS_FILE
from vacli.inference.run import BUNDLED, BUNDLED_AUDIO, trained_folders
from vacli.media.probe import MediaInfo, probe
from vacli.output.frame_table import FrameTable
from vacli.output.report.card_text import section
from vacli.output.report.page import Limits
from vacli.output.report.playback import MediaFile
from vacli.output.report.shown_text import shown
from vacli.steps._prediction_settings import PredictSettings
from vacli.steps._recordings import Recording

BUNDLED_CARD = BUNDLED.with_name("CARD.md")
RUN_CARD = "card.md"
SECTIONS = ("Scores", "Limits", "Use")  # of a card, where it has them
DIGITS = 12  # of the SHA-256 of one of several weights
DEFAULTS = PredictSettings(inputs=())

Provenance = list[tuple[str, str]]


def media_file(recording: Recording) -> tuple[MediaFile | None, Provenance]:
    """The file of a recording for the player, and its provenance."""
    path = recording.media
    if path is None:
        return None, [("Recording", f"{shown(recording.name)} (the file is not there)")]
    lines = [
        ("Recording", shown(str(path))),
        ("SHA-256 of the recording", file_sha256(path)),
    ]
    try:
        info = probe(path)
    except InputError:
        return MediaFile(path, "video"), lines
    return _media_file(info), [*lines, ("Streams", ", ".join(_streams(info)))]


def rows_provenance(
    recording: Recording, tables: Sequence[FrameTable], settings: PredictSettings
) -> Provenance:
    """Where the rows come from: a table, or a model with its settings."""
    if recording.table is not None:
        return [
            ("Rows", f"read from {shown(str(recording.table))}"),
            ("SHA-256 of the table", _sha256(recording.table)),
            ("Page", f"made by va {__version__}"),
        ]
    run = _run_of(tables, settings)
    name = f"{run.name} (bundled)" if settings.is_bundled else shown(str(run))
    lines = [
        ("Rows", f"predicted by va {__version__}"),
        ("Model", name),
        ("SHA-256 of the weights", _weights(run)),
    ]
    return [*lines, ("Settings", _settings(settings))]


def limits(recording: Recording, settings: PredictSettings) -> Limits:
    """What the card of the model says about its quality and limits."""
    if recording.table is not None:
        text = (
            "The table does not name the model that made its rows. "
            "Read the card of that model before you rely on them."
        )
        return Limits(text, {})
    if settings.is_bundled:
        return _sections(BUNDLED_CARD, "From the model card of the bundled model:")
    folder = trained_folders(settings.run)[0]
    if not (folder / RUN_CARD).is_file():
        return Limits(f"The run {shown(str(settings.run))} has no model card.", {})
    return _sections(folder / RUN_CARD, f"From the model card {shown(str(folder / RUN_CARD))}:")


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


def _run_of(tables: Sequence[FrameTable], settings: PredictSettings) -> Path:
    """The run that predicted the tables: the bundled model has another one for recordings without a face."""
    has_face = any(table.columns["face_detected"].any() for table in tables)
    return settings.run if has_face or not settings.is_bundled else BUNDLED_AUDIO


@lru_cache
def _weights(run: Path) -> str:
    digests = [file_sha256(folder / WEIGHTS_FILE) for folder in trained_folders(run)]
    if len(digests) == 1:
        return digests[0]
    return f"{len(digests)} models: " + ", ".join(digest[:DIGITS] for digest in digests)


@lru_cache
def _sha256(path: Path) -> str:
    return file_sha256(path)


def _settings(settings: PredictSettings) -> str:
    """The settings that change the rows, and those that differ from the defaults."""
    parts = [f"face {settings.face}"]
    for name in ("backend", "device", "audio_track", "allow_mismatch"):
        if getattr(settings, name) != getattr(DEFAULTS, name):
            parts.append(f"{name.replace('_', ' ')} {getattr(settings, name)}")
    weights = (
        f"weights {name}={path}" if name else f"weights {path}" for name, path in settings.weights.items()
    )
    return shown(", ".join([*parts, *weights]))


@lru_cache
def _sections(card: Path, source: str) -> Limits:
    text = card.read_text(encoding="utf-8")
    found = {title: section(text, title) for title in SECTIONS}
    return Limits(source, {title: blocks for title, blocks in found.items() if blocks})
