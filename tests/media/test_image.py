"""Images of all formats, depths and sizes become RGB."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from vacli.errors import InputError, PackageMissing
from vacli.media import pixels
from vacli.media.image import is_animation, read_image, read_rgb

RAMP = np.tile(np.linspace(0, 255, 52).round().astype(np.uint8), (20, 1))  # 0, 5, 10 ... 255
COLOURS = np.stack([RAMP, RAMP[:, ::-1], RAMP // 2], axis=2)


def saved(path: Path, values: np.ndarray, **options: object) -> Path:
    Image.fromarray(values).save(path, **options)
    return path


def frames(count: int) -> list[Image.Image]:
    return [Image.fromarray(np.roll(COLOURS, 7 * i, axis=1)) for i in range(count)]


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_deep_grey_is_scaled_by_the_bits_in_use(tmp_path, bits):
    deep = (RAMP.astype(float) / 255 * (2**bits - 1)).round().astype(np.uint16)
    for name in ("grey.png", "grey.tif"):
        rgb = read_rgb(saved(tmp_path / name, deep))
        assert np.abs(rgb.astype(int) - RAMP[..., np.newaxis]).max() <= 1


@pytest.mark.parametrize(
    "values",
    [
        RAMP / np.float32(255),
        RAMP.astype(np.float32),
        RAMP * np.float32(257),
        (RAMP.astype(np.float32) - 128) / 10,
        RAMP.astype(np.int32) * 257,
    ],
)
def test_grey_is_scaled_by_its_range(tmp_path, values):
    rgb = read_rgb(saved(tmp_path / "grey.tif", values.astype(values.dtype)))
    assert np.abs(rgb.astype(int) - RAMP[..., np.newaxis]).max() <= 1


def test_non_finite_pixels_become_black(tmp_path):
    values = RAMP / np.float32(255)
    values[0, 40:43] = (np.nan, np.inf, -np.inf)
    rgb = read_rgb(saved(tmp_path / "grey.tif", values))
    assert rgb[0, 40:43].max() == 0
    assert rgb[1, 51].tolist() == [255] * 3


def test_deep_grey_of_a_white_is_zero_tiff_is_inverted(tmp_path):
    path = saved(tmp_path / "grey.tif", RAMP.astype(np.uint16) * 257, tiffinfo={262: 0})
    assert np.abs(read_rgb(path)[..., 0].astype(int) - (255 - RAMP)).max() <= 1


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "LAB", "RGB"])
def test_other_modes_keep_their_colours(tmp_path, mode):
    picture = Image.fromarray(COLOURS).convert("L").convert("RGB") if mode in "1L" else frames(1)[0]
    if mode == "LAB":
        from PIL import ImageCms

        profiles = (ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"))
        made = ImageCms.profileToProfile(picture, *profiles, outputMode="LAB")
    else:
        made = picture.quantize(256) if mode == "P" else picture.convert(mode)
    path = tmp_path / ("picture.jpg" if mode == "YCbCr" else "picture.tif")  # its own container
    made.save(path)
    difference = np.abs(read_rgb(path).astype(int) - np.asarray(picture))
    assert difference.mean() < (130 if mode == "1" else 12)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P"])
def test_transparent_pixels_are_drawn_on_white(tmp_path, mode):
    picture = Image.fromarray(COLOURS).convert("RGBA")
    picture.putalpha(Image.fromarray(np.where(RAMP > 127, 255, 0).astype(np.uint8)))
    if mode in ("LA", "PA"):
        picture = picture.convert(mode)
    path = tmp_path / ("picture.gif" if mode == "P" else "picture.tif" if mode == "PA" else "picture.png")
    picture.save(path)
    rgb = read_rgb(path)
    assert (rgb[RAMP <= 127] == 255).all()
    assert rgb[RAMP > 200].mean() < 220


def test_the_upper_eight_of_sixteen_bits_are_kept(tmp_path):
    import struct
    import zlib

    deep = (COLOURS.astype(">u2") * 257).tobytes()
    rows = b"".join(b"\0" + deep[at : at + 52 * 6] for at in range(0, len(deep), 52 * 6))

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 52, 20, 16, 2, 0, 0, 0)
    path = tmp_path / "deep.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    np.testing.assert_array_equal(read_rgb(path), COLOURS)


@pytest.mark.parametrize("suffix", ["gif", "jfif", "png", "webp", "tif", "bmp", "jp2", "ppm", "avif"])
def test_every_format_is_detected_by_its_content(tmp_path, suffix):
    if suffix == "avif" and not features.check("avif"):
        pytest.skip("this Pillow does not write AVIF")
    path = tmp_path / f"picture.{suffix}"
    frames(1)[0].save(path, **({"quality": 95} if suffix in ("jfif", "webp", "avif") else {}))
    rgb = read_rgb(path.rename(tmp_path / "no_suffix"))
    assert np.abs(rgb.astype(int) - COLOURS).mean() < 15


@pytest.mark.parametrize(
    ("suffix", "name", "played"),
    [("gif", "GIF", True), ("png", "PNG", True), ("webp", "WEBP", False), ("tif", "TIFF", False)],
)
def test_animations_are_videos_or_give_their_first_image_with_a_note(tmp_path, suffix, name, played):
    path, pictures = tmp_path / f"moving.{suffix}", frames(5)
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=100)
    picture = read_image(path)
    assert picture.note == "has 5 images, of which the first is used"
    assert np.abs(picture.rgb.astype(int) - COLOURS).mean() < 20
    assert is_animation(path, name) is played


def test_the_error_for_heic_without_its_package_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    with pytest.raises(PackageMissing, match="a HEIC image, needs pillow_heif") as caught:
        read_rgb(tmp_path / "a.heic")
    assert caught.value.hint == "pip install 'vacli[heic]'"


def test_a_heic_image_is_read(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    frames(1)[0].resize((208, 80)).save(tmp_path / "a.heic", quality=90)
    assert read_rgb((tmp_path / "a.heic").rename(tmp_path / "b.mp4")).shape == (80, 208, 3)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "tif"])
def test_large_images_are_reduced_and_upright(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(pixels, "MAX_IMAGE_PX", 10_000)
    path = tmp_path / f"large.{suffix}"
    picture = Image.fromarray(np.kron(COLOURS, np.ones((20, 20, 1), np.uint8)))  # 1040 x 400
    exif = picture.getexif()
    exif[0x0112] = 6
    options = {} if suffix == "gif" else {"exif": exif}
    picture.save(path, **options)
    read = read_image(path)
    upright = read.rgb if suffix == "gif" else np.rot90(read.rgb)
    assert read.rgb[..., 0].size <= 10_000
    assert read.reduced_by == pytest.approx(1040 / max(read.rgb.shape), rel=0.01)
    small = Image.fromarray(upright).resize((52, 20), Image.Resampling.BILINEAR)
    assert np.abs(np.asarray(small).astype(int) - COLOURS).mean() < 15


def test_large_images_of_deep_grey_are_reduced(tmp_path, monkeypatch):
    monkeypatch.setattr(pixels, "MAX_IMAGE_PX", 10_000)
    path = saved(tmp_path / "large.png", np.kron(RAMP.astype(np.uint16) * 257, np.ones((20, 20), np.uint16)))
    small = Image.fromarray(read_rgb(path)).resize((52, 20))
    assert np.abs(np.asarray(small)[..., 0].astype(int) - RAMP).mean() < 8


@pytest.mark.parametrize("suffix", ["png", "webp", "jpg"])
def test_images_that_need_too_much_memory_are_an_error(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(pixels, "MAX_DECODE_BYTES", 1000)
    path = tmp_path / f"large.{suffix}"
    frames(1)[0].save(path, **({"progressive": True} if suffix == "jpg" else {}))
    with pytest.raises(InputError, match="52 x 20 pixels are too many") as caught:
        read_rgb(path)
    assert caught.value.hint == "save a smaller copy"


def test_the_pixel_limit_of_pillow_is_restored(tmp_path):
    before = Image.MAX_IMAGE_PIXELS
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(30))
    with pytest.raises(InputError, match="cannot be read as an image"):
        read_rgb(tmp_path / "broken.png")
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("suffix", [".jpg", ".mpo"])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_damaged_jpeg_is_read_with_a_note(tmp_path, suffix, progressive):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    path = saved(tmp_path / f"picture{suffix}", noise, progressive=progressive)
    assert read_image(path).note is None
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 40] = bytes(40)
    path.write_bytes(data)
    assert "the file is damaged" in (read_image(path).note or "")


def test_a_cmyk_jpeg_has_no_note(tmp_path):
    path = tmp_path / "cmyk.jpg"
    Image.fromarray(COLOURS).convert("CMYK").save(path)
    assert read_image(path).note is None
