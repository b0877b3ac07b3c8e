"""Joined recordings: video and audio continue at the end of the first one and stay synchronous."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from synth.clips import Clip, steady, write_clip

from vacli.media.container import audio_stream, clock_zero_s, decode_packet, demux_packets, open_container
from vacli.media.probe import probe
from vacli.media.timeline import read_timeline
from vacli.media.video import open_video

EVENT = 40  # a white frame with a click at its time


def recording(path: Path, offset_s: float = 0.0, seconds: float = 3.0) -> bytes:
    """Write a transport stream whose clock starts at `offset_s`."""
    clip = Clip(
        steady(25, seconds),
        (EVENT,),
        size_px=(176, 144),
        sound_spans=((0, seconds),),
        muxer={"output_ts_offset": str(offset_s)},
        options={"x264-params": "keyint=25:scenecut=0"},
    )
    return write_clip(path, clip).read_bytes()


def joined(folder: Path, *offsets_s: float) -> Path:
    path = folder / "joined.ts"
    path.write_bytes(b"".join(recording(folder / "one.ts", offset_s) for offset_s in offsets_s))
    return path


def clicks_s(path: Path) -> list[float]:
    """Return the times of the clicks, on the joined clock."""
    loud: list[float] = []
    with open_container(path) as container:
        for packet in demux_packets(container, [audio_stream(container)], []):
            for block in decode_packet(packet, []):
                at = np.flatnonzero(np.abs(block.to_ndarray()).max(0) > 0.3)
                loud += (block.time + at / block.sample_rate - clock_zero_s(container)).tolist()
    steps_s = np.diff(loud, prepend=-1)
    return [time_s for time_s, step_s in zip(loud, steps_s, strict=True) if step_s > 0.5]


# Clock resets to the same time, an hour and 22 hours later, an hour earlier, and two resets.
CLOCKS = [(0, 0), (0, 3600), (0, 80_000), (3600, 0), (0, 0, 70)]


@pytest.mark.parametrize("offsets_s", CLOCKS)
def test_joined_recordings_follow_each_other_without_a_gap(
    tmp_path: Path, offsets_s: tuple[float, ...]
) -> None:
    path = joined(tmp_path, *offsets_s)
    timeline = read_timeline(probe(path))
    assert len(timeline.times_s) == 75 * len(offsets_s)
    np.testing.assert_allclose(np.diff(timeline.times_s), 0.04, atol=0.03)
    assert timeline.decode_error is None
    assert timeline.notes[0].startswith("its clock jumps at 3.")
    with open_video(path) as reader:
        white = [frame.index for frame in reader if frame.rgb.mean() > 200]
        assert reader.decode_error is None
    assert white == [EVENT + 75 * number for number in range(len(offsets_s))]


@pytest.mark.parametrize("offsets_s", CLOCKS)
def test_audio_stays_synchronous_after_a_discontinuity(tmp_path: Path, offsets_s: tuple[float, ...]) -> None:
    path = joined(tmp_path, *offsets_s)
    times_s = read_timeline(probe(path)).times_s
    flashes_s = [times_s[EVENT + 75 * number] for number in range(len(offsets_s))]
    np.testing.assert_allclose(clicks_s(path), flashes_s, atol=0.015)


def test_a_wrapped_33_bit_clock_is_no_discontinuity(tmp_path: Path) -> None:
    path = tmp_path / "wraps.ts"
    path.write_bytes(recording(path, offset_s=2**33 / 90_000 - 3.0))
    timeline = read_timeline(probe(path))
    np.testing.assert_allclose(np.diff(timeline.times_s), 0.04, atol=1e-6)
    assert timeline.notes == ()


def test_a_pause_of_the_audio_is_no_discontinuity(tmp_path: Path) -> None:
    clip = Clip(steady(5, 30), (5, 140), sound_spans=((0, 4), (25, 30)))
    path = write_clip(tmp_path / "pause.ts", clip)
    timeline = read_timeline(probe(path))
    assert timeline.notes == ()
    flashes_s = timeline.times_s[[5, 140]]
    np.testing.assert_allclose(clicks_s(path), flashes_s, atol=0.015)


def test_a_cut_between_two_recordings_affects_their_edges_only(tmp_path: Path) -> None:
    data = recording(tmp_path / "one.ts")
    path = tmp_path / "joined.ts"
    path.write_bytes(data[: len(data) // 2 // 188 * 188] + data)
    with open_video(path) as reader:
        frames = [frame.index for frame in reader]
        white = [frame.time_s for frame in reader if frame.rgb.mean() > 200]
    assert len(reader) >= 75 + 25
    assert len(frames) >= 75 + 20
    assert (np.diff(reader.times_s) > 0).all()
    assert white


def with_timestamp(path: Path, row: int, later_ms: int) -> Path:
    """Change the time of one block of a Matroska file, counted from its cluster."""
    with av.open(str(path)) as container:
        position = [packet.pos for packet in container.demux(video=0) if packet.size][row]
    data = bytearray(path.read_bytes())
    at = position + 1  # after the number of the track
    data[at : at + 2] = (int.from_bytes(data[at : at + 2]) + later_ms).to_bytes(2)
    path.write_bytes(data)
    return path


def test_one_damaged_timestamp_affects_one_frame_only(tmp_path: Path) -> None:
    clip = Clip(steady(25, 3), (30,), size_px=(176, 144), codec="libvpx", sound_spans=((0, 3),))
    source = write_clip(tmp_path / "a.webm", Clip(**{**vars(clip), "sound_codec": "libopus"}))
    path = with_timestamp(source, 30, 20_000)
    with open_video(path) as reader:
        white = [frame.index for frame in reader if frame.rgb.mean() > 200]
        assert reader.decode_error is None
    np.testing.assert_allclose(reader.times_s, clip.times_s, atol=0.01)
    assert white == [30]


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "mov", "ts"])
@pytest.mark.parametrize("step_s", [0.5, 2.0, 7.0])
def test_reordered_frames_far_apart_are_no_discontinuity(tmp_path: Path, suffix: str, step_s: float) -> None:
    """The first packets of Matroska have no decoding timestamp, and their others do not ascend."""
    times_s = np.arange(9) * step_s
    path = tmp_path / f"slow.{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"bf": "3", "g": "12"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for time_s in times_s:
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 128, np.uint8), format="rgb24")
            frame.pts, frame.time_base = round(time_s * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with open_video(path) as video:
        found_s = np.array([frame.time_s for frame in video])
    np.testing.assert_allclose(found_s - found_s[0], times_s, atol=0.041)
