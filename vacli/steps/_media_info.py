"""`va info` of a recording, a picture or a folder. Packets are listed, and one frame is decoded."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vacli.media.audio_tracks import list_audio_tracks
from vacli.media.container import open_container
from vacli.media.image import read_image
from vacli.media.inputs import find_media
from vacli.media.kinds import MediaInput
from vacli.media.probe import MediaInfo, probe
from vacli.media.timeline import Timeline, read_timeline
from vacli.steps._info_record import Info, Row, named

TIME_ROUNDING_S = 0.0011  # of the difference of two times in milliseconds
VARIABLE_RATE = 0.1  # of the median frame interval: more variation is a variable frame rate


def media_info(path: Path) -> Info:
    """Describe a recording, a picture, or the files of a folder. Raises InputError if it cannot be read."""
    media = find_media([path])
    if path.is_dir() and [one.path for one in media.media] != [path]:
        return _folder_info(path, media.media, {str(p): why for p, why in media.skipped.items()})
    (one,) = media.media
    if one.kind == "image":
        return _image_info(path)
    if one.kind == "crops":
        count = sum(1 for file in path.iterdir() if not file.name.startswith("."))
        return Info("folder of aligned faces", path, {"files": count})
    return _recording_info(path)


def _folder_info(path: Path, media: list[MediaInput], skipped: dict[str, str]) -> Info:
    kinds = Counter(one.kind for one in media)
    size = sum(one.path.stat().st_size for one in media if one.path.is_file())
    left_out = [f"{named(sorted(skipped))}: left out, not media"] if skipped else []
    values = {"files": len(media), **{f"{kind}_inputs": n for kind, n in sorted(kinds.items())}}
    return Info("folder", path, {**values, "size_bytes": size}, problems=left_out)


def _image_info(path: Path) -> Info:
    image = read_image(path)
    height_px, width_px = image.rgb.shape[:2]
    values = {"width_px": width_px, "height_px": height_px, "size_bytes": path.stat().st_size}
    return Info("picture", path, values, problems=[image.note] if image.note else [])


def _recording_info(path: Path) -> Info:
    info = probe(path)
    timeline = read_timeline(info) if info.video else None
    problems = [*info.notes, *(timeline.notes if timeline else ())]
    if timeline and timeline.decode_error:
        problems.append(timeline.decode_error)
    return Info(
        kind="video" if info.video else "sound file",
        path=path,
        values={
            "container": info.container,
            "size_bytes": info.size_bytes,
            "duration_s": None if math.isnan(info.duration_s) else round(info.duration_s, 3),
            **(_video_values(info, timeline) if timeline else {}),
        },
        tables={"audio_tracks": list(_tracks(path))},
        problems=problems,
    )


def _video_values(info: MediaInfo, timeline: Timeline) -> dict[str, Any]:
    video = info.video
    assert video is not None
    steps_s = np.diff(timeline.times_s)
    usual_s = max(VARIABLE_RATE * float(np.median(steps_s)), TIME_ROUNDING_S) if len(steps_s) else 0.0
    is_variable = bool(len(steps_s) and np.ptp(steps_s) > usual_s)
    return {
        "video_codec": video.codec,
        "width_px": video.width_px,
        "height_px": video.height_px,
        "rotation_deg": video.rotation_deg,
        "mirrored": video.orientation.mirrored,
        "frames": len(timeline.times_s),
        "hidden_frames": timeline.hidden,
        "first_frame_s": round(float(timeline.times_s[0]), 6),
        "last_frame_s": round(float(timeline.times_s[-1]), 6),
        "frame_rate_hz": _mean_rate_hz(timeline.times_s, video.nominal_hz),
        "variable_frame_rate": is_variable,
    }


def _mean_rate_hz(times_s: np.ndarray, nominal_hz: float) -> float | None:
    """Frames a second over the whole video, to three decimals; None for a single frame.

    times_s: (N,) seconds, ascending. nominal_hz: of the header, which is more exact where it agrees with the
    times, because some containers round them to milliseconds.
    """
    span_s, steps = float(times_s[-1] - times_s[0]), len(times_s) - 1
    if not span_s > 0:
        return None
    agrees = nominal_hz > 0 and abs(steps / nominal_hz - span_s) <= TIME_ROUNDING_S
    return round(nominal_hz if agrees else steps / span_s, 3)


def _tracks(path: Path) -> Iterator[Row]:
    with open_container(path) as container:
        for track in list_audio_tracks(container):
            stream = container.streams[track.stream_index]
            yield {
                "track": track.number,
                "codec": track.codec or "no decoder",
                "rate_hz": getattr(stream, "rate", None) if track.codec else None,
                "channels": getattr(stream, "channels", None) if track.codec else None,
                "language": track.language,
                "default": track.is_default,
            }
