from __future__ import annotations

import numpy as np
import pytest
from synth.sounds import voice

from vacli.datasets.audio_augmentation import write_wav
from vacli.datasets.image_degradation import DEGRADATIONS
from vacli.errors import UsageError
from vacli.sequences.stored import stored_difficulty
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


@pytest.fixture
def ferplus(tmp_path):
    """Four faces, of which two are in the validation split; they are random grey levels."""
    path = tmp_path / "ferplus.npz"
    images = np.random.default_rng(0).integers(0, 256, (4, 48, 48)).astype(np.uint8)
    votes = np.tile(np.array([8, 2, 0, 0, 0, 0, 0, 0, 0, 0], np.uint8), (4, 1))
    np.savez(path, images=images, votes=votes, usage=np.array(["Training", "PublicTest"] * 2))
    return path


def test_degraded_faces_are_one_entry_for_each_condition(ferplus, tmp_path):
    settings = ImportCorpusSettings("ferplus", ferplus, tmp_path / "d.zarr", degraded=True)
    assert len(run(settings).done) == len(DEGRADATIONS)
    views = {view.id: view for view in Store.open(tmp_path / "d.zarr").videos()}
    assert set(views) == {f"ferplus-validation-{name}" for name in DEGRADATIONS}
    clear, blurred = views["ferplus-validation-noise"], views["ferplus-validation-strong-blur"]
    assert blurred.part_attrs("label")["condition"] == "strong-blur"
    assert blurred.part_attrs("label")["split"] == "validation"
    assert len(blurred.times_s) == 2
    assert (blurred.read("face/sharpness") < clear.read("face/sharpness")).all()
    assert len(run(settings).skipped) == len(DEGRADATIONS)


def test_a_picture_without_a_face_has_the_largest_difficulty(ferplus, tmp_path):
    run(ImportCorpusSettings("ferplus", ferplus, tmp_path / "f.zarr"))
    view = Store.open(tmp_path / "f.zarr").video("ferplus-train")
    assert not view.read("face/detected").any()
    assert stored_difficulty(view).tolist() == [1, 1]


def test_only_faces_can_be_degraded(emodb, tmp_path):
    with pytest.raises(UsageError, match="no images to degrade"):
        run(ImportCorpusSettings("emodb", emodb, tmp_path / "v.zarr", degraded=True))
