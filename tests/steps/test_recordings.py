"""Recordings with their tables, from files, stores and tables of `va predict`."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from synth.faces import scene, somebody_else, write_video
from synth.overlays import table_at, write_table

from vacli.datasets.audio_augmentation import write_wav
from vacli.errors import InputError, UsageError
from vacli.output.frame_table import FrameTable
from vacli.output.provenance import write_sidecar
from vacli.output.writers import CsvWriter
from vacli.progress import RecordingProgress
from vacli.steps import align, extract_audio, extract_visual, predict_folder
from vacli.steps._batch import Batch
from vacli.steps._prediction_settings import PredictSettings
from vacli.steps._recordings import Recording, find_recordings


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A clip and a silent sound in `media`, their table and a store."""
    folder = tmp_path_factory.mktemp("recordings")
    media = folder / "media"
    media.mkdir()
    write_video(media / "clip.mp4", [scene((160, 120))] * 6)
    write_wav(media / "quiet.wav", np.zeros(16_000, np.float32))
    store = folder / "s.zarr"
    align.run(align.AlignSettings(inputs=(media / "clip.mp4",), store=store))
    extract_visual.run(extract_visual.ExtractVisualSettings(inputs=(store,), store=store, feature="compact"))
    extract_audio.run(extract_audio.ExtractAudioSettings(inputs=(store,), store=store))
    recordings, _ = found(media)
    with (folder / "va.csv").open("w") as stream:
        writer = CsvWriter(stream)
        for recording in recordings:
            for table in recording.load():
                writer.write(table)
    return folder


def found(
    *inputs: Path, face: str = "largest", given: str = "", progress: RecordingProgress | None = None
) -> tuple[list[Recording], Batch]:
    batch = Batch(Path("out"))
    settings = PredictSettings(inputs=inputs, face=face, given=frozenset(given.split()))
    return find_recordings(settings, batch, progress or RecordingProgress()), batch


def values(recording: Recording) -> np.ndarray:
    (table,) = recording.load()
    return np.stack([table.columns["valence"], table.columns["arousal"]], axis=1)


def test_media_have_their_files_and_tables(folder):
    recordings, batch = found(folder / "media")
    assert [recording.media for recording in recordings] == [
        folder / "media/clip.mp4",
        folder / "media/quiet.wav",
    ]
    assert [len(values(recording)) for recording in recordings] == [6, 25]
    assert not batch.failed


def test_a_table_gives_the_rows_that_were_predicted(folder):
    (clip, quiet), _ = found(folder / "va.csv")
    predicted, _ = found(folder / "media")
    assert (clip.name, clip.media) == (str(folder / "media/clip.mp4"), folder / "media/clip.mp4")
    np.testing.assert_allclose(values(clip), values(predicted[0]), atol=5e-5)
    assert len(values(quiet)) == 25


def test_a_table_finds_its_recording_beside_it(folder, tmp_path):
    text = (folder / "va.csv").read_text().replace(str(folder / "media"), "elsewhere")
    (tmp_path / "va.csv").write_text(text)
    shutil.copy(folder / "media/clip.mp4", tmp_path)
    (clip, quiet), _ = found(tmp_path / "va.csv")
    assert (clip.media, quiet.media) == (tmp_path / "clip.mp4", None)


def test_a_stored_video_has_the_file_that_it_was_made_from(folder):
    (clip,), batch = found(folder / "s.zarr")
    assert (clip.name, clip.media) == ("clip", folder / "media/clip.mp4")
    assert len(values(clip)) == 6
    assert not batch.failed


def test_an_output_folder_stands_for_its_tables(folder, tmp_path):
    out = tmp_path / "out"
    prediction = PredictSettings(inputs=(folder / "media",))
    predict_folder.run(
        predict_folder.PredictFolderSettings(prediction=prediction, folder=out, also=(".eaf",))
    )
    files = sorted(out.glob("*.csv"))
    assert [file.name for file in files] == [
        "clip.csv", "clip_curves.csv", "index.csv", "quiet.csv", "quiet_curves.csv",
    ]  # fmt: skip
    for inputs in ((out,), (out / "index.csv",), files):
        recordings, batch = found(*inputs)
        assert [recording.table for recording in recordings] == [out / "clip.csv", out / "quiet.csv"]
        assert [recording.media for recording in recordings] == [
            folder / "media/clip.mp4",
            folder / "media/quiet.wav",
        ]
        assert not batch.failed


def test_inputs_that_cannot_be_read_are_recorded_and_the_others_are_used(folder, tmp_path):
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    recordings, batch = found(folder / "va.csv", tmp_path / "other.csv", tmp_path / "absent.mp4")
    assert len(recordings) == 2
    assert [failure.name for failure in batch.failed] == [
        str(tmp_path / "absent.mp4"),
        str(tmp_path / "other.csv"),
    ]


def test_each_face_of_a_recording_has_a_table(tmp_path):
    write_video(
        tmp_path / "pair.mp4", [np.hstack([scene((160, 120)), scene((160, 120), somebody_else())])] * 6
    )
    (pair,), _ = found(tmp_path / "pair.mp4", face="all")
    tables: list[FrameTable] = pair.load()
    assert [set(table.columns["face_id"]) for table in tables] == [{0}, {1}]


TIMES_S = np.arange(10) / 10


@pytest.fixture
def three_faces(tmp_path) -> Path:
    """A recording with a small face, a large one on the right, which speaks little, and one that speaks."""
    speaks = [np.where(np.arange(10) < count, 1, 0) for count in (0, 2, 5)]
    boxes = [(300, 0, 10, 10), (200, 0, 60, 60), (20, 0, 50, 50)]
    tables = [
        table_at(TIMES_S, "a.mp4", number, box, speaking=speaking)
        for number, (box, speaking) in enumerate(zip(boxes, speaks, strict=True))
    ]
    return write_table(tmp_path / "va.csv", *tables, table_at(TIMES_S, "sound.wav", -1))


def face_ids(recording: Recording) -> list[int | None]:
    return [table.face_id for table in recording.load()]


@pytest.mark.parametrize(
    ("face", "expected"),
    [("largest", [1]), ("left", [2]), ("right", [1]), ("speaker", [2]), ("all", [1, 2, 0]), ("0", [0])],
)
def test_a_chosen_face_is_selected_from_a_table(three_faces, face, expected):
    (pair, sound), batch = found(three_faces, face=face, given="face")
    assert sorted(face_ids(pair)) == sorted(expected)
    if face == "0":
        with pytest.raises(InputError, match="face 0 was not found"):
            sound.load()
    else:
        assert face_ids(sound) == [None], "there is no face to choose"
    assert not batch.failed


def test_a_default_face_keeps_all_rows_of_a_table(three_faces):
    for face in ("largest", "all"):
        (pair, _), _ = found(three_faces, face=face)
        assert face_ids(pair) == [0, 1, 2]


def test_a_face_that_a_table_lacks_fails_its_recording(three_faces):
    (pair, _), _ = found(three_faces, face="7")
    with pytest.raises(InputError, match=r"a.mp4: face 7 was not found") as caught:
        pair.load()
    assert caught.value.hint == "these faces are there: 0, 1, 2"


@pytest.mark.parametrize(
    ("face", "columns", "absent"),
    [
        ("left", "time_s,valence,face_id,face_w,face_h", "face_x"),
        ("largest", "time_s,valence,face_id", "face_w, face_h"),
        ("speaker", "time_s,valence,face_id,face_w,face_h", "speaking"),
    ],
)
def test_a_table_without_the_columns_of_a_choice_is_refused(three_faces, tmp_path, face, columns, absent):
    names = columns.split(",")
    rows = [line.split(",") for line in three_faces.read_text().splitlines()]
    places = [rows[0].index(name) for name in names if name in rows[0]] + [rows[0].index("input")]
    few = tmp_path / "few.csv"
    few.write_text("".join(",".join(row[place] for place in places) + "\n" for row in rows))
    with pytest.raises(UsageError, match=f"--face {face}: .*few.csv has no column {absent}"):
        found(few, face=face, given="face")
    ((pair, _), _) = found(few, face="1", given="face")
    assert face_ids(pair) == [1]


def test_the_largest_face_is_used_with_a_warning_if_none_speaks(tmp_path):
    boxes = ((0, 0, 9, 9), (0, 0, 20, 20))
    tables = [table_at(TIMES_S, "a.mp4", number, box) for number, box in enumerate(boxes)]
    progress = RecordingProgress()
    table = write_table(tmp_path / "va.csv", *tables)
    ((pair,), _) = found(table, face="speaker", progress=progress)
    assert face_ids(pair) == [1]
    assert progress.warnings == [f"{table}: a.mp4: no face speaks; the largest face is used"]


def test_a_table_of_one_chosen_face_lacks_the_others(three_faces):
    made = {"settings": {"face": "largest"}, "inputs": [], "files": {}}
    for face, warned in (("speaker", True), ("largest", False)):
        for written in (made, {"inputs": [{"name": "old.csv", "provenance": made}], "files": {}}):
            write_sidecar(three_faces, written)
            progress = RecordingProgress()
            found(three_faces, face=face, given="face", progress=progress)
            assert any("was made with --face largest" in text for text in progress.warnings) == warned


def test_options_without_effect_are_named(three_faces, folder):
    table, store, media = three_faces, folder / "s.zarr", folder / "media/clip.mp4"
    for inputs, given, expected in (
        ((table,), "model device", f"--model, --device: no effect, because {table} has the predictions"),
        ((table,), "", ""),
        ((store,), "device weights", f"--weights: no effect, because {store} has the features"),
        ((store,), "face", f"--face largest is not used for {store}"),
        ((table, store), "backend model", f"--backend: no effect, because {table} and 1 more have the pred"),
        ((table, media), "backend", ""),
    ):
        progress = RecordingProgress()
        found(*inputs, given=given, progress=progress)
        warned = [text for text in progress.warnings if text.startswith("--")]
        assert [text[: len(expected)] for text in warned] == [expected] * bool(expected)
