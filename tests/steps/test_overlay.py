"""`va overlay`: boxes, times, sound and faces of the written videos, and which files are written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import av
import numpy as np
import pytest
from synth.clips import Clip, steady, uneven, write_clip
from synth.faces import scene, somebody_else, write_video
from synth.frame_tables import HOSTILE_NAMES
from synth.overlays import packets_of, pictures_of, table_at, times_of, write_table

from vacli import __version__
from vacli.datasets.audio_augmentation import write_wav
from vacli.errors import OutputError, UsageError
from vacli.faces.detect import Detector
from vacli.media.audio import read_sound
from vacli.media.kinds import MediaInput
from vacli.media.probe import probe
from vacli.output.overlay import palette
from vacli.output.overlay.layout import make_layout
from vacli.output.provenance import write_sidecar
from vacli.progress import RecordingProgress
from vacli.steps import overlay
from vacli.steps._prediction_provenance import input_record
from vacli.steps._prediction_settings import PredictSettings

EVENTS = (10, 30, 45)
SHORT = Clip(steady(25, 0.4), size_px=(320, 240))
FLASHING = Clip(uneven(2.2), EVENTS, size_px=(320, 240), sound_spans=((0.0, 2.4),))
WITH_SOUND = replace(SHORT, sound_spans=((0.0, 0.4),))


def draw(inputs: list[Path], out: Path, **changes) -> tuple[overlay.OverlayResult, RecordingProgress]:
    progress = RecordingProgress()
    names = ("face", "min_quality", "given")
    chosen = {"face": "all"} | {name: changes.pop(name) for name in names if name in changes}
    predict = PredictSettings(inputs=tuple(inputs), **chosen)
    return overlay.run(overlay.OverlaySettings(predict=predict, out=out, **changes), progress), progress


def draw_table(clip: Path, out: Path, table: Path | None = None, **changes) -> RecordingProgress:
    """An overlay of given rows."""
    table = table or write_table(clip.with_suffix(".csv"), table_at(times_of(clip), str(clip)))
    result, progress = draw([clip], out, table=table, **changes)
    assert not result.failed, result.failed
    assert result.files == [out]
    return progress


def failure(inputs: list[Path], out: Path, **changes) -> str:
    result, _ = draw(inputs, out, **changes)
    (failed,) = result.failed
    assert not result.files
    return failed.reason


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> Path:
    """A clip with two faces side by side."""
    picture = np.hstack([scene((160, 120)), scene((160, 120), somebody_else())])
    return write_video(tmp_path_factory.mktemp("pair") / "pair.mp4", [picture] * 12)


def colour_share(picture: np.ndarray, colour: palette.RGB) -> float:
    """The fraction of pixels that have nearly a colour."""
    return float((np.abs(picture.astype(int) - colour).max(axis=2) < 40).mean())


def test_flashes_and_clicks_stay_together_and_frames_keep_their_times(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", FLASHING)
    draw_table(clip, tmp_path / "out.mp4")
    np.testing.assert_allclose(times_of(tmp_path / "out.mp4"), times_of(clip), atol=1 / 90_000, rtol=0)
    layout = make_layout(320, 240)
    shown = [
        picture[20 : layout.picture.height - 20, 40 : layout.picture.width - 40].mean()
        for picture in pictures_of(tmp_path / "out.mp4")
    ]
    flashes_s = times_of(tmp_path / "out.mp4")[np.array(shown) > 150]
    sound = np.abs(read_sound(tmp_path / "out.mp4").samples)
    clicks_s = [
        (np.argmax(sound[around]) + around.start) / 16_000
        for around in (slice(max(0, round(16_000 * (s - 0.2))), round(16_000 * (s + 0.2))) for s in flashes_s)
    ]
    assert len(flashes_s) == len(EVENTS)
    np.testing.assert_allclose(clicks_s, flashes_s, atol=0.01, rtol=0)
    assert packets_of(tmp_path / "out.mp4") == packets_of(clip)


VIDEOS = {
    "10 bits": {"pixel_format": "yuv420p10le"},
    "odd size": {"pixel_format": "yuv444p", "size_px": (321, 241)},
    "tiny": {"size_px": (64, 48)},
    "large": {
        "size_px": (3840, 2160),
        "times_s": steady(25, 0.08),
        "sound_spans": (),
        "options": {"preset": "ultrafast"},
    },
    "no sound": {"sound_spans": ()},
    "late": {"times_s": steady(25, 1, start_s=0.5), "sound_spans": ((0.0, 1.5),)},
    "interlaced": {"options": {"flags": "+ildct+ilme", "x264-params": "tff=1"}},
    "one frame": {"times_s": (0.0,), "sound_spans": ()},
    "full range": {"pixel_format": "yuvj420p"},
}


@pytest.mark.parametrize("name", VIDEOS)
def test_unusual_videos_are_drawn_with_their_times(tmp_path, name):
    clip = write_clip(tmp_path / "clip.mkv", replace(WITH_SOUND, **VIDEOS[name]))
    draw_table(clip, tmp_path / "out.mp4")
    info, source = probe(tmp_path / "out.mp4"), probe(clip)
    assert info.video.pixel_format == "yuv420p"
    assert (info.audio is None) == (source.audio is None)
    size = (info.video.width_px, info.video.height_px)
    assert size == (
        (320, 240) if name in ("tiny",) else (source.video.width_px // 2 * 2, source.video.height_px // 2 * 2)
    )
    np.testing.assert_allclose(times_of(tmp_path / "out.mp4"), times_of(clip), atol=1e-3, rtol=0)


def test_rotated_videos_become_upright(tmp_path):
    def upper_half_white(row: int) -> np.ndarray:
        picture = np.full((240, 320, 3), 20, np.uint8)
        picture[:, :160] = 230  # stored on the left: upright it is above or below
        return picture

    clip = write_clip(tmp_path / "clip.mp4", replace(FLASHING, picture=upper_half_white, rotation_deg=90))
    draw_table(clip, tmp_path / "out.mp4")
    info = probe(tmp_path / "out.mp4").video
    assert (info.width_px, info.height_px, info.rotation_deg) == (240, 320, 0)
    layout, picture = make_layout(240, 320), pictures_of(tmp_path / "out.mp4")[5]
    shown = picture[: layout.picture.height, : layout.picture.width].mean(axis=(1, 2))
    edges = shown[20], shown[-20]
    assert max(edges) > 180
    assert min(edges) < 60


def test_both_faces_have_their_box_where_they_are(pair, tmp_path):
    result, _ = draw([pair], tmp_path / "out.mp4")
    assert not result.failed
    picture = pictures_of(tmp_path / "out.mp4")[8]
    shown = make_layout(640, 240).picture
    left, right = (
        picture[: shown.height, : shown.width // 2],
        picture[: shown.height, shown.width // 2 : shown.width],
    )
    shares = [[colour_share(side, palette.face_colour(index)) for index in (0, 1)] for side in (left, right)]
    first = int(shares[1][0] > shares[0][0])
    assert shares[first][0] > 0.003 > 10 * shares[1 - first][0]
    assert shares[1 - first][1] > 0.003


def comment_of(path: Path) -> dict:
    with av.open(str(path)) as container:
        return json.loads(container.metadata.get("comment") or container.metadata["COMMENT"])


def test_the_comment_of_a_file_names_version_model_and_video(pair, tmp_path):
    draw([pair], tmp_path / "out.mp4")
    made = comment_of(tmp_path / "out.mp4")
    assert (made["va"], made["model"]["name"], made["settings"]["face"]) == (__version__, "bundled", "all")
    assert made["video"] == {"name": "pair.mp4", "sha256": sha256(pair.read_bytes()).hexdigest()}


def test_the_comment_of_a_file_names_its_table(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", SHORT)
    table = write_table(tmp_path / "va.csv", table_at(times_of(clip), str(clip)))
    draw_table(clip, tmp_path / "out.mkv", table)
    made = comment_of(tmp_path / "out.mkv")
    assert made["table"] == {"name": "va.csv", "sha256": sha256(table.read_bytes()).hexdigest()}
    assert "model" not in made


def test_blur_hides_all_faces_though_only_one_is_predicted(pair, tmp_path):
    out = tmp_path / "out.mp4"
    result, _ = draw([pair], out, blur=True, face="left", width_px=1280)
    assert not result.failed
    shown = make_layout(1280, 480).picture
    seen = Detector(score_threshold=0.5)
    for picture in pictures_of(out)[::4]:
        assert not seen.detect(np.ascontiguousarray(picture[: shown.height, : shown.width]))
    draw([pair], tmp_path / "clear.mp4", face="left", width_px=1280)
    clear = pictures_of(tmp_path / "clear.mp4")[4][: shown.height, : shown.width]
    assert len(seen.detect(np.ascontiguousarray(clear))) == 2


def test_damaged_frames_keep_their_times_and_are_reported(tmp_path):
    clip = write_clip(
        tmp_path / "clip.mkv", replace(FLASHING, events=(), times_s=steady(25, 4), options={"g": "25"})
    )
    table = write_table(tmp_path / "va.csv", table_at(times_of(clip), str(clip)))
    data = bytearray(clip.read_bytes())
    for at in range(len(data) // 3, len(data) // 2):
        data[at] = 0
    damaged = tmp_path / "damaged.mkv"
    damaged.write_bytes(data)
    progress = draw_table(damaged, tmp_path / "out.mp4", table)
    assert any("darkened" in warning for warning in progress.warnings)
    np.testing.assert_allclose(times_of(tmp_path / "out.mp4"), times_of(damaged), atol=1e-3, rtol=0)


def test_a_table_finds_its_videos(tmp_path):
    clips = [write_clip(tmp_path / name, SHORT) for name in ("a.mp4", "b.mp4")]
    table = write_table(tmp_path / "va.csv", *(table_at(times_of(clip), clip.name) for clip in clips))
    result, _ = draw([table], tmp_path / "out")
    assert result.files == [tmp_path / "out/a.overlay.mp4", tmp_path / "out/b.overlay.mp4"]
    assert all(len(times_of(path)) == len(times_of(clips[0])) for path in result.files)
    assert comment_of(result.files[1])["table"]["name"] == "va.csv"


def test_a_table_is_used_for_the_videos_of_a_folder(tmp_path):
    (tmp_path / "media").mkdir()
    clip = write_clip(tmp_path / "media/a.mp4", SHORT)
    table = write_table(tmp_path / "va.csv", table_at(times_of(clip), "a.mp4"))
    result, _ = draw([tmp_path / "media"], tmp_path / "out", table=table)
    assert result.files == [tmp_path / "out/a.overlay.mp4"]


@pytest.mark.parametrize(("face", "colours"), [("all", 2), ("largest", 1), ("1", 1), ("left", 1)])
def test_faces_of_a_table_are_selected(tmp_path, face, colours):
    clip = write_clip(tmp_path / "clip.mp4", SHORT)
    tables = [
        table_at(times_of(clip), str(clip), 0, (20, 50, 60, 60)),
        table_at(times_of(clip), str(clip), 1, (140, 50, 60, 70)),
    ]
    draw_table(clip, tmp_path / "out.mp4", write_table(tmp_path / "va.csv", *tables), face=face)
    shown = make_layout(320, 240).picture
    picture = pictures_of(tmp_path / "out.mp4")[4][: shown.height, : shown.width]
    visible = [colour_share(picture, palette.face_colour(index)) > 0.002 for index in (0, 1)]
    assert sum(visible) == colours


def test_frames_of_low_quality_are_drawn_without_a_prediction(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", SHORT)
    quality = np.where(np.arange(10) < 5, 0.8, 0.1)
    table = write_table(tmp_path / "va.csv", table_at(times_of(clip), str(clip), quality=quality))
    progress = draw_table(clip, tmp_path / "some.mp4", table, min_quality=0.5)
    left_out = "5 of 10 frames (50.0 %) have a quality below 0.5 and are left out: sharpness 5"
    assert left_out in progress.messages
    assert comment_of(tmp_path / "some.mp4")["settings"] == {"min_quality": 0.5}
    draw_table(clip, tmp_path / "all.mp4", table)
    some, whole = (pictures_of(tmp_path / name) for name in ("some.mp4", "all.mp4"))
    change = [np.abs(a.astype(int) - b).mean() for a, b in zip(some, whole, strict=True)]
    assert max(change[:3]) < min(change[6:])


@pytest.mark.parametrize("as_input", [True, False])
def test_the_faces_and_options_of_a_given_table(tmp_path, as_input):
    clip = write_clip(tmp_path / "clip.mp4", SHORT)
    tables = [table_at(times_of(clip), str(clip), number) for number in (0, 1)]
    table = write_table(tmp_path / "va.csv", *tables)
    given = frozenset({"face", "backend", "audio_track"})
    changes: dict[str, object] = {} if as_input else {"table": table}
    inputs = [table if as_input else clip]
    result, progress = draw(inputs, tmp_path / "out.mkv", face="1", given=given, **changes)
    assert not result.failed
    assert comment_of(tmp_path / "out.mkv")["settings"] == {"face": "1"}
    (warning,) = [text for text in progress.warnings if "no effect" in text]
    assert warning.startswith(f"--backend: no effect, because {table} has"), "the sound is that of the track"
    assert "face 2 was not found" in failure(inputs, tmp_path / "other.mkv", face="2", **changes)


def test_videos_of_one_name_get_different_files(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_clip(tmp_path / folder / "clip.mp4", SHORT)
    clips = [tmp_path / "a/clip.mp4", tmp_path / "b/clip.mp4"]
    table = write_table(tmp_path / "va.csv", *(table_at(times_of(clip), str(clip)) for clip in clips))
    result, _ = draw(clips, tmp_path / "out", table=table)
    assert result.files == [tmp_path / "out/a_clip.overlay.mp4", tmp_path / "out/b_clip.overlay.mp4"]


def test_a_table_without_the_video_is_refused(tmp_path):
    clips = [write_clip(tmp_path / name, SHORT) for name in ("a.mp4", "b.mp4")]
    table = write_table(tmp_path / "va.csv", *(table_at(times_of(clips[0]), name) for name in ("x", "y")))
    assert "has no rows of it" in failure(clips[:1], tmp_path / "out.mp4", table=table)
    table = write_table(tmp_path / "gone.csv", table_at(times_of(clips[0]), "gone.mp4"))
    assert "its video is not there" in failure([table], tmp_path / "out.mp4")


def test_the_table_of_another_name_is_drawn_with_a_warning(tmp_path):
    clip = write_clip(tmp_path / "renamed.mp4", SHORT)
    table = write_table(tmp_path / "va.csv", table_at(times_of(clip), "before.mp4"))
    progress = draw_table(clip, tmp_path / "out.mp4", table)
    assert any(f"{table} is of before.mp4; it is drawn on {clip}" in text for text in progress.warnings)
    assert not any("drawn on" in text for text in draw_table(clip, tmp_path / "two.mp4").warnings)


def test_sound_files_are_refused(tmp_path):
    write_wav(tmp_path / "a.wav", np.zeros(8000, np.float32))
    reason = failure([tmp_path / "a.wav"], tmp_path / "out.mp4")
    assert "no picture" in reason
    assert "va report" in reason
    assert not list(tmp_path.glob("*out*"))


def test_existing_files_are_kept_without_force(tmp_path):
    clip, out = write_clip(tmp_path / "clip.mp4", SHORT), tmp_path / "out.mp4"
    out.write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        draw_table(clip, out)
    assert out.read_text() == "mine"
    draw_table(clip, out, force=True)
    assert len(times_of(out)) == len(times_of(clip))


def test_a_file_that_grows_too_large_is_blamed_and_not_the_recording(tmp_path):
    pytest.importorskip("resource")
    clip, out = write_clip(tmp_path / "clip.mp4", WITH_SOUND), tmp_path / "out.mp4"
    table = write_table(tmp_path / "clip.csv", table_at(times_of(clip), str(clip)))
    code = (
        "import resource, sys; from vacli.__main__ import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "sys.exit(main())"
    )
    words = ["overlay", str(clip), "--table", str(table), "-o", str(out)]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"va: {out}: file too large for this file system")
    assert not out.exists()


def test_the_input_is_never_replaced(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", SHORT)
    before = clip.read_bytes()
    (tmp_path / "link.mp4").symlink_to(clip)
    table = write_table(tmp_path / "va.csv", table_at(times_of(clip), str(clip)))
    for out in (clip, tmp_path / "link.mp4"):
        assert "is the input" in failure([clip], out, table=table, force=True)
    assert clip.read_bytes() == before


def test_several_videos_need_a_folder(tmp_path):
    clips = [write_clip(tmp_path / name, SHORT) for name in ("a.mp4", "b.mp4")]
    table = write_table(tmp_path / "va.csv", *(table_at(times_of(clip), str(clip)) for clip in clips))
    with pytest.raises(UsageError, match="holds one recording, and there are 2"):
        draw(clips, tmp_path / "out.mp4", table=table)


def test_an_ending_that_is_no_video_is_refused(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", SHORT)
    table = write_table(tmp_path / "va.csv", table_at(times_of(clip), str(clip)))
    with pytest.raises(UsageError, match="ending"):
        draw([clip], tmp_path / "out.webm", table=table)


def test_videos_with_odd_names_are_drawn(tmp_path):
    plain = write_clip(tmp_path / "plain.mp4", replace(SHORT, times_s=steady(25, 0.08)))
    stems = [name.replace("/", "_").removesuffix(".mp4") for name in HOSTILE_NAMES]
    clips = [tmp_path / f"{number}{stem}.mp4" for number, stem in enumerate(stems)]
    for clip in clips:
        clip.write_bytes(plain.read_bytes())
    table = write_table(tmp_path / "va.csv", *(table_at(times_of(clip), clip.name) for clip in clips))
    result, _ = draw(clips, tmp_path / "out", table=table)
    assert not result.failed, result.failed
    assert len(set(result.files)) == len(clips)
    assert set(os.listdir(tmp_path / "out")) == {path.name for path in result.files}
    assert all(path.name.endswith(".overlay.mp4") for path in result.files)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_leaves_nothing(tmp_path, stop):
    clip = write_clip(tmp_path / "clip.mp4", replace(SHORT, times_s=steady(25, 25)))
    table = write_table(tmp_path / "va.csv", table_at(times_of(clip), str(clip)))
    before = set(os.listdir(tmp_path))
    command = [sys.executable, "-m", "vacli", "overlay", str(clip), "--table", str(table), "-o"]
    with subprocess.Popen(
        [*command, str(tmp_path / "out.mp4")], stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 60
        while set(os.listdir(tmp_path)) == before and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        assert process.poll() is None, "it ended before it could be interrupted"
        process.send_signal(stop)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + stop
    assert "interrupted" in errors
    assert set(os.listdir(tmp_path)) == before


def test_drafts_of_killed_commands_are_removed(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", SHORT)
    table = write_table(tmp_path / "va.csv", table_at(times_of(clip), str(clip)))
    (tmp_path / ".out.mp4.va-0123abcd.part").write_bytes(b"half")
    draw_table(clip, tmp_path / "out.mp4", table)
    assert sorted(os.listdir(tmp_path)) == ["clip.mp4", "out.mp4", "va.csv"]


def test_real_clips_keep_their_times_and_have_aac_sound(clips, tmp_path):
    for number in ("01", "24", "25"):
        clip = next(clips.glob(f"{number}_*"))
        table = write_table(tmp_path / "va.csv", table_at(times_of(clip), clip.name))
        draw_table(clip, tmp_path / f"{number}.mp4", table)
        np.testing.assert_allclose(times_of(tmp_path / f"{number}.mp4"), times_of(clip), atol=1e-3, rtol=0)
        with av.open(str(tmp_path / f"{number}.mp4")) as container:
            assert container.streams.audio[0].codec_context.name == "aac"


@pytest.mark.parametrize("as_input", [True, False])
def test_rows_of_another_file_of_the_same_name_are_drawn_with_a_warning(tmp_path, as_input):
    clip = write_clip(tmp_path / "clip.mp4", SHORT)
    table = write_table(tmp_path / "va.csv", table_at(times_of(clip), "clip.mp4"))
    record = input_record(MediaInput(clip, "video"))
    for sha256_of_rows, warned in ((record["sha256"], False), ("0" * 64, True)):
        made = {**record, "sha256": sha256_of_rows, "modified_ns": 0}
        write_sidecar(table, {"inputs": [made], "files": {}})
        changes = {} if as_input else {"table": table}
        _, progress = draw([table if as_input else clip], tmp_path / "out.mp4", force=True, **changes)
        warnings = [text for text in progress.warnings if "were made from another clip.mp4" in text]
        assert [str(clip) in text for text in warnings] == [True] * warned
