"""Files that cannot be read, in whole or in part: one line each, and what is good is kept."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from synth.clips import Clip, steady, write_clip
from synth.faces import scene, write_video

from vacli.errors import InputError
from vacli.media.audio import read_sound
from vacli.media.probe import file_sha256, probe
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
    (tmp_path / "notes.mp4").write_text("this is not a film\n" * 100)
    assert "cannot be read as audio or video" in one_line(tmp_path / "notes.mp4")


def test_random_bytes(tmp_path: Path) -> None:
    (tmp_path / "noise.mkv").write_bytes(np.random.default_rng(0).bytes(50_000))
    one_line(tmp_path / "noise.mkv")


def test_sound_alone_has_no_picture(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "voice.wav", Clip(sound_spans=((0, 1),), sound_codec="pcm_s16le"))
    assert "no picture stream" in one_line(path)
    assert probe(path).audio.duration_s == pytest.approx(1.0)


def test_cover_art_is_not_a_picture_stream(tmp_path: Path) -> None:
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


def test_a_picture_stream_of_zero_length(tmp_path: Path) -> None:
    path = tmp_path / "silent_film.mkv"
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264", rate=25)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16_000), np.int16), "s16", "mono")
        frame.sample_rate = 16_000
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    assert "no frame of its h264 stream" in one_line(path)


def test_no_frame_decodes(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "zeros.mp4", Clip(steady(25, 1), size_px=(176, 144)))
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    length = int.from_bytes(data[start - 8 : start - 4], "big") - 8
    data[start : start + length] = bytes(length)
    path.write_bytes(data)
    assert "no frame of its h264 stream can be decoded" in one_line(path)


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """100 frames in four groups; the third group is overwritten with zeros."""
    options = {"x264-params": "keyint=25:scenecut=0"}
    clip = Clip(steady(25, 4), size_px=(176, 144), options=options, sound_spans=((0, 4),))
    path = write_clip(tmp_path / "broken.mp4", clip)
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
        spans = [(p.pos, p.size) for p in packets[52:60]]
    data = bytearray(path.read_bytes())
    for position, size in spans:
        data[position : position + size] = bytes(size)
    path.write_bytes(data)
    return path


def test_frames_before_and_behind_a_break_are_kept_and_it_is_named(damaged: Path) -> None:
    with open_video(damaged) as reader:
        indices = [frame.index for frame in reader]
    assert len(reader) == 100
    assert indices[:50] == list(range(50))
    assert indices[-25:] == list(range(75, 100))
    assert len(indices) < 100
    assert "of 100 frames do not decode, the first at 2." in reader.broken


@pytest.fixture
def damaged_avi(tmp_path: Path) -> Path:
    """Faces in groups of five frames; zeros from the middle of the file on, but for its end."""
    path = write_video(tmp_path / "broken.avi", [scene((150 + i, 120)) for i in range(12)])
    data = bytearray(path.read_bytes())
    start, end = len(data) // 2, len(data) * 9 // 10
    data[start:end] = bytes(end - start)
    path.write_bytes(data)
    return path


def whole_pictures(path: Path) -> list[bool]:
    """Of every picture that one thread decodes, whether it is whole."""
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        return [not picture.is_corrupt for picture in container.decode(video=0)]


def test_a_damaged_frame_keeps_its_row_in_every_reading(damaged_avi: Path) -> None:
    whole = whole_pictures(damaged_avi)
    assert not all(whole)
    assert whole[-1]
    for _ in range(40):
        with open_video(damaged_avi) as reader:
            indices = [frame.index for frame in reader]
        assert len(reader) == len(whole)
        assert indices == np.flatnonzero(whole).tolist()
        assert "is damaged" in reader.broken


def test_sound_beside_a_broken_picture_is_whole(damaged: Path) -> None:
    sound = read_sound(damaged)
    assert sound.broken is None
    assert sound.duration_s == pytest.approx(4.0, abs=0.05)


def test_a_download_that_stopped_keeps_its_first_frames(tmp_path: Path) -> None:
    clip = Clip(steady(25, 4), size_px=(176, 144), sound_spans=((0, 4),))
    data = write_clip(tmp_path / "whole.mkv", clip).read_bytes()
    path = tmp_path / "half.mkv"
    path.write_bytes(data[: len(data) // 2])
    with open_video(path) as reader:
        count = len(list(reader))
    assert 20 < count < 80
    assert reader.broken
    assert 0.5 < read_sound(path).present[-1][1] < 3.5


def test_sha256_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, example B.1
    assert file_sha256(tmp_path / "abc") == expected
    with pytest.raises(InputError, match="cannot be read"):
        file_sha256(tmp_path / "gone")
