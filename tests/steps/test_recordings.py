"""Recordings with their tables, from files, stores and tables of `va predict`."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from synth.faces import scene, somebody_else, write_video

from vacli.datasets.audio_augmentation import write_wav
from vacli.output.frame_table import FrameTable
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


def found(*inputs: Path, face: str = "largest") -> tuple[list[Recording], Batch]:
    batch = Batch(Path("out"))
    settings = PredictSettings(inputs=inputs, face=face)
    return find_recordings(settings, batch, RecordingProgress()), batch


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
