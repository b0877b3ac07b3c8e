"""Both backends give the shown frames of the container at their times, upright."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from synth.clips import Clip, picture_of, steady, uneven, write_clip

from vacli import packages
from vacli.errors import InputError, PackageMissing, UsageError
from vacli.media.probe import probe
from vacli.media.subprocess_reader import SubprocessReader
from vacli.media.timeline import read_timeline
from vacli.media.video import Frame, VideoReader, open_video
from vacli.media.video_decord import unsupported_reason

TICK_25 = Fraction(1, 25)
NTSC_FILM = Fraction(24_000, 1001)

# Frames, first and last time, width and height, from ffprobe and a player.
SHOWN = {
    "01": (75, 0.0, 2.96, 360, 288),
    "02": (75, 0.0, 2.96, 360, 288),
    "03": (75, 0.0, 2.96, 360, 288),
    "04": (67, 0.027, 2.229, 480, 360),
    "05": (56, 0.027, 1.862, 480, 360),
    "06": (60, 0.027, 1.995, 480, 360),
    "07": (472, 0.0, 19.644625, 640, 360),
    "08": (169, 0.0, 6.3603515625, 960, 540),
    "09": (95, 0.0, 3.9166666667, 960, 540),
    "11": (97, 0.0, 3.2032, 1280, 720),
    "20": (75, 0.0, 2.96, 720, 288),
    "21": (75, 0.0, 2.96, 360, 288),
    "22": (75, 0.0, 2.96, 360, 288),
    "23": (47, 0.007, 3.074, 360, 288),
    "24": (75, 0.5, 3.46, 360, 288),
    "25": (60, 0.0, 2.96, 360, 288),
}
# Files that decord does not support: without an index (it drops the first group of pictures), or with an edit
# list.
NOT_BY_DECORD = {"01", "02", "03", "09", "11"}


def real_clip(clips: Path, number: str) -> Path:
    return next(clips.glob(f"{number}_*"))


def indices_and_times(path: Path) -> tuple[list[int], list[float]]:
    with open_video(path) as reader:
        frames = [(frame.index, frame.time_s) for frame in reader]
        assert reader.decode_error is None
        assert len(frames) == len(reader)
        assert [time_s for _, time_s in frames] == reader.times_s.tolist()
    return [index for index, _ in frames], [time_s for _, time_s in frames]


@pytest.mark.parametrize("number", sorted(SHOWN))
def test_real_clips_have_golden_frames_and_times(clips: Path, number: str) -> None:
    count, first_s, last_s, width_px, height_px = SHOWN[number]
    with open_video(real_clip(clips, number)) as reader:
        frames = [(frame.index, frame.time_s, frame.rgb.shape) for frame in reader]
        assert reader.decode_error is None
        assert (reader.info.video.width_px, reader.info.video.height_px) == (width_px, height_px)
    assert [index for index, _, _ in frames] == list(range(count))
    assert {shape for _, _, shape in frames} == {(height_px, width_px, 3)}
    np.testing.assert_allclose([frames[0][1], frames[-1][1]], [first_s, last_s], atol=1e-9)


@pytest.mark.parametrize("number", sorted(SHOWN))
def test_both_backends_give_the_same_frames(clips: Path, number: str) -> None:
    if not packages.installed("decord"):
        pytest.skip("needs decord, which has no wheel here")
    path = real_clip(clips, number)
    info = probe(path)
    if unsupported_reason(info, read_timeline(info)):
        assert number in NOT_BY_DECORD
        with pytest.raises(InputError, match="decord"):
            open_video(path, backend="decord")
        return
    assert number not in NOT_BY_DECORD
    with open_video(path, "pyav") as ours, open_video(path, "decord") as theirs:
        np.testing.assert_array_equal(ours.times_s, theirs.times_s)
        for a, b in zip(_some(ours), _some(theirs), strict=True):
            assert (a.index, a.time_s) == (b.index, b.time_s)
            # VP6 decoders of different versions round differently, the others agree exactly.
            bound = 0.25 if info.video.codec == "vp6f" else 0.0
            assert np.abs(a.rgb.astype(np.int16) - b.rgb).mean() <= bound


def _some(reader: VideoReader) -> list[Frame]:
    """Return enough frames of a clip to detect a shift, few enough for a short test."""
    frames = []
    for frame in reader:
        frames.append(frame)
        if len(frames) == 25:
            break
    return frames


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov", "ts"])
@pytest.mark.parametrize("times_s", [steady(NTSC_FILM, 1.5), uneven(1.5), uneven(1.5, start_s=0.5)])
def test_rows_have_the_written_pictures(tmp_path: Path, suffix: str, times_s: tuple) -> None:
    # B-frames are on by default, so a wrong display order would be detected.
    clip = Clip(times_s, events=(3, 17), codec="libx264")
    tolerance_s = 0.0006 if suffix == "mkv" else 0.00002
    path = write_clip(tmp_path / f"clip.{suffix}", clip)
    start_s = times_s[0] if suffix == "ts" else 0.0  # the zero of its clock is arbitrary
    with open_video(path) as reader:
        assert len(reader) == len(times_s)
        np.testing.assert_allclose(reader.times_s, np.array(times_s) - start_s, atol=tolerance_s)
        for frame in reader:
            assert np.abs(frame.rgb.astype(np.int16) - picture_of(clip, frame.index)).mean() < 6


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.avi", "mpeg4", {"bf": "2"}),
        ("b.avi", "libx264", {}),
        ("c.mpg", "mpeg1video", {}),
        ("d.h264", "libx264", {}),
        ("e.mp4", "mpeg4", {"bf": "2"}),
        ("f.webm", "libvpx-vp9", {}),
        ("g.mkv", "ffv1", {}),
    ],
)
def test_old_and_raw_formats_keep_order_and_rate(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    clip = Clip(steady(25, 1), (4,), (176, 144), codec, tick_s=TICK_25, options=options)
    indices, times_s = indices_and_times(write_clip(tmp_path / name, clip))
    assert indices == list(range(25))
    np.testing.assert_allclose(np.diff(times_s), 0.04, atol=0.0011)
    assert times_s[0] <= 0.0801  # AVI does not store the delay of the decoder
    with open_video(tmp_path / name) as reader:
        assert [frame.index for frame in reader if frame.rgb.mean() > 200] == [4]


def test_a_cut_stream_starts_at_its_first_intact_picture(tmp_path: Path) -> None:
    clip = Clip(steady(25, 3), size_px=(176, 144), options={"x264-params": "keyint=25:scenecut=0"})
    data = write_clip(tmp_path / "whole.ts", clip).read_bytes()
    cut = tmp_path / "cut.ts"
    packets = len(data) // 188
    cut.write_bytes(data[188 * (packets // 6) :])
    indices, times_s = indices_and_times(cut)
    assert 40 <= len(indices) < 75
    np.testing.assert_allclose(np.diff(times_s), 0.04, atol=1e-6)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rotated_pictures_are_made_upright(tmp_path: Path, degrees: int) -> None:
    clip = Clip(steady(25, 0.2), size_px=(64, 48), rotation_deg=degrees)
    path = write_clip(tmp_path / "phone.mp4", clip)
    with open_video(path) as reader:
        rgb = next(iter(reader)).rgb
    expected = np.rot90(picture_of(clip, 0), degrees // 90)
    assert reader.info.video.rotation_deg == degrees
    assert (reader.info.video.width_px, reader.info.video.height_px) == (expected.shape[1], expected.shape[0])
    assert rgb.shape == expected.shape
    assert rgb.flags.c_contiguous
    assert np.abs(rgb.astype(np.int16) - expected).mean() < 6


@pytest.mark.parametrize(
    ("pixel_format", "codec"),
    [
        ("yuv420p10le", "libx264"),
        ("yuv444p", "libx264"),
        ("yuv422p", "libx264"),
        ("gray", "ffv1"),
        ("gray16le", "ffv1"),
        ("yuva420p", "ffv1"),
        ("bgr0", "ffv1"),
        ("yuvj420p", "mjpeg"),
    ],
)
def test_unusual_pixel_formats_become_rgb(tmp_path: Path, pixel_format: str, codec: str) -> None:
    clip = Clip(steady(25, 0.2), codec=codec, pixel_format=pixel_format, tick_s=TICK_25)
    with open_video(write_clip(tmp_path / "unusual.mkv", clip)) as reader:
        frames = list(reader)
    assert reader.info.video.pixel_format == pixel_format
    assert [frame.rgb.dtype for frame in frames] == [np.uint8] * 5
    ramp = picture_of(clip, 0)[-1, :, 1].astype(int)
    assert np.abs(frames[0].rgb[-1, :, 1] - ramp).max() < 8


def test_non_square_pixels_are_made_square(tmp_path: Path) -> None:
    path = tmp_path / "wide.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(3, 2)
        container.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        container.mux(stream.encode(None))
    with open_video(path) as reader:
        assert next(iter(reader)).rgb.shape == (48, 96, 3)
        assert reader.info.video.width_px == 96


def test_8k_frames_are_read(tmp_path: Path) -> None:
    clip = Clip((0.0,), (), (7680, 4320), "mjpeg", "yuvj420p", tick_s=TICK_25)
    with open_video(write_clip(tmp_path / "8k.mkv", clip)) as reader:
        assert [frame.rgb.shape for frame in reader] == [(4320, 7680, 3)]


def test_a_reader_can_be_iterated_again_and_left_early(tmp_path: Path) -> None:
    with open_video(write_clip(tmp_path / "clip.mp4", Clip(steady(25, 0.4)))) as reader:
        next(iter(reader))
        assert [frame.index for frame in reader] == list(range(10))


def test_an_unknown_backend_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="opencv") as caught:
        open_video(tmp_path / "any.mp4", backend="opencv")
    assert "auto" in caught.value.hint


def test_without_decord_only_its_backend_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_clip(tmp_path / "clip.mp4", Clip(steady(25, 0.2)))
    monkeypatch.setattr(packages, "installed", lambda name: False)
    assert len(list(open_video(path))) == 5
    with pytest.raises(PackageMissing, match="decord"):
        open_video(path, backend="decord")


def test_a_file_with_damaged_packets_is_decoded_in_a_child_process(tmp_path: Path) -> None:
    data = write_clip(tmp_path / "whole.mkv", Clip(steady(25, 4), size_px=(176, 144))).read_bytes()
    path = tmp_path / "cut.mkv"
    path.write_bytes(data[: len(data) // 2])
    with open_video(path) as reader:
        assert isinstance(reader, SubprocessReader)
        frames = list(reader)
    assert 10 < len(frames) < 80
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert "the file ends at" in reader.decode_error
