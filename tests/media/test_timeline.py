"""Times of shown frames, from packets without decoding if possible."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from synth.clips import Clip, steady, uneven, write_clip

from vacli.media.probe import probe
from vacli.media.timeline import read_timeline
from vacli.media.video import open_video


def decoded_times_s(path: Path) -> list[float]:
    """Return the times of all decoded frames, as a reference."""
    with av.open(str(path)) as container:
        return sorted(frame.time for frame in container.decode(video=0))


def test_times_of_packets_equal_those_of_decoded_frames(clips: Path) -> None:
    for path in sorted(clips.glob("0[1459]*")) + sorted(clips.glob("2[135]*")):
        timeline = read_timeline(probe(path))
        assert timeline.decode_error is None
        assert timeline.ticks is not None
        np.testing.assert_allclose(timeline.times_s, decoded_times_s(path), atol=1e-9, err_msg=path.name)


def test_edit_lists_of_real_clips(clips: Path) -> None:
    hidden = {path.name[:2]: read_timeline(probe(path)).hidden for path in clips.glob("[0-9]*")}
    assert {number: count for number, count in hidden.items() if count} == {"09": 3, "11": 1}


def test_an_edit_list_hides_frames(tmp_path: Path) -> None:
    # An edit list hides frames before 0 s in an MP4; the fifth from the end of them is row -5.
    clip = Clip(steady(25, 1, start_s=-0.2), (7,), muxer={"avoid_negative_ts": "disabled"})
    path = write_clip(tmp_path / "edited.mp4", clip)
    timeline = read_timeline(probe(path))
    assert timeline.hidden == 5
    np.testing.assert_allclose(timeline.times_s, np.arange(20) / 25, atol=1e-4)
    with open_video(path) as reader:
        assert [frame.index for frame in reader if frame.rgb.mean() > 200] == [2]


def test_a_variable_rate_is_kept(tmp_path: Path) -> None:
    times_s = uneven(2.0, seed=3)
    timeline = read_timeline(probe(write_clip(tmp_path / "clip.mp4", Clip(times_s))))
    np.testing.assert_allclose(timeline.times_s, times_s, atol=1e-5)
    assert np.ptp(np.diff(timeline.times_s)) > 0.02


def test_hidden_reference_frames_of_vp8_are_no_rows(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "shown.webm", Clip(steady(25, 1), codec="libvpx"))
    path = tmp_path / "hidden.webm"
    with av.open(str(source)) as given, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(given.streams.video[0])
        for number, packet in enumerate(packet for packet in given.demux(video=0) if packet.size):
            data = bytes(packet)
            copies = [bytes([data[0] & ~0x10]) + data[1:], data] if number in (5, 12) else [data]
            for copy in copies:
                again = av.Packet(copy)
                again.pts, again.dts, again.time_base = packet.pts, packet.dts, packet.time_base
                again.stream, again.is_keyframe = stream, packet.is_keyframe
                container.mux(again)
    with av.open(str(path)) as container:
        assert sum(packet.size > 0 for packet in container.demux(video=0)) == 27
    np.testing.assert_allclose(read_timeline(probe(path)).times_s, decoded_times_s(path), atol=1e-9)
    assert len(decoded_times_s(path)) == 25


def test_a_clock_that_starts_at_hours_is_shifted_to_zero(tmp_path: Path) -> None:
    # A part of a long stream; its audio must not start with an hour of silence.
    clip = Clip(steady(25, 1, start_s=3600.0))
    path = write_clip(tmp_path / "late.mkv", clip)
    with av.open(str(path)) as container:
        assert container.start_time > 3_000_000_000
    assert read_timeline(probe(path)).times_s[0] == 0.0


def test_a_transport_stream_starts_at_zero(tmp_path: Path) -> None:
    clip = Clip(steady(25, 1), muxer={"output_ts_offset": "7"})
    timeline = read_timeline(probe(write_clip(tmp_path / "clip.ts", clip)))
    np.testing.assert_allclose(timeline.times_s, np.arange(25) / 25, atol=1e-4)


def test_frames_with_one_timestamp_have_separate_rows(tmp_path: Path) -> None:
    # Matroska rounds to milliseconds, so five of six frames have the timestamp of the one before.
    fast = write_clip(tmp_path / "fast.mkv", Clip((*steady(25, 1), *(1 + i / 6000 for i in range(6)))))
    timeline = read_timeline(probe(fast))
    assert len(timeline.times_s) == 31
    assert (np.diff(timeline.times_s) > 0).all()
    assert "of 31 frames are not later than the one before" in timeline.notes[0]
    with open_video(fast) as reader:
        assert [frame.index for frame in reader] == list(range(31))


def test_a_gap_in_a_file_with_an_index_is_kept_and_reported(tmp_path: Path) -> None:
    times_s = (*steady(25, 1), *steady(25, 1, start_s=3600.0))
    timeline = read_timeline(probe(write_clip(tmp_path / "gap.mkv", Clip(times_s))))
    np.testing.assert_allclose(timeline.times_s, times_s, atol=1e-3)
    assert timeline.notes == ("no picture for 3599 s after 0.960 s",)
