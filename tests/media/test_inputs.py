"""Search of given paths for media."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image
from synth.clips import Clip, steady, write_clip

from vacli.errors import InputError
from vacli.media.inputs import find_media, images_of
from vacli.media.kinds import MediaInput, resolve_kind
from vacli.media.video import open_video


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Write videos in two batches, crops, sound, an image, and files that are not media."""
    root = tmp_path / "aff"
    for name in (
        "batch1/a.MP4",
        "batch2/b.avi",
        "batch2/._b.avi",
        ".hidden/c.mp4",
        "sound/v.wav",
        "notes.txt",
        "s.zarr/0/x.mp4",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    for trial in ("a", "b_left"):
        (root / "cropped_aligned" / trial).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(root / "cropped_aligned" / trial / "00007.jpg")
    Image.new("RGB", (8, 8)).save(root / "face.jpg")
    return root


def test_folders_are_searched_recursively(corpus: Path) -> None:
    found = find_media([corpus]).media
    assert [(media.path.relative_to(corpus).as_posix(), media.kind, media.name) for media in found] == [
        ("batch1/a.MP4", "video", "a"),
        ("batch2/b.avi", "video", "b"),
        ("cropped_aligned/a", "crops", "a"),
        ("cropped_aligned/b_left", "crops", "b_left"),
        ("face.jpg", "image", "face"),
        ("sound/v.wav", "sound", "v"),
    ]


def test_inputs_are_sorted_without_duplicates(corpus: Path) -> None:
    (corpus / "link.mp4").symlink_to(corpus / "batch1" / "a.MP4")
    (corpus / "loop").symlink_to(corpus)
    twice = find_media([corpus / "sound" / "v.wav", corpus / "batch1" / ".." / "batch2", corpus]).media
    assert len({media.path.resolve() for media in twice}) == len(twice) == 6
    assert twice == sorted(twice)


def test_a_given_file_has_the_kind_of_its_suffix(corpus: Path) -> None:
    named = [corpus / "batch1" / "a.MP4", corpus / ".hidden" / "c.mp4"]
    assert find_media(named).media == [MediaInput(path, "video") for path in sorted(named)]


def test_a_given_file_with_an_unknown_suffix_has_the_kind_of_its_content(tmp_path: Path) -> None:
    video = write_clip(tmp_path / "clip.mp4", Clip(steady(25, 0.2))).rename(tmp_path / "clip.download")
    sound = write_clip(tmp_path / "v.wav", Clip(sound_spans=((0, 1),), sound_codec="pcm_s16le"))
    sound = sound.rename(tmp_path / "voice")
    assert [media.kind for media in find_media([video, sound]).media] == ["video", "sound"]


def test_names_keep_their_dots(tmp_path: Path) -> None:
    path = tmp_path / "122-60-1920x1080.3.mp4"
    path.touch()
    assert find_media([path]).media[0].name == "122-60-1920x1080.3"


def test_a_missing_path_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        find_media([tmp_path / "gone.mp4"])


def test_a_folder_without_media_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    (tmp_path / ".clip.mp4").touch()
    with pytest.raises(InputError, match="has no media files"):
        find_media([tmp_path])


def test_a_given_text_file_or_spreadsheet_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("valence,arousal\n" * 50)
    (tmp_path / "x.xlsx").write_bytes(b"PK\x03\x04 of Excel")
    with pytest.raises(
        InputError, match=r"x\.xlsx: is a spreadsheet, Parquet or an archive, not a recording"
    ):
        find_media([tmp_path / "x.xlsx"])
    with pytest.raises(InputError, match="is a text file, not a recording") as caught:
        find_media([tmp_path / "labels.csv"])
    assert "va convert" in caught.value.hint
    assert "ffmpeg" not in caught.value.one_line()


def test_images_of_a_crop_folder_are_its_files(tmp_path: Path) -> None:
    for name in ("00001.jpg", "00003.jpg", "notes.txt"):
        (tmp_path / name).touch()
    (folder,) = find_media([tmp_path]).media
    assert folder.kind == "crops"
    assert [m.name for m in images_of(folder)] == ["00001", "00003"]
    assert {m.kind for m in images_of(folder)} == {"image"}
    assert images_of(MediaInput(tmp_path / "a.mp4", "video")) == [MediaInput(tmp_path / "a.mp4", "video")]


def audio_file(path: Path) -> Path:
    return write_clip(path, Clip(sound_spans=((0, 1),)))


def image_file(path: Path, count: int = 1) -> Path:
    first, *more = (Image.new("RGB", (32, 24), (40 * i, 90, 30)) for i in range(count))
    first.save(path, save_all=count > 1, append_images=more) if more else first.save(path)
    return path


def test_the_kind_of_a_file_is_that_of_its_content(tmp_path: Path) -> None:
    image_file(tmp_path / "a.png").rename(tmp_path / "a.mp4")
    image_file(tmp_path / "b.jpg").rename(tmp_path / "b")
    write_clip(tmp_path / "c.mp4", Clip(steady(25, 0.2))).rename(tmp_path / "c.jpg")
    audio_file(tmp_path / "d.mp4")
    audio_file(tmp_path / "e.mka").rename(tmp_path / "e.webm")
    image_file(tmp_path / "f.gif")
    image_file(tmp_path / "g.gif", count=3)
    kinds = {media.path.name: resolve_kind(media).kind for media in find_media([tmp_path]).media}
    assert kinds == {
        "a.mp4": "image",
        "b": "image",
        "c.jpg": "video",
        "d.mp4": "sound",
        "e.webm": "sound",
        "f.gif": "image",
        "g.gif": "video",
    }
    for name, kind in kinds.items():
        assert [resolve_kind(media).kind for media in find_media([tmp_path / name]).media] == [kind]


def test_an_animation_is_also_an_image(tmp_path: Path) -> None:
    (media,) = find_media([image_file(tmp_path / "g.gif", count=3)]).media
    assert (media.kind, media.animated) == ("video", True)
    assert images_of(media) == [MediaInput(media.path, "image")]


def test_damaged_files_have_the_kind_of_their_suffix(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("<html>not found</html>")
    (tmp_path / "b.mp4").write_text("<html>not found</html>")
    found = find_media([tmp_path])
    assert [media.kind for media in found.media] == ["image", "video"]
    with pytest.raises(InputError, match="cannot be read as audio or video"):
        resolve_kind(found.media[1])


def test_files_are_found_in_a_folder_as_when_given(tmp_path: Path) -> None:
    clip, sound = Clip(steady(25, 0.2)), Clip(sound_spans=((0, 1),))
    write_clip(tmp_path / "a.mp4", clip)
    write_clip(tmp_path / "b.mkv", clip).rename(tmp_path / "b.download")
    write_clip(tmp_path / "c.mp4", sound).rename(tmp_path / "c.m4b")
    write_clip(tmp_path / "d.h264", clip)
    write_clip(tmp_path / "e.webm", Clip(sound_spans=((0, 1),), sound_codec="libopus")).rename(
        tmp_path / "e.weba"
    )
    found = find_media([tmp_path])
    assert [media.path.name for media in found.media] == [
        "a.mp4",
        "b.download",
        "c.m4b",
        "d.h264",
        "e.weba",
    ]
    assert not found.skipped


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.csv", b"P1 0.5,1\n" * 50),
        ("participants.tsv", b"P5 1 2\n" * 50),
        ("notes", "à voir\n".encode("latin-1") * 20),
        ("utf16.txt", "valence".encode("utf-16")),
        ("features.npz", b"PK\x03\x04" + bytes(500)),
        ("paper.pdf", b"%PDF-1.7" + bytes(500)),
        ("index.ts", b"export const a = 1;\n" * 30),
        ("empty", b""),
        ("zeros.bin", bytes(5000)),
    ],
)
def test_files_in_a_folder_that_are_not_media_are_skipped(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / "a.mp4").touch()
    (tmp_path / name).write_bytes(content)
    found = find_media([tmp_path])
    assert [media.path.name for media in found.media] == ["a.mp4"]
    assert found.skipped == {tmp_path / name: "not media"}


def test_dangling_links_fail_and_the_rest_is_found(tmp_path: Path) -> None:
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere.mp4")
    (tmp_path / "loop.mp4").symlink_to(tmp_path / "loop.mp4")
    (tmp_path / "good.mp4").touch()
    found = find_media([tmp_path])
    assert [media.path.name for media in found.media] == ["good.mp4"]
    assert {path.name for path in found.failed} == {"gone.mp4", "loop.mp4"}
    assert "nowhere.mp4, which does not exist" in str(found.failed[tmp_path / "gone.mp4"])
    assert "leads back to itself" in str(found.failed[tmp_path / "loop.mp4"])
    for name in ("gone.mp4", "loop.mp4"):
        with pytest.raises(InputError, match="is a link"):
            find_media([tmp_path / name])


def test_an_unreadable_folder_fails_and_the_rest_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "locked").mkdir()
    (tmp_path / "good.mp4").touch()
    scandir = os.scandir

    def refused(path: Path) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    found = find_media([tmp_path])
    assert [media.path.name for media in found.media] == ["good.mp4"]
    assert "cannot be listed (Permission denied)" in str(found.failed[tmp_path / "locked"])


def test_a_named_pipe_is_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "good.mp4").touch()
    assert list(find_media([tmp_path]).failed) == [tmp_path / "pipe.mp4"]
    with pytest.raises(InputError, match="neither a file nor a folder"):
        find_media([tmp_path / "pipe.mp4"])


def test_a_store_with_any_name_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "features" / "clip").mkdir(parents=True)
    (tmp_path / "features" / "zarr.json").touch()
    (tmp_path / "features" / "clip" / "chunk").write_bytes(bytes(100))
    (tmp_path / "a.mp4").touch()
    found = find_media([tmp_path])
    assert [media.path.name for media in found.media] == ["a.mp4"]
    assert not found.skipped


@pytest.mark.parametrize("name", ["P01:baseline.mp4", "file:x.mp4", "http:y.mp4", b"caf\xe9.mp4", "a%d.mp4"])
def test_files_with_unusual_names_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str | bytes
) -> None:
    path = Path(os.fsdecode(name))
    monkeypatch.chdir(tmp_path)
    clip = write_clip(tmp_path / "clip.mp4", Clip(steady(25, 0.2)))
    try:
        clip.rename(path)
    except OSError:
        pytest.skip("this file system does not support the name")
    (media,) = find_media([path]).media
    assert resolve_kind(media).kind == "video"
    with open_video(path) as video:
        assert len(list(video)) == 5
