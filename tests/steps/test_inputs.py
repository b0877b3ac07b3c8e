"""The inputs that a step uses, and its report of the files left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from synth.faces import portrait, somebody_else, write_video
from synth.sounds import voice

from vacli.datasets.audio_augmentation import write_wav
from vacli.errors import InputError, UsageError
from vacli.media.kinds import MediaInput
from vacli.output.frame_table import FrameTable
from vacli.progress import RecordingProgress
from vacli.steps import align, extract_audio
from vacli.steps._batch import Batch
from vacli.steps._inputs import MAX_NAMED, usable
from vacli.steps.predict import PredictSettings, run


def predicted_tables(*inputs: Path, **more: object) -> tuple[list[FrameTable], Batch, RecordingProgress]:
    tables: list[FrameTable] = []
    progress = RecordingProgress()
    batch = run(PredictSettings(inputs=inputs, device="cpu", **more), tables.append, progress)
    return tables, batch, progress


def predicted(*inputs: Path, images: bool = False) -> tuple[dict[str, FrameTable], Batch, RecordingProgress]:
    tables, batch, progress = predicted_tables(*inputs, images=images)
    return {Path(table.name).name: table for table in tables}, batch, progress


def videos(media: MediaInput) -> list[MediaInput] | str:
    return [media] if media.kind == "video" else f"{media.kind} is not wanted"


def used(*paths: Path) -> tuple[list[MediaInput], Batch, RecordingProgress]:
    batch, progress = Batch(Path("out")), RecordingProgress()
    found = usable(paths, videos, lambda path: InputError(f"{path}: no videos"), batch, progress)
    return found, batch, progress


def test_other_files_of_a_folder_are_listed_in_one_line(tmp_path):
    for number in range(MAX_NAMED + 2):
        (tmp_path / f"{number}.csv").write_text("a,b\n")
    (tmp_path / "a.mp4").touch()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "v.wav").touch()
    found, batch, progress = used(tmp_path)
    assert [media.path.name for media in found] == ["a.mp4"]
    assert batch.failed == []
    assert progress.messages == [
        f"{tmp_path}: 8 files left out: 0.csv, 1.csv, 2.csv, 3.csv, 4.csv and 2 more (not media); "
        "sub/v.wav (sound is not wanted)"
    ]


def test_inputs_are_unique_and_in_the_order_of_the_paths(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "link.mp4").symlink_to(tmp_path / "a.mp4")
    found, _, _ = used(tmp_path / "b.mp4", tmp_path, tmp_path / "link.mp4")
    assert [media.path.name for media in found] == ["b.mp4", "a.mp4"]


def test_unusable_paths_fail_and_the_others_are_used(tmp_path):
    (tmp_path / "good.mp4").touch()
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere")
    (tmp_path / "v.wav").touch()
    found, batch, _ = used(tmp_path / "missing.mp4", tmp_path / "v.wav", tmp_path)
    assert [media.path.name for media in found] == ["good.mp4"]
    assert [Path(failure.name).name for failure in batch.failed] == ["missing.mp4", "v.wav", "gone.mp4"]
    assert "no such file" in batch.failed[0].reason
    assert "no videos" in batch.failed[1].reason
    assert "does not exist" in batch.failed[2].reason


@pytest.fixture
def images_folder(tmp_path) -> Path:
    """One portrait as an image, an image named like a video, an animation and a 16-bit grey image."""
    folder = tmp_path / "images_folder"
    folder.mkdir()
    portrait_picture = Image.fromarray(portrait())
    portrait_picture.save(folder / "a.png")
    portrait_picture.save(folder / "b.bmp")
    (folder / "b.bmp").rename(folder / "b.mp4")
    turned = [portrait_picture, portrait_picture.rotate(3), portrait_picture.rotate(-3)]
    turned[0].save(folder / "c.png", save_all=True, append_images=turned[1:], duration=40)
    Image.fromarray(np.asarray(portrait_picture.convert("L")).astype(np.uint16) * 257).save(folder / "d.png")
    return folder


def test_images_are_predicted_in_a_folder_and_by_name(images_folder):
    in_folder, batch, progress = predicted(images_folder, images=True)
    named, _, _ = predicted(*sorted(images_folder.iterdir()), images=True)
    assert not batch.failed
    assert set(in_folder) == set(named) == {"a.png", "b.mp4", "c.png", "d.png"}
    assert progress.warnings == [f"{images_folder / 'c.png'}: has 3 images, of which the first is used"]
    for name, table in in_folder.items():
        np.testing.assert_array_equal(table.columns["valence"], named[name].columns["valence"])
    first = [float(table.columns["valence"][0]) for table in in_folder.values()]
    assert np.ptp(first[:3]) < 0.01
    assert abs(first[3] - first[0]) < 0.3  # the same in grey


def test_the_faces_of_a_picture_are_selected(tmp_path):
    Image.fromarray(np.hstack([portrait(), somebody_else()])).save(tmp_path / "pair.png")
    both, _, _ = predicted_tables(tmp_path / "pair.png", images=True, face="all")
    assert [table.face_id for table in both] == [0, 1]
    values = [float(table.columns["valence"][0]) for table in both]
    assert values[0] != values[1]
    ((other,), _, _) = predicted_tables(tmp_path / "pair.png", images=True, face="1")
    assert float(other.columns["valence"][0]) == values[1]
    tables, batch, _ = predicted_tables(tmp_path / "pair.png", images=True, face="7")
    assert not tables
    assert "pair.png: face 7 was not found; these faces are there: 0, 1" in batch.failed[0].reason
    with pytest.raises(UsageError, match="--face speaker needs moving pictures"):
        predicted_tables(tmp_path / "pair.png", images=True, face="speaker")


def test_without_images_an_animation_is_a_video_and_images_are_left_out(images_folder):
    tables, batch, progress = predicted(images_folder)
    assert {name: len(table.columns["frame"]) for name, table in tables.items()} == {"c.png": 3}
    assert not batch.failed
    (left_out,) = [line for line in progress.messages if "left out" in line]
    assert left_out.endswith("3 files left out: a.png, b.mp4, d.png (an image: use `va predict --images`)")
    _, batch, _ = predicted(images_folder / "b.mp4")
    assert batch.failed[0].reason.endswith(
        "b.mp4 is an image; `va predict --images` predicts each image separately"
    )


def test_the_face_box_of_a_downscaled_image_is_in_pixels_of_the_original(tmp_path, monkeypatch):
    Image.fromarray(portrait()).save(tmp_path / "a.png")
    whole, _, _ = predicted(tmp_path / "a.png", images=True)
    monkeypatch.setattr("vacli.media.pixels.MAX_IMAGE_PX", 512 * 512 // 3)
    reduced, _, _ = predicted(tmp_path / "a.png", images=True)
    for column in ("face_x", "face_y", "face_w", "face_h"):
        assert whole["a.png"].columns[column] == pytest.approx(reduced["a.png"].columns[column], abs=8)


def test_audio_in_a_video_container_is_an_audio_file(tmp_path):
    write_wav(tmp_path / "v.wav", voice(2.0))
    (tmp_path / "v.wav").rename(tmp_path / "v.mp4")
    tables, batch, _ = predicted(tmp_path / "v.mp4")
    assert not batch.failed
    assert len(tables["v.mp4"].columns["frame"]) == 50


def test_align_and_extract_audio_report_the_files_left_out(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    write_video(folder / "a.mp4", [portrait()[:256, :256]] * 3)
    write_wav(folder / "v.wav", voice(1.0))
    Image.fromarray(portrait()).save(folder / "p.png")
    progress = RecordingProgress()
    align.run(align.AlignSettings(inputs=(folder,), store=tmp_path / "s.zarr"), progress)
    why = "neither a video nor a folder of aligned faces"
    assert f"{folder}: 2 files left out: p.png, v.wav ({why})" in progress.messages
    progress = RecordingProgress()
    settings = extract_audio.ExtractAudioSettings(
        inputs=(folder,), store=tmp_path / "t.zarr", features=("mfcc39",)
    )
    batch = extract_audio.run(settings, progress)
    assert not batch.failed
    assert f"{folder}: 1 file left out: p.png (no recording with audio)" in progress.messages
