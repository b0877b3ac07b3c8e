"""Written videos: times of frames, and sound that is copied or encoded in step with them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from synth.clips import Clip, steady, uneven, write_clip
from synth.overlays import packets_of, pictures_of, times_of

from vacli.errors import UsageError
from vacli.media import video_writer
from vacli.media.audio import read_sound
from vacli.media.probe import probe
from vacli.media.sound_output import open_sound
from vacli.media.video_writer import VideoFormat, container_of, open_writer, select_encoder
from vacli.media.yuv import BT601, Planes

TICK_S = Fraction(1, 90_000)
FORMAT = VideoFormat(64, 48, TICK_S, Fraction(25), BT601, 2, 2)
BRIGHT, DARK = (235, 128, 128), (40, 128, 128)
EVENTS = (12, 40, 61)
MAX_DRIFT_S = 0.01


def copy(path: Path, times_s: Sequence[float], source: Path | None = None, format_=FORMAT) -> bool | None:
    """Write flashes at EVENTS with the sound of another file; return whether the sound is copied."""
    with (
        open_sound(source, None) if source else nullcontext() as sound,
        open_writer(path, container_of(path), format_, sound) as writer,
    ):
        for row, time_s in enumerate(times_s):
            frame = av.VideoFrame(64, 48, "yuv420p")
            Planes.of(frame).copy_from(Planes.filled(64, 48, BRIGHT if row in EVENTS else DARK))
            writer.write(frame, time_s)
        writer.finish()
    return writer.sound_is_copied


def flashes_s(path: Path) -> np.ndarray:
    brightness = np.array([picture.mean() for picture in pictures_of(path)])
    return times_of(path)[brightness > 150]


def clicks_s(path: Path) -> np.ndarray:
    """The times of the loudest samples near each other."""
    sound = read_sound(path)
    loud = np.flatnonzero(np.abs(sound.samples) > 0.4 * np.abs(sound.samples).max())
    groups = np.split(loud, np.flatnonzero(np.diff(loud) > 1600) + 1)
    return np.array([group[np.argmax(np.abs(sound.samples[group]))] / 16_000 for group in groups])


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize(
    "times_s",
    [uneven(3), uneven(3, start_s=0.75), steady(Fraction(30_000, 1001), 2), steady(2, 4)],
    ids=["variable", "late", "29.97 Hz", "slow"],
)
def test_frames_have_their_times(tmp_path, times_s, ending):
    path = tmp_path / f"a{ending}"
    rate_hz = Fraction(1 / float(np.median(np.diff(times_s)))).limit_denominator(1001)
    copy(path, times_s, format_=replace(FORMAT, rate_hz=rate_hz))
    tick_s = 1e-3 if ending == ".mkv" else float(TICK_S)  # Matroska counts in milliseconds
    np.testing.assert_allclose(times_of(path), times_s, atol=tick_s, rtol=0)


def test_equal_times_become_ascending(tmp_path):
    copy(tmp_path / "a.mp4", (0.0, 0.04, 0.04, 0.08))
    assert len(times_of(tmp_path / "a.mp4")) == 4
    assert (np.diff(times_of(tmp_path / "a.mp4")) > 0).all()


SOURCES = {
    "AAC": (".mp4", {"sound_codec": "aac"}, True),
    "AAC that starts late": (".mp4", {"sound_codec": "aac", "sound_spans": ((0.4, 3.2),)}, True),
    "Opus": (".mkv", {"sound_codec": "libopus"}, True),
    "MP3": (".mkv", {"sound_codec": "libmp3lame"}, True),
    "AAC of a transport stream": (".ts", {"sound_codec": "aac"}, True),
    "MP2": (".mkv", {"sound_codec": "mp2"}, False),
    "PCM": (".mkv", {"sound_codec": "pcm_s16le"}, False),
    "PCM of 11 kHz": (".mkv", {"sound_codec": "pcm_s16le", "sound_rate_hz": 11_025}, False),
    "PCM of 6 channels": (".mkv", {"sound_codec": "pcm_s16le", "layout": "5.1"}, False),
    "PCM with a gap": (".mkv", {"sound_codec": "pcm_s16le", "sound_spans": ((0.2, 0.9), (1.2, 3.2))}, False),
    "PCM that starts late": (".mkv", {"sound_codec": "pcm_s16le", "sound_spans": ((0.4, 3.2),)}, False),
}


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_clicks_stay_with_flashes(tmp_path, name, ending):
    suffix, changes, is_copied = SOURCES[name]
    if ending == ".mkv" and name in ("MP2", "PCM", "PCM of 11 kHz", "PCM of 6 channels"):
        is_copied = True
    if ending == ".mkv" and name.startswith("PCM "):
        is_copied = True
    clip = Clip(uneven(3), EVENTS, sound_spans=((0.0, 3.2),))
    source = write_clip(tmp_path / f"source{suffix}", replace(clip, **changes))
    out = tmp_path / f"out{ending}"
    assert copy(out, times_of(source), source) == is_copied
    flashes, clicks = flashes_s(out), clicks_s(out)
    assert len(flashes) == len(EVENTS)
    np.testing.assert_allclose(clicks, flashes, atol=MAX_DRIFT_S, rtol=0)


def test_copied_packets_are_identical(tmp_path):
    source = write_clip(tmp_path / "source.mp4", Clip(steady(25, 2), sound_spans=((0.0, 2.0),)))
    assert copy(tmp_path / "out.mp4", times_of(source), source)
    assert packets_of(tmp_path / "out.mp4") == packets_of(source)


def test_video_and_sound_lie_side_by_side(tmp_path):
    clip = Clip(steady(25, 8), sound_spans=((0.0, 8.0),), sound_codec="pcm_s16le")
    source = write_clip(tmp_path / "source.mkv", clip)
    copy(tmp_path / "out.mp4", times_of(source), source)
    with av.open(str(tmp_path / "out.mp4")) as container:
        kinds = [packet.stream.type for packet in container.demux() if packet.size]
    assert kinds.index("audio") < 60
    assert len(kinds) - kinds[::-1].index("video") > len(kinds) - 60


def test_a_file_without_sound_stays_without(tmp_path):
    source = write_clip(tmp_path / "source.mp4", Clip(steady(25, 0.4)))
    assert copy(tmp_path / "out.mp4", times_of(source), source) is None
    assert probe(tmp_path / "out.mp4").audio is None


@pytest.mark.parametrize("name", ["a.webm", "a.avi", "a", "a.mp4.txt"])
def test_other_endings_are_refused(name):
    with pytest.raises(UsageError, match=r"ending") as raised:
        container_of(Path(name))
    assert ".mp4" in raised.value.one_line()


def test_without_libx264_the_video_is_mpeg4_and_a_note_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(video_writer, "H264", replace(video_writer.H264, name="absent"))
    assert "libx264" in select_encoder().note
    times_s = uneven(1)
    copy(tmp_path / "a.mp4", times_s)
    assert probe(tmp_path / "a.mp4").video.codec == "mpeg4"
    np.testing.assert_allclose(times_of(tmp_path / "a.mp4"), times_s, atol=1 / 30_000, rtol=0)
