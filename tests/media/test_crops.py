"""Crop folders: file i + 1 is row i, missing numbers are frames without a face."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vacli.errors import InputError
from vacli.media.crops import CropFolder, is_crop_folder, read_rgb


def write_crops(folder: Path, numbers: list[int], side_px: int = 112) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        level = np.full((side_px, side_px, 3), number * 10 % 256, dtype=np.uint8)
        Image.fromarray(level).save(folder / f"{number:05d}.jpg")
    return folder


def test_file_n_is_row_n_minus_one(tmp_path: Path) -> None:
    folder = CropFolder(write_crops(tmp_path / "122-60-1920x1080-3", [1, 2, 5]))
    assert len(folder) == 5
    assert folder.rows.tolist() == [0, 1, 4]
    crops = dict(folder)
    assert list(crops) == [0, 1, 4]
    assert crops[4].shape == (112, 112, 3)
    assert abs(int(crops[4].mean()) - 50) <= 1
    assert folder.read(3) is None
    assert folder.decode_error is None


def test_a_trial_may_have_rows_after_its_last_crop(tmp_path: Path) -> None:
    path = write_crops(tmp_path / "trial", [2, 3])
    assert len(CropFolder(path, count=10)) == 10
    with pytest.raises(InputError, match="has crop 00003, but its trial has 2 frames"):
        CropFolder(path, count=2)


@pytest.mark.parametrize("side_px", [96, 112, 224])
def test_crops_of_any_size_are_read(tmp_path: Path, side_px: int) -> None:
    folder = CropFolder(write_crops(tmp_path / "trial", [1], side_px))
    assert folder.read(0).shape == (side_px, side_px, 3)


def test_a_damaged_crop_is_reported_and_skipped(tmp_path: Path) -> None:
    path = write_crops(tmp_path / "trial", [1, 2, 3])
    (path / "00002.jpg").write_bytes(b"not a picture")
    folder = CropFolder(path)
    assert [row for row, _ in folder] == [0, 2]
    assert "00002.jpg: cannot be read as an image" in folder.decode_error


def test_numbers_from_zero_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="counts from 00001"):
        CropFolder(write_crops(tmp_path / "trial", [0, 1]))


def test_two_files_with_one_number_are_an_error(tmp_path: Path) -> None:
    path = write_crops(tmp_path / "trial", [1])
    Image.new("RGB", (8, 8)).save(path / "00001.png")
    with pytest.raises(InputError, match=r"both 00001\.jpg and 00001\.png"):
        CropFolder(path)


def test_a_folder_without_crops_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no crops"):
        CropFolder(tmp_path)
    with pytest.raises(InputError, match="cannot be listed"):
        CropFolder(tmp_path / "gone")


def test_crop_folders_are_detected_by_the_names_of_their_images(tmp_path: Path) -> None:
    path = write_crops(tmp_path / "trial", [1, 2])
    (path / ".DS_Store").touch()
    assert is_crop_folder(path)
    Image.new("RGB", (8, 8)).save(path / "holiday.jpg")
    assert not is_crop_folder(path)
    assert not is_crop_folder(tmp_path)


def test_the_exif_orientation_is_applied(tmp_path: Path) -> None:
    image = Image.new("RGB", (8, 4))
    exif = image.getexif()
    exif[0x0112] = 6  # rotated by 90 degrees
    image.save(tmp_path / "phone.jpg", exif=exif)
    assert read_rgb(tmp_path / "phone.jpg").shape == (8, 4, 3)


def test_grey_and_palette_images_become_rgb(tmp_path: Path) -> None:
    for mode in ("L", "P", "RGBA", "I;16"):
        Image.new(mode, (5, 4)).save(tmp_path / "unusual.png")
        assert read_rgb(tmp_path / "unusual.png").shape == (4, 5, 3)


@pytest.mark.parametrize(
    ("size_px", "expected"),
    [((112, 112), True), ((90, 112), True), ((360, 288), False), ((1080, 1920), False)],
)
def test_numbered_frames_of_a_video_are_no_crops(tmp_path: Path, size_px: tuple[int, int], expected) -> None:
    for number in (1, 2):
        Image.new("RGB", size_px).save(tmp_path / f"{number:05d}.jpg")
    assert is_crop_folder(tmp_path) is expected


def test_one_crop_of_another_shape_leaves_the_folder_one_of_crops(tmp_path: Path) -> None:
    for number, size_px in enumerate([(150, 100), (90, 112), (150, 100)], 1):
        Image.new("RGB", size_px).save(tmp_path / f"{number:05d}.jpg")
    assert is_crop_folder(tmp_path)


def test_a_damaged_crop_leaves_the_folder_one_of_crops(tmp_path: Path) -> None:
    (tmp_path / "00001.jpg").write_bytes(b"no image")
    assert is_crop_folder(tmp_path)
