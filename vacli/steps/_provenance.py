"""Provenance of stored recordings: the source file and the streams of its container."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vacli.errors import InputError, StoreError
from vacli.files.digests import file_sha256
from vacli.media.probe import MediaInfo
from vacli.progress import Progress
from vacli.spec import HUB, WEIGHTS_FILES, FeatureSpec
from vacli.store import VideoView


def source_of(path: Path) -> dict[str, Any]:
    """The identity of a file: name, absolute path, size and SHA-256; InputError if it cannot be read."""
    try:
        size_bytes, sha256 = path.stat().st_size, file_sha256(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    return {"name": path.name, "path": str(path.resolve()), "size_bytes": size_bytes, "sha256": sha256}


def stream_of(info: MediaInfo) -> dict[str, object]:
    """The properties of a file's streams as JSON values."""
    facts: dict[str, object] = {"container": info.container}
    if info.video is not None:
        names = ("codec", "width_px", "height_px", "rotation_deg", "pixel_format", "start_s", "nominal_hz")
        facts["video"] = {name: getattr(info.video, name) for name in names}
    if info.audio is not None:
        audio_names = ("codec", "rate_hz", "channels", "start_s")
        facts["audio"] = {name: getattr(info.audio, name) for name in audio_names}
    return facts


def given_weights(spec: FeatureSpec, files: Mapping[str, Path | None]) -> dict[str, object]:
    """The attribute with the weights that the user gave for a feature, for those who need them later.

    files: setting that holds the hash of weights -> their file, folder, run or repository (HUB), None for the
    published weights.
    """
    given = {
        key: str(path) if str(path).startswith(HUB) else str(path.resolve())
        for key, path in files.items()
        if path and key in spec.settings
    }
    return {WEIGHTS_FILES: given} if given else {}


def report_copy(view: VideoView, path: Path, progress: Progress) -> None:
    """Show a message if a video was made from another file with the same content."""
    stored = str(view.source.get("path", ""))
    if stored not in ("", path.name, str(path.resolve())):  # a store in S3 has only the names of local files
        progress.info(f"{path} has the same content as {stored}, which is stored as {view.id}")


def has_feature(view: VideoView, spec: FeatureSpec, force: bool) -> bool:
    """Whether a video has the feature with the version, size and settings of `spec`.

    Raises StoreError if the feature was made with other settings and `force` is not given.
    """
    part = f"feature/{spec.name}"
    if force or not view.has(part):
        return False
    stored, wanted = view.part_attrs(part), spec.attributes()
    if any(stored.get(key) != wanted[key] for key in ("version", "dim", "settings")):
        raise StoreError(
            f"{view.path} has {spec.name} made with other settings", hint="use --force to replace it"
        )
    return True


def is_audio_only(view: VideoView) -> bool:
    """Whether a video was made from a recording without a picture and has no stored faces."""
    stream = view.attrs.get("stream", {})
    if view.has("face"):
        return False
    return stream.get("kind") == "sound" or ("audio" in stream and "video" not in stream)
