"""Audio is read as mono 16 kHz on the clock of the frames; missing parts are zero-padded and marked."""

from __future__ import annotations

import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synth.clips import Clip, steady, uneven, write_clip

from vacli.errors import InputError
from vacli.media.audio import Sound, read_sound
from vacli.media.audio_blocks import SoundBlocks
from vacli.media.video import open_video

CLOCKS = {
    "15": steady(15, 1.6),
    "23.976": steady(Fraction(24_000, 1001), 1.6),
    "29.97": steady(Fraction(30_000, 1001), 1.6),
    "variable": uneven(1.6),
}


def peak_s(sound: Sound, near_s: float) -> float:
    """Return the time of the peak within 0.2 s of a time."""
    first = max(round((near_s - 0.2) * sound.rate_hz), 0)
    window = np.abs(sound.samples[first : first + round(0.4 * sound.rate_hz)])
    assert window.max() > 0.3
    return (first + int(window.argmax())) / sound.rate_hz


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("late", ["none", "picture", "sound"])
@pytest.mark.parametrize("clock", sorted(CLOCKS))
def test_a_flash_and_its_click_have_the_same_time(tmp_path: Path, clock: str, late: str, suffix: str) -> None:
    offset_s = 0.5 if late == "picture" else 0.0
    times_s = tuple(time_s + offset_s for time_s in CLOCKS[clock])
    first_s = 0.3 if late == "sound" else 0.0
    clip = Clip(times_s, events=(12, 22), sound_spans=((first_s, times_s[-1]),))
    path = write_clip(tmp_path / f"clip.{suffix}", clip)
    with open_video(path) as reader:
        flashes_s = [frame.time_s for frame in reader if frame.rgb.mean() > 200]
    sound = read_sound(path)
    assert len(flashes_s) == 2
    for flash_s in flashes_s:
        assert abs(peak_s(sound, flash_s) - flash_s) < 0.010


def test_late_video_and_late_audio_keep_their_offset(tmp_path: Path) -> None:
    clip = Clip(steady(25, 1, start_s=0.5), (10,), sound_spans=((0.0, 1.4),))
    path = write_clip(tmp_path / "picture.mp4", clip)
    with open_video(path) as reader:
        assert reader.times_s[0] == pytest.approx(0.5, abs=1e-4)
    late = Clip(steady(25, 2), (20,), sound_spans=((0.75, 1.5),), sound_codec="flac")
    sound = read_sound(write_clip(tmp_path / "sound.mkv", late))
    assert sound.present == (pytest.approx((0.75, 1.5), abs=0.002),)
    assert not sound.samples[: round(0.74 * 16_000)].any()


@pytest.mark.parametrize("codec", ["flac", "pcm_s16le"])
def test_short_audio_is_padded_to_the_end_of_the_video(tmp_path: Path, codec: str) -> None:
    clip = Clip(steady(25, 2), (10,), sound_spans=((0.0, 0.9),), sound_codec=codec)
    sound = read_sound(write_clip(tmp_path / "clip.mkv", clip))
    assert sound.duration_s == pytest.approx(2.0, abs=0.05)
    assert sound.present == (pytest.approx((0.0, 0.9), abs=0.002),)
    assert not sound.samples[round(0.95 * 16_000) :].any()
    np.testing.assert_array_equal(
        sound.is_audible_at(np.array([0.0, 0.8, 0.95, 1.9])), [True, True, False, False]
    )


def test_a_gap_in_the_timestamps_is_kept(tmp_path: Path) -> None:
    spans = ((0.0, 0.512), (1.024, 1.536))
    clip = Clip(steady(25, 1.6), (5, 30), sound_spans=spans, sound_codec="pcm_s16le")
    sound = read_sound(write_clip(tmp_path / "clip.mkv", clip))
    assert len(sound.present) == 2
    np.testing.assert_allclose(sound.present, spans, atol=0.002)
    assert peak_s(sound, 0.2) == pytest.approx(0.2, abs=0.001)
    assert peak_s(sound, 1.2) == pytest.approx(1.2, abs=0.002)
    assert not sound.samples[round(0.52 * 16_000) : round(1.0 * 16_000)].any()


def test_blocks_concatenate_to_the_whole(tmp_path: Path) -> None:
    clip = Clip(steady(25, 3), (10, 60), sound_spans=((0.2, 0.9), (1.8, 2.4)), sound_codec="pcm_s16le")
    path = write_clip(tmp_path / "clip.mkv", clip)
    whole = read_sound(path)
    for block_s in (0.1, 0.37, 10.0):
        stream = SoundBlocks(path, block_s)
        blocks = list(stream)
        assert {len(block) for block in blocks[:-1]} <= {round(block_s * 16_000)}
        np.testing.assert_array_equal(np.concatenate(blocks), whole.samples)
        assert stream.present == whole.present


def test_recordings_with_a_clock_reset_are_joined(tmp_path: Path) -> None:
    """One file has two joined recordings, the other one a jump of the sender's clock."""
    once = write_clip(tmp_path / "once.ts", Clip(sound_spans=((0.0, 2.0),)))
    twice = tmp_path / "twice.ts"
    twice.write_bytes(2 * once.read_bytes())
    jump = write_clip(tmp_path / "jump.ts", Clip(sound_spans=((0.0, 2.0), (3_602.0, 3_604.0))))
    for path in (twice, jump):
        sound = read_sound(path)
        assert sound.duration_s == pytest.approx(4.0, abs=0.15)
        assert sum(end - start for start, end in sound.present) == pytest.approx(4.0, abs=0.15)
        assert any("clock jumps" in note for note in sound.notes)


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
def test_resampling_does_not_shift_the_signal(tmp_path: Path, rate_hz: int) -> None:
    path = tmp_path / "tone.wav"
    times_s = np.arange(rate_hz) / rate_hz
    _write_wave(path, 0.5 * np.sin(2 * np.pi * 440 * times_s)[None], rate_hz, "mono")
    sound = read_sound(path)
    assert len(sound.samples) == pytest.approx(16_000, abs=2)
    assert sound.samples.dtype == np.float32
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(len(sound.samples)) / 16_000)
    assert np.abs(sound.samples - expected)[200:-200].max() < 0.005


@pytest.mark.parametrize(
    ("layout", "weights"),
    [
        ("mono", [1.0]),
        ("stereo", [0.5, 0.5]),
        # FL FR FC LFE BL BR: 0.707 0.707 1 0 0.5 0.5 over their sum 3.414
        ("5.1", [0.2071, 0.2071, 0.2929, 0.0, 0.1464, 0.1464]),
        ("quad", [0.2929, 0.2929, 0.2071, 0.2071]),
    ],
)
def test_channels_are_mixed_with_known_weights(tmp_path: Path, layout: str, weights: list[float]) -> None:
    for channel, weight in enumerate(weights):
        planes = np.zeros((len(weights), 8_000))
        planes[channel] = 0.8
        path = tmp_path / f"{channel}.wav"
        _write_wave(path, planes, 16_000, layout)
        assert read_sound(path).samples[1000:7000] == pytest.approx(0.8 * weight, abs=2e-4)


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_f32le", "pcm_f64le"])
def test_all_sample_formats_have_the_same_full_scale(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "level.wav"
    _write_wave(path, np.full((2, 8_000), 0.5), 16_000, "stereo", codec)
    assert read_sound(path).samples[1000:7000] == pytest.approx(0.5, abs=0.005)


@pytest.mark.parametrize(
    ("suffix", "codec"), [("flac", "flac"), ("ogg", "libopus"), ("m4a", "aac"), ("mp3", "libmp3lame")]
)
def test_audio_files_start_at_zero(tmp_path: Path, suffix: str, codec: str) -> None:
    path = tmp_path / f"voice.{suffix}"
    from_click_s = np.arange(48_000) / 48_000 - 0.5
    click = 0.9 * np.cos(2e3 * 2 * np.pi * from_click_s) * np.exp(-0.5 * (from_click_s / 0.001) ** 2)
    _write_wave(path, click[None], 48_000, "mono", codec)
    sound = read_sound(path)
    assert peak_s(sound, 0.5) == pytest.approx(0.5, abs=0.002)
    assert sound.duration_s == pytest.approx(1.0, abs=0.06)


def test_a_file_without_audio_stream_gives_none(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "mute.mp4", Clip(steady(25, 0.4)))
    assert read_sound(path) is None
    with pytest.raises(InputError, match="no audio stream"):
        list(SoundBlocks(path))


def test_an_empty_audio_stream_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "nothing.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", "not compressed"))
    with pytest.raises(InputError, match="none of its sound decodes"):
        read_sound(path)


def test_a_real_clip_with_late_audio(clips: Path) -> None:
    sound = read_sound(next(clips.glob("08_*")))
    assert sound.present == (pytest.approx((2.43, 6.3956), abs=0.001),)
    assert sound.duration_s == pytest.approx(6.402, abs=0.002)
    assert not sound.samples[: round(2.42 * 16_000)].any()


@given(
    spans=st.lists(st.floats(0, 10), min_size=2, max_size=8, unique=True).map(sorted),
    times_s=st.lists(st.floats(-1, 11), max_size=20),
)
def test_is_audible_at_is_membership_in_a_span(spans: list[float], times_s: list[float]) -> None:
    present = tuple(zip(spans[0::2], spans[1::2], strict=False))
    sound = Sound(np.zeros(0, np.float32), 16_000, present)
    expected = [any(start <= time_s < end for start, end in present) for time_s in times_s]
    assert sound.is_audible_at(np.array(times_s)).tolist() == expected


def _write_wave(path: Path, planes: np.ndarray, rate_hz: int, layout: str, codec: str = "pcm_s16le") -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate_hz, layout=layout)
        frame = av.AudioFrame.from_ndarray(planes.astype(np.float32), "fltp", layout)
        frame.sample_rate, frame.pts = rate_hz, 0
        for converted in av.AudioResampler(stream.codec_context.format, layout, rate_hz).resample(frame):
            container.mux(stream.encode(converted))
        container.mux(stream.encode(None))
