"""What a store keeps of a recording: the file behind it and what its container said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vacli.errors import InputError, StoreError
from vacli.files.digests import file_sha256
from vacli.media.probe import MediaInfo
from vacli.progress import Progress
from vacli.spec import FeatureSpec
from vacli.store import VideoView


def source_of(path: Path) -> dict[str, Any]:
    """The identity of a file: name, absolute path, size and SHA-256; InputError where it cannot be read."""
    try:
        size_bytes, sha256 = path.stat().st_size, file_sha256(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    return {"name": path.name, "path": str(path.resolve()), "size_bytes": size_bytes, "sha256": sha256}


def stream_of(info: MediaInfo) -> dict[str, Any]:
    """The facts of a file's streams in JSON form."""
    facts: dict[str, Any] = {"container": info.container}
    if info.video is not None:
        names = ("codec", "width_px", "height_px", "rotation_deg", "pixel_format", "start_s", "nominal_hz")
        facts["video"] = {name: getattr(info.video, name) for name in names}
    if info.audio is not None:
        names = ("codec", "rate_hz", "channels", "start_s")
        facts["audio"] = {name: getattr(info.audio, name) for name in names}
    return facts


def tell_copy(view: VideoView, path: Path, progress: Progress) -> None:
    """Say so where a video was made from another file of the same content."""
    stored = str(view.source.get("path", ""))
    if stored not in ("", str(path.resolve())):
        progress.say(f"{path}: the same recording as {stored}, which is {view.id} in the store")


def has_feature(view: VideoView, spec: FeatureSpec, force: bool) -> bool:
    """Whether a video's feature is there as `spec` says.

    Raises StoreError where it was made with other settings and is not to be redone by `force`.
    """
    part = f"feature/{spec.name}"
    if force or not view.has(part):
        return False
    stored, wanted = view.part_attrs(part), spec.attributes()
    if any(stored.get(key) != wanted[key] for key in ("version", "dim", "settings")):
        raise StoreError(
            f"{view.path} has {spec.name} made with other settings", hint="give --force to redo it"
        )
    return True


def is_audio_only(view: VideoView) -> bool:
    """Whether an entry was made from something without a picture, and nobody was put to it."""
    stream = view.attrs.get("stream", {})
    if view.has("face"):
        return False
    return stream.get("kind") == "sound" or ("audio" in stream and "video" not in stream)
