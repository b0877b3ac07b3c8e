"""Write the overlay of one video: frames are decoded, drawn and encoded in threads that overlap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import av
import numpy as np

from vacli.errors import InputError
from vacli.faces.face_frame import FaceSettings
from vacli.faces.tracker import track_faces
from vacli.files.atomic import staged_file
from vacli.media.container import DECODER_ERRORS, open_container, required_video_stream, tick_of
from vacli.media.probe import VideoStream, probe, required_video
from vacli.media.sound_output import open_sound
from vacli.media.timeline import read_timeline
from vacli.media.timestamps import nominal_hz
from vacli.media.video import open_video
from vacli.media.video_pyav import PyavReader
from vacli.media.video_writer import VideoFormat, container_of, open_writer
from vacli.media.yuv import BLACK_LUMA, FORMAT, GREY_CHROMA, Planes, UprightScaler, matrix_of
from vacli.output.frame_table import FrameTable
from vacli.output.overlay.curves import FaceCurves, align_tables
from vacli.output.overlay.face_hiding import BoxSpan, box_spans
from vacli.output.overlay.layout import Layout, make_layout, overlay_size
from vacli.output.overlay.renderer import OverlayRenderer, Picture, Subject
from vacli.progress import Progress
from vacli.runtime.concurrency import prefetch

AHEAD_FRAMES = 4
HIDING_SCORE = 0.5  # of the detector: lower than for predictions, so that fewer faces are missed
NO_CROPS = 1 << 30  # frames between two crops


@dataclass(frozen=True)
class Drawing:
    """How a video is drawn.

    blur: hide all faces. width_px: of the overlay, None for that of the video. audio_track: from 1. comment:
    for the metadata of the file.
    """

    blur: bool = False
    width_px: int | None = None
    audio_track: int | None = None
    comment: str = ""


def write_overlay(
    media: Path, tables: Sequence[FrameTable], path: Path, drawing: Drawing, progress: Progress
) -> None:
    """Draw the tables of a video on a copy of it, with its sound and its times.

    Raises InputError if the video cannot be read, or if the tables do not fit it; OutputError.
    """
    info = probe(media)
    video = required_video(info)
    reader = PyavReader(info, read_timeline(info))
    layout = _layout(media, video, drawing.width_px)
    faces = align_tables(tables, reader.times_s)
    hidden = _hidden_boxes(media, faces, reader.times_s, progress) if drawing.blur else []
    pictures = reader.pictures()
    first = next(pictures, None)
    if first is None:
        raise InputError(f"{media}: no frame of it can be decoded", hint="copy or download it again")
    format_ = _format(media, layout, first[1])
    scaler = UprightScaler(video, layout.picture.width, layout.picture.height, format_.matrix)
    subject = Subject(reader.times_s, faces, video.width_px, video.height_px, hidden)
    scaled = prefetch(_scaled(chain([first], pictures), scaler), AHEAD_FRAMES)
    renderer = OverlayRenderer(layout, subject, format_.matrix)
    drawn = prefetch(_drawn(scaled, renderer, layout, len(reader)), AHEAD_FRAMES)
    with (
        open_sound(media, drawing.audio_track) as sound,
        staged_file(path) as part,
        closing(drawn),
        progress.task(path.name, len(reader), "frames") as advance,
        open_writer(part, container_of(path), format_, sound, drawing.comment) as writer,
    ):
        for frame, time_s in zip(drawn, reader.times_s.tolist(), strict=True):
            writer.write(frame, time_s)
            advance(1)
        writer.finish()
    if reader.decode_error:
        progress.warn(f"{media}: {reader.decode_error}; frames without a picture show the last one, darkened")


def _layout(media: Path, video: VideoStream, width_px: int | None) -> Layout:
    try:
        return make_layout(*overlay_size(video.width_px, video.height_px, width_px))
    except ValueError as problem:
        raise InputError(f"{media}: {problem}", hint="cut its borders off with `ffmpeg -vf crop`") from None


def _format(media: Path, layout: Layout, picture: av.VideoFrame) -> VideoFormat:
    """The format of an overlay: times and colours of the video."""
    with open_container(media) as container:
        stream = required_video_stream(container)
        tick_s, rate_hz = tick_of(stream), nominal_hz(stream.guessed_rate, stream.average_rate)
    return VideoFormat(
        width_px=layout.width,
        height_px=layout.height,
        tick_s=tick_s,
        rate_hz=rate_hz,
        matrix=matrix_of(picture),
        primaries=picture.color_primaries,
        transfer=picture.color_trc,
    )


def _scaled(pictures: Iterable[tuple[int, av.VideoFrame]], scaler: UprightScaler) -> Iterator[Picture]:
    """The pictures that can be converted."""
    for row, picture in pictures:
        try:
            planes = scaler.scale(picture)
        except DECODER_ERRORS:
            continue
        yield Picture(planes, row)


def _drawn(
    pictures: Iterable[Picture], renderer: OverlayRenderer, layout: Layout, count: int
) -> Iterator[av.VideoFrame]:
    """All `count` frames in order; a frame without a picture shows the last one."""
    grey = (BLACK_LUMA, GREY_CHROMA, GREY_CHROMA)
    shown = Picture(Planes.filled(layout.picture.width, layout.picture.height, grey), -1)
    row = 0
    for picture in chain(pictures, [None]):
        end = count if picture is None else picture.row
        for lost in range(row, end):
            yield _frame(renderer, layout, lost, shown)
        if picture is not None:
            yield _frame(renderer, layout, picture.row, picture)
            row, shown = picture.row + 1, picture


def _frame(renderer: OverlayRenderer, layout: Layout, row: int, picture: Picture) -> av.VideoFrame:
    frame = av.VideoFrame(layout.width, layout.height, FORMAT)
    renderer.draw(Planes.of(frame), row, picture)
    return frame


def _hidden_boxes(
    media: Path, faces: Sequence[FaceCurves], times_s: np.ndarray, progress: Progress
) -> list[BoxSpan]:
    """The boxes of all faces that a detector finds, and those of the tables."""
    rows: dict[int, list[int]] = {}
    boxes: dict[int, list[np.ndarray]] = {}
    settings = FaceSettings(score_threshold=HIDING_SCORE, crop_every=NO_CROPS)
    with (
        open_video(media) as video,
        progress.task(f"{media.name}: faces to hide", len(video), "frames") as advance,
    ):
        for frame in track_faces(video, settings):
            for face in frame.faces:
                rows.setdefault(face.track_id, []).append(frame.index)
                boxes.setdefault(face.track_id, []).append(face.box)
            advance(1)
    tracks = [(np.array(rows[track]), np.array(boxes[track])) for track in rows]
    for curves in faces:
        known = np.flatnonzero(np.isfinite(curves.boxes).all(axis=1))
        if len(known):
            tracks.append((known, curves.boxes[known]))
    return [span for track in tracks for span in box_spans(times_s, *track)]
