"""Damaged files: errors have one line, and intact parts are kept."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from synth.clips import Clip, one_thread, steady, write_clip
from synth.faces import scene, write_video

from vacli.errors import InputError
from vacli.media.audio import read_sound
from vacli.media.probe import probe
from vacli.media.video import open_video


def one_line(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        open_video(path)
    line = caught.value.one_line()
    assert str(path) in line
    assert "\n" not in line
    return line


def test_missing_file(tmp_path: Path) -> None:
    assert "no such file" in one_line(tmp_path / "gone.mp4")


def test_folder(tmp_path: Path) -> None:
    assert "is a folder" in one_line(tmp_path)


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    assert "0 bytes" in one_line(tmp_path / "empty.mp4")


def test_text_called_mp4(tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("this is not a video\n" * 100)
    assert "cannot be read as audio or video" in one_line(tmp_path / "notes.mp4")


def test_random_bytes(tmp_path: Path) -> None:
    (tmp_path / "noise.mkv").write_bytes(np.random.default_rng(0).bytes(50_000))
    one_line(tmp_path / "noise.mkv")


def test_an_audio_file_has_no_video_stream(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "voice.wav", Clip(sound_spans=((0, 1),), sound_codec="pcm_s16le"))
    assert "no video stream" in one_line(path)
    assert probe(path).audio.duration_s == pytest.approx(1.0)


def test_cover_art_is_no_video_stream(tmp_path: Path) -> None:
    path = tmp_path / "song.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        sound = container.add_stream("aac", rate=16_000, layout="mono")
        cover = container.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        container.mux(cover.encode(av.VideoFrame(32, 32, "rgb24")))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        frame.sample_rate = 16_000
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    assert probe(path).video is None


def test_an_empty_video_stream_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "silent.mkv"
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264", rate=25)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 32_000), np.int16), "s16", "mono")
        frame.sample_rate = 16_000
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    assert "has no video stream that can be used: its stream 0 is a cover or empty" in one_line(path)
    assert probe(path).video is None


def test_a_video_without_a_decodable_frame_is_an_error(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "zeros.mp4", Clip(steady(25, 1), size_px=(176, 144)))
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    length = int.from_bytes(data[start - 8 : start - 4], "big") - 8
    data[start : start + length] = bytes(length)
    path.write_bytes(data)
    assert "no frame of its h264 stream can be decoded" in one_line(path)


def overwritten(path: Path, rows: range) -> Path:
    """Overwrite the middle of the packets of some rows, in decoding order, with zeros."""
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
        spans = [(packets[row].pos, packets[row].size) for row in rows]
    data = bytearray(path.read_bytes())
    for position, size in spans:
        middle = slice(position + size // 4, position + size - size // 4)
        data[middle] = bytes(middle.stop - middle.start)
    path.write_bytes(data)
    return path


def textured(path: Path, codec: str, options: dict[str, str], pixel_format: str = "yuv420p") -> Path:
    """Write 100 frames of a moving picture, so that each predicted frame has content."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        one_thread(stream)
        stream.width, stream.height, stream.pix_fmt = 176, 144, pixel_format
        stream.codec_context.time_base = Fraction(1, 25)
        noise = np.random.default_rng(0).integers(0, 255, (60, 60, 3), np.uint8).repeat(6, 0).repeat(6, 1)
        for row in range(100):
            picture = np.ascontiguousarray(noise[row : row + 144, 2 * row % 180 : 2 * row % 180 + 176])
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = row, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


X264 = {"x264-params": "keyint=25:scenecut=0"}
X265 = {"x265-params": "keyint=25:scenecut=0:log-level=none"}
VPX = {"g": "25", "b": "400k", "deadline": "realtime", "cpu-used": "8"}
PREDICTED = [
    ("a.mp4", "libx264", X264),
    ("b.mkv", "libx264", {"x264-params": "keyint=25:scenecut=0:open-gop=1"}),
    ("c.flv", "libx264", X264),
    ("d.mp4", "libx265", X265),
    ("e.webm", "libvpx", VPX),
    ("f.webm", "libvpx-vp9", VPX),
    ("g.ivf", "libvpx-vp9", VPX),
    ("h.mp4", "mpeg4", {"g": "25", "bf": "2"}),
    ("i.flv", "flv", {"g": "25"}),
    ("j.mkv", "mpeg1video", {"g": "25", "bf": "2"}),
    ("k.ts", "mpeg2video", {"g": "25", "bf": "2"}),
    ("l.mp4", "libsvtav1", {"g": "25", "preset": "12"}),
]


@pytest.mark.parametrize(("name", "codec", "options"), PREDICTED)
def test_after_damage_frames_are_dropped_up_to_a_key_frame(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    path = tmp_path / name
    if codec not in av.codecs_available:
        pytest.skip(f"needs an FFmpeg with {codec}")
    textured(path, codec, options)
    with open_video(path) as reader:
        whole = {frame.index: frame.rgb.astype(np.int16) for frame in reader}
        assert reader.decode_error is None
    overwritten(path, range(55, 57))
    with open_video(path) as reader:
        given = {frame.index: frame.rgb for frame in reader}
        rows = len(reader)
    damaged_rows = [row for row, rgb in given.items() if np.abs(whole[row] - rgb).mean() > 1]
    assert rows == 100
    assert damaged_rows == []
    assert set(range(50)) <= set(given)
    assert set(range(76, 100)) <= set(given)
    assert f"{100 - len(given)} of 100 frames do not decode or follow damage" in reader.decode_error
    assert "no key frame ends it" not in reader.decode_error


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [
        ("prores.mov", "prores_ks", "yuv422p10le"),
        ("jpeg.avi", "mjpeg", "yuvj420p"),
        ("jpeg.mkv", "mjpeg", "yuvj422p"),
        ("jpeg.mov", "mjpeg", "yuvj444p"),
    ],
)
def test_only_the_damaged_frame_is_dropped_if_all_are_key_frames(
    tmp_path: Path, name: str, codec: str, pixel_format: str
) -> None:
    path = textured(tmp_path / name, codec, {}, pixel_format)
    with open_video(path) as reader:
        assert [frame.index for frame in reader] == list(range(100))
        assert reader.decode_error is None
    overwritten(path, range(55, 56))
    with open_video(path) as reader:
        assert [frame.index for frame in reader] == [row for row in range(100) if row != 55]


UNDAMAGED = [
    ("open.ts", "libx264", {"x264-params": "keyint=25:scenecut=0:open-gop=1"}),
    ("waves.ts", "libx264", {"x264-params": "keyint=25:intra-refresh=1"}),
    ("fields.ts", "libx264", {"x264-params": "keyint=25:tff=1"}),
    ("filler.mp4", "libx264", {"x264-params": "nal-hrd=cbr:bitrate=900:vbv-maxrate=900:vbv-bufsize=900"}),
    ("pyramid.mkv", "libx264", {"x264-params": "keyint=250:bframes=8:b-pyramid=normal:ref=8"}),
    ("hidden.webm", "libvpx", {"auto-alt-ref": "1", "lag-in-frames": "25", "b": "200k"}),
    ("parts.mpg", "mpeg2video", {"g": "15", "bf": "2"}),
    ("old.avi", "msmpeg4", {"g": "50"}),
    ("bare.h264", "libx264", {"x264-params": "keyint=25"}),
]


@pytest.mark.parametrize(("name", "codec", "options"), UNDAMAGED)
def test_an_undamaged_stream_is_complete(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    with open_video(textured(tmp_path / name, codec, options)) as reader:
        assert [frame.index for frame in reader] == list(range(100))
        assert (reader.decode_error, reader.notes) == (None, ())


@pytest.mark.parametrize(
    ("name", "codec", "options"), [case for case in UNDAMAGED if case[0].endswith((".ts", ".mpg"))]
)
def test_a_cut_stream_is_complete_after_its_first_picture(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    path = textured(tmp_path / name, codec, options)
    data = path.read_bytes()
    path.write_bytes(data[len(data) // 3 // 188 * 188 :])
    with open_video(path) as reader:
        indices = [frame.index for frame in reader]
        assert reader.decode_error is None
    assert indices == list(range(len(reader)))
    assert len(indices) > 20


def test_damage_without_a_later_key_frame_is_reported(tmp_path: Path) -> None:
    path = textured(tmp_path / "one_key.mp4", "libx264", {"x264-params": "keyint=250:scenecut=0"})
    overwritten(path, range(55, 57))
    with open_video(path) as reader:
        last = [frame.index for frame in reader][-1]
    assert 45 <= last < 60
    assert f"{99 - last} of 100 frames" in reader.decode_error
    assert "no key frame ends it" in reader.decode_error


def test_intra_refresh_ends_damage_at_its_second_cycle(tmp_path: Path) -> None:
    options = {"x264-params": "keyint=20:intra-refresh=1:scenecut=0:bframes=0"}
    path = textured(tmp_path / "waves.mp4", "libx264", options)
    with open_video(path) as reader:
        whole = {frame.index: frame.rgb.astype(np.int16) for frame in reader}
    assert len(whole) == 100  # an undamaged stream is complete without key frames
    overwritten(path, range(25, 26))
    with open_video(path) as reader:
        given = {frame.index: frame.rgb for frame in reader}
    assert all(np.abs(whole[row] - rgb).mean() < 1 for row, rgb in given.items())
    assert set(range(25)) <= set(given)
    assert 26 not in given
    assert 99 in given


def test_a_block_that_the_demuxer_skips_is_damage(tmp_path: Path) -> None:
    path = textured(tmp_path / "missing.webm", "libvpx", VPX)
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
        start, end = packets[55].pos - 4, packets[57].pos + packets[57].size
    data = bytearray(path.read_bytes())
    data[start:end] = bytes(end - start)
    path.write_bytes(data)
    with open_video(path) as reader:
        times_s = [frame.time_s for frame in reader]
    assert not any(2.2 < time_s < 2.96 for time_s in times_s)
    assert times_s[-1] == pytest.approx(3.96, abs=0.002)
    assert "missing" in reader.decode_error


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """Write 100 frames in four groups, with audio; the third group is overwritten with zeros."""
    clip = Clip(steady(25, 4), size_px=(176, 144), options=X264, sound_spans=((0, 4),))
    path = write_clip(tmp_path / "damaged.mp4", clip)
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
        spans = [(p.pos, p.size) for p in packets[52:60]]
    data = bytearray(path.read_bytes())
    for position, size in spans:
        data[position : position + size] = bytes(size)
    path.write_bytes(data)
    return path


def test_frames_before_and_after_damage_are_kept(damaged: Path) -> None:
    with open_video(damaged) as reader:
        indices = [frame.index for frame in reader]
    assert len(reader) == 100
    assert indices[:50] == list(range(50))
    assert indices[-25:] == list(range(75, 100))
    assert len(indices) < 80
    assert f"{100 - len(indices)} of 100 frames do not decode or follow damage, the first at 2." in (
        reader.decode_error
    )


@pytest.fixture
def damaged_avi(tmp_path: Path) -> Path:
    """Write faces in groups of five frames; from the middle almost to the end the file has zeros."""
    path = write_video(tmp_path / "damaged.avi", [scene((150 + i, 120)) for i in range(12)])
    data = bytearray(path.read_bytes())
    start, end = len(data) // 2, len(data) * 9 // 10
    data[start:end] = bytes(end - start)
    path.write_bytes(data)
    return path


def test_a_damaged_frame_keeps_its_row_on_every_iteration(damaged_avi: Path) -> None:
    with av.open(str(damaged_avi)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        pictures = list(container.decode(video=0))
    first = next(row for row, picture in enumerate(pictures) if picture.is_corrupt)
    assert not pictures[-1].is_corrupt
    readings = set()
    for _ in range(20):
        with open_video(damaged_avi) as reader:
            readings.add(tuple(frame.index for frame in reader))
        assert len(reader) == len(pictures)
        assert "is damaged" in reader.decode_error
    (indices,) = readings
    assert set(indices) <= {*range(first), *range(10, len(pictures))}  # 10 is a key frame


def test_audio_next_to_damaged_video_is_complete(damaged: Path) -> None:
    sound = read_sound(damaged)
    assert sound.decode_error is None
    assert sound.duration_s == pytest.approx(4.0, abs=0.05)


def test_a_truncated_file_keeps_its_first_frames(tmp_path: Path) -> None:
    clip = Clip(steady(25, 4), size_px=(176, 144), sound_spans=((0, 4),))
    data = write_clip(tmp_path / "whole.mkv", clip).read_bytes()
    path = tmp_path / "half.mkv"
    path.write_bytes(data[: len(data) // 2])
    with open_video(path) as reader:
        count = len(list(reader))
    assert 20 < count < 80
    assert reader.decode_error
    assert 0.5 < read_sound(path).present[-1][1] < 3.5
