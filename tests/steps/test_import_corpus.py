from __future__ import annotations

import numpy as np
import pytest
from synth.sounds import voice

from vacli.datasets.audio_augmentation import write_wav
from vacli.errors import UsageError
from vacli.steps.import_corpus import ImportCorpusSettings, run
from vacli.store import Store


@pytest.fixture
def emodb(tmp_path):
    folder = tmp_path / "emodb"
    folder.mkdir()
    for number, name in enumerate(("03a01Wa", "08b02Fa")):
        write_wav(folder / f"{name}.wav", voice(1, seed=number))
    return folder


def test_augmented_copies_keep_speaker_and_label(emodb, tmp_path):
    settings = ImportCorpusSettings(
        "emodb", emodb, tmp_path / "v.zarr", augment_copies=2, augmented_dir=tmp_path / "augmented"
    )
    assert len(run(settings).done) == 6
    views = {view.id: view for view in Store.open(tmp_path / "v.zarr").videos()}
    original, copy = views["emodb-03-03a01Wa"], views["emodb-03-03a01Wa_1"]
    for view in (original, copy):
        assert view.part_attrs("label")["subject"] == "emodb-03"
        assert view.read("label/arousal")[0] == np.float32(0.70)
    assert (tmp_path / "augmented" / "03a01Wa_2.wav").is_file()
    assert len(run(settings).skipped) == 6


def test_the_same_seed_gives_the_same_copies(emodb, tmp_path):
    files = []
    for name in ("a", "b"):
        run(
            ImportCorpusSettings(
                "emodb", emodb, tmp_path / f"{name}.zarr", augment_copies=1, augmented_dir=tmp_path / name
            )
        )
        files.append((tmp_path / name / "03a01Wa_1.wav").read_bytes())
    assert files[0] == files[1]


def test_augmented_copies_need_a_folder(emodb, tmp_path):
    with pytest.raises(UsageError, match="need a folder"):
        run(ImportCorpusSettings("emodb", emodb, tmp_path / "v.zarr", augment_copies=1))


def test_backgrounds_are_created_without_a_speaker(tmp_path):
    batch = run(ImportCorpusSettings("background", tmp_path / "quiet", tmp_path / "v.zarr", augment_copies=3))
    assert len(batch.done) == 3
    view = Store.open(tmp_path / "v.zarr").videos()[0]
    attributes = view.part_attrs("label")
    assert (attributes["subject"], attributes["speech"]) == ("", False)
    assert not view.read("label/valence").any()
