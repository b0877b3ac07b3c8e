"""From named paths to media."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from synth.clips import Clip, steady, write_clip

from vacli.errors import InputError
from vacli.media.inputs import MediaInput, find_media, pictures_of


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Videos in two batches, crops beside them, sound, a picture, and what is none of these."""
    root = tmp_path / "aff"
    for name in (
        "batch1/a.MP4",
        "batch2/b.avi",
        "batch2/._b.avi",
        ".hidden/c.mp4",
        "sound/v.wav",
        "notes.txt",
        "face.jpg",
        "s.zarr/0/x.mp4",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    for trial in ("a", "b_left"):
        (root / "cropped_aligned" / trial).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(root / "cropped_aligned" / trial / "00007.jpg")
    return root


def test_a_folder_is_walked_to_the_bottom(corpus: Path) -> None:
    found = find_media([corpus])
    assert [(media.path.relative_to(corpus).as_posix(), media.kind, media.name) for media in found] == [
        ("batch1/a.MP4", "video", "a"),
        ("batch2/b.avi", "video", "b"),
        ("cropped_aligned/a", "crops", "a"),
        ("cropped_aligned/b_left", "crops", "b_left"),
        ("face.jpg", "image", "face"),
        ("sound/v.wav", "sound", "v"),
    ]


def test_each_thing_comes_once_and_in_order(corpus: Path) -> None:
    (corpus / "link.mp4").symlink_to(corpus / "batch1" / "a.MP4")
    (corpus / "loop").symlink_to(corpus)
    twice = find_media([corpus / "sound" / "v.wav", corpus / "batch1" / ".." / "batch2", corpus])
    assert len({media.path.resolve() for media in twice}) == len(twice) == 6
    assert twice == sorted(twice)


def test_a_named_file_is_what_its_suffix_says(corpus: Path) -> None:
    assert find_media([corpus / "batch1" / "a.MP4"]) == [MediaInput(corpus / "batch1" / "a.MP4", "video")]
    assert find_media([corpus / ".hidden" / "c.mp4"])[0].kind == "video"


def test_a_named_file_without_a_known_suffix_is_what_it_holds(tmp_path: Path) -> None:
    video = write_clip(tmp_path / "clip.mp4", Clip(steady(25, 0.2))).rename(tmp_path / "clip.download")
    sound = write_clip(tmp_path / "v.wav", Clip(sound_spans=((0, 1),), sound_codec="pcm_s16le"))
    sound = sound.rename(tmp_path / "voice")
    assert [media.kind for media in find_media([video, sound])] == ["video", "sound"]


def test_names_keep_their_dots(tmp_path: Path) -> None:
    path = tmp_path / "122-60-1920x1080.3.mp4"
    path.touch()
    assert find_media([path])[0].name == "122-60-1920x1080.3"


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        find_media([tmp_path / "gone.mp4"])


def test_a_folder_with_nothing_usable(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    (tmp_path / ".clip.mp4").touch()
    with pytest.raises(InputError, match="holds nothing that could be read"):
        find_media([tmp_path])


def test_a_named_text_file(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("valence,arousal\n" * 50)
    with pytest.raises(InputError, match="cannot be read as audio or video"):
        find_media([tmp_path / "labels.csv"])


def test_numbered_pictures_can_be_taken_for_themselves(tmp_path: Path) -> None:
    for name in ("00001.jpg", "00003.jpg", "notes.txt"):
        (tmp_path / name).touch()
    (folder,) = find_media([tmp_path])
    assert folder.kind == "crops"
    assert [m.name for m in pictures_of(folder)] == ["00001", "00003"]
    assert {m.kind for m in pictures_of(folder)} == {"image"}
    assert pictures_of(MediaInput(tmp_path / "a.mp4", "video")) == [MediaInput(tmp_path / "a.mp4", "video")]
