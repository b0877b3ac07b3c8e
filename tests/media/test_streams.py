"""Selection of streams: cover art, streams without a decoder, and files with implausible headers."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from synth.clips import Clip, steady, write_clip

from vacli.errors import InputError
from vacli.media.audio import read_sound
from vacli.media.container import open_container
from vacli.media.probe import probe
from vacli.media.timeline import read_timeline
from vacli.media.video import open_video


def without_decoder(path: Path, *fourccs: bytes) -> Path:
    """Give the streams of some types an unknown codec id."""
    data = path.read_bytes()
    for fourcc in fourccs:
        at = data.index(fourcc, data.index(b"stsd"))
        data = data[:at] + b"zzzz" + data[at + 4 :]
    path.write_bytes(data)
    return path


def clip(path: Path, pictures: tuple[float, ...], sound_s: float, codec: str = "libx264") -> Path:
    sound_codec = "ac3" if path.suffix == ".mp4" else "aac"
    return write_clip(path, Clip(pictures, codec=codec, sound_spans=((0, sound_s),), sound_codec=sound_codec))


@pytest.mark.parametrize("name", ["a.mp4", "b.mkv", "c.mov", "d.m4a"])
@pytest.mark.parametrize("pictures", [(0.0,), (0.0, 0.04, 0.08)])
def test_few_pictures_next_to_long_audio_are_cover_art(
    tmp_path: Path, name: str, pictures: tuple[float, ...]
) -> None:
    path = tmp_path / name
    if path.suffix == ".m4a":
        clip(tmp_path / "a.mp4", pictures, 8.0).rename(path)
    else:
        clip(path, pictures, 8.0)
    info = probe(path)
    assert info.video is None
    assert info.audio is not None
    assert "is a cover or empty" in info.notes[0]
    with pytest.raises(InputError, match="no video stream that can be used"):
        open_video(path)


@pytest.mark.parametrize(
    ("pictures", "sound_s"),
    [
        (steady(25, 1), 20.0),  # the camera stopped early
        (steady(1, 20), 20.0),  # an image that an encoder repeats
        ((0.0, 10.0, 20.0), 30.0),  # slides
        ((0.0,), 0.5),  # a clip of one picture
    ],
)
def test_other_pictures_next_to_audio_are_a_video(
    tmp_path: Path, pictures: tuple[float, ...], sound_s: float
) -> None:
    path = clip(tmp_path / "a.mkv", pictures, sound_s)
    assert len(read_timeline(probe(path)).times_s) == len(pictures)
    assert probe(path).notes == ()


def test_audio_next_to_undecodable_video_is_used(tmp_path: Path) -> None:
    path = without_decoder(clip(tmp_path / "a.mp4", steady(25, 2), 2.0), b"avc1")
    info = probe(path)
    assert info.video is None
    assert info.notes == ("its stream 0 (video) is not used: FFmpeg has no decoder for it",)
    assert read_sound(path).duration_s == pytest.approx(2.0, abs=0.05)
    with pytest.raises(InputError, match=r"can be used: its stream 0 \(video\) is not used"):
        open_video(path)


def test_video_next_to_undecodable_audio_is_used(tmp_path: Path) -> None:
    path = without_decoder(clip(tmp_path / "a.mp4", steady(25, 2), 2.0), b"ac-3")
    assert probe(path).audio is None
    assert read_sound(path) is None
    with open_video(path) as reader:
        assert len(list(reader)) == 50
        assert reader.notes == ("its stream 1 (audio) is not used: FFmpeg has no decoder for it",)


def test_a_file_without_decodable_streams_is_an_error(tmp_path: Path) -> None:
    path = without_decoder(clip(tmp_path / "a.mp4", steady(25, 2), 2.0), b"avc1", b"ac-3")
    with pytest.raises(InputError, match=r"that can be used: its stream 0 \(video\) is not used"):
        probe(path)


def test_the_decodable_one_of_two_video_streams_is_used(tmp_path: Path) -> None:
    path = tmp_path / "two.mp4"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream(codec, rate=25) for codec in ("libx264", "mpeg4")]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(25):
            for stream in streams:
                container.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        for stream in streams:
            container.mux(stream.encode(None))
    assert probe(path).video.codec == "h264"
    assert probe(without_decoder(path, b"avc1")).video.codec == "mpeg4"


@pytest.mark.parametrize(
    "fault",
    [
        AttributeError("no codec"),
        ValueError("a number"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "a name"),
        OverflowError("a size"),
        MemoryError(),
        IndexError("a stream"),
        ZeroDivisionError(),
    ],
)
def test_errors_of_the_library_become_one_line_with_the_file(tmp_path: Path, fault: Exception) -> None:
    path = clip(tmp_path / "a.mp4", steady(25, 0.2), 0.2)
    with pytest.raises(InputError) as caught, open_container(path):
        raise fault
    assert str(path) in caught.value.one_line()
    assert type(fault).__name__ in caught.value.one_line()


def patched(path: Path, box: bytes, offset: int, value: bytes) -> Path:
    """Write bytes at an offset after the first occurrence of the name of a box."""
    data = bytearray(path.read_bytes())
    at = data.index(box) + offset
    data[at : at + len(value)] = value
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("box", "offset", "value"),
    [
        (b"stts", 12, b"\x7f\xff\xff\xff"),  # each frame lasts for years
        (b"stts", 12, b"\x00\x00\x00\x00"),  # all frames at once
        (b"mdhd", 16, b"\x00\x00\x00\x01"),  # the clock ticks once a second
        (b"mdhd", 16, b"\xff\xff\xff\xff"),
        (b"mdhd", 20, b"\xff\xff\xff\xff"),  # a duration of centuries
        (b"avc1", 28, b"\xff\xff\xff\xff"),  # a picture of 65535 x 65535
        (b"elst", 8, b"\xff\xff\xff\xff\x7f\xff\xff\xff"),
    ],
)
def test_implausible_headers_give_ascending_times_or_one_line(
    tmp_path: Path, box: bytes, offset: int, value: bytes
) -> None:
    source = write_clip(tmp_path / "a.mp4", Clip(steady(25, 2), codec="libx264"))
    path = patched(source, box, offset, value)
    try:
        timeline = read_timeline(probe(path))
    except InputError:
        return
    assert 1 <= len(timeline.times_s) <= 50
    assert np.isfinite(timeline.times_s).all()
    assert (np.diff(timeline.times_s) > 0).all()


def test_an_oversized_picture_is_not_decoded(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv", Clip((0.0, 0.04), codec="mjpeg", pixel_format="yuvj420p"))
    data = path.read_bytes()
    header = data.index(b"\xff\xc0") + 5  # height and width in the frame header of JPEG
    while header > 5:
        data = data[:header] + b"\xff\xdc\xff\xdc" + data[header + 4 :]
        header = data.find(b"\xff\xc0", header) + 5
    path.write_bytes(data)
    with pytest.raises(InputError, match="no frame of its mjpeg stream can be decoded"):
        open_video(path)


def test_a_second_video_stream_is_named(tmp_path: Path) -> None:
    path = tmp_path / "two.mp4"
    with av.open(str(path), "w") as out:
        streams = [out.add_stream("libx264", rate=25) for _ in range(2)]
        for stream, side in zip(streams, (32, 64), strict=True):
            stream.width = stream.height = side
        for stream, side in zip(streams, (32, 64), strict=True):
            for number in range(5):
                picture = av.VideoFrame.from_ndarray(np.full((side, side, 3), 40 * number, np.uint8))
                picture.pts = number
                out.mux(stream.encode(picture))
            out.mux(stream.encode(None))
    notes = probe(path).notes
    assert notes == (
        "its stream 1 (video, 64 x 64 pixels) is not used, because stream 0 is the default or first one",
    )
