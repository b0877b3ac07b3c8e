"""An exported model is a smaller copy of a run; the run is not changed."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from vacli.errors import RunError, UsageError
from vacli.features.encoder_run import EncoderRun
from vacli.files.run_directory import CALIBRATION_FILE, DATA_FILE, FEATURES_FILE, RECIPE_FILE
from vacli.recipe import io as recipe_io
from vacli.recipe import presets
from vacli.recipe.io import to_json
from vacli.steps.export_model import KEPT, ExportSettings, run

TENSORS = {"net": np.float32([1, 0.5]), "steps": np.int64([7])}


def trained_as(preset, folder):
    for member in ("fold_1", "fold_2"):
        (folder / member).mkdir(parents=True)
        for name in KEPT:
            (folder / member / name).write_text(name)
        (folder / member / RECIPE_FILE).write_text(to_json(presets.preset(preset)))
        long = {name: dict.fromkeys("abc") for name in ("subjects", "sha256", "labels")}
        videos = {"train": {"a": 9, "b": 9}, "validation": {"c": 7}, **long}
        (folder / member / DATA_FILE).write_text(json.dumps({"store": "s.zarr", **videos}))
        features = {"compact": {"version": "1", "weights_files": {"weights": "/home/somebody/face"}}}
        (folder / member / FEATURES_FILE).write_text(json.dumps(features))
        save_file(TENSORS, folder / member / "weights.safetensors")
        (folder / member / "last.safetensors").write_text("to resume from")
    return folder


@pytest.fixture
def trained(tmp_path):
    return trained_as("compact", tmp_path / "runs" / "compact")


def test_folds_are_exported_in_half_precision(tmp_path, trained):
    made = run(ExportSettings(trained, tmp_path / "package"))
    assert made == tmp_path / "package" / "compact"
    for member in ("fold_1", "fold_2"):
        files = {*KEPT, "files.json", "weights.safetensors"}
        assert {p.name for p in (made / member).iterdir()} == files
        kept = load_file(made / member / "weights.safetensors")
        assert (kept["net"].dtype, kept["steps"].dtype) == (np.float16, np.int64)
        about = json.loads((made / member / DATA_FILE).read_text())
        assert about == {"store": "s.zarr", "validation": {"c": 7}, "folds": 2}
        assert json.loads((made / member / FEATURES_FILE).read_text()) == {"compact": {"version": "1"}}
    assert [p.name for p in made.parent.iterdir()] == ["compact"]


@pytest.mark.parametrize("folds", [None, 3])
def test_a_run_without_a_fold_raises(tmp_path, trained, folds):
    lost = "fold_1" if folds is None else "fold_3"
    if folds is None:
        shutil.rmtree(trained / lost)
    else:
        (trained / "fold_2" / DATA_FILE).write_text(json.dumps({"folds": folds}))
    with pytest.raises(RunError, match=f"lacks {lost}"):
        run(ExportSettings(trained, tmp_path / "package"))
    assert not (tmp_path / "package").exists()


@pytest.mark.torch
def test_a_fine_tuned_face_network_becomes_onnx(tmp_path):
    from safetensors.torch import save_file as save_tensors

    from vacli.features.compact.extractor import Compact
    from vacli.features.compact.network import CompactFace

    folder = tmp_path / "face"
    folder.mkdir()
    EncoderRun(encoder="compact", objective="va").write(folder)
    save_tensors(CompactFace().state_dict(), folder / "weights.safetensors")
    path = run(ExportSettings(folder, tmp_path))
    assert path == tmp_path / "compact-face.onnx"
    crops = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), dtype=np.uint8)
    np.testing.assert_allclose(Compact(path).extract(crops), Compact(folder).extract(crops), atol=0.01)


def test_a_run_is_not_replaced_by_its_export(trained):
    with pytest.raises(UsageError, match="the run to export"):
        run(ExportSettings(trained, trained.parent))
    assert (trained / "fold_2" / "last.safetensors").is_file()


def test_an_incomplete_run_keeps_the_previous_export(tmp_path, trained):
    made = run(ExportSettings(trained, tmp_path / "package"))
    (trained / "fold_2" / KEPT[-1]).unlink()
    with pytest.raises(RunError, match="has no"):
        run(ExportSettings(trained, tmp_path / "package"))
    assert (made / "fold_2" / KEPT[-1]).is_file()


def test_the_calibration_is_exported(tmp_path, trained):
    (trained / CALIBRATION_FILE).write_text("{}")
    assert (run(ExportSettings(trained, tmp_path / "package")) / CALIBRATION_FILE).is_file()


def test_a_run_with_other_audio_features_raises(tmp_path):
    other = trained_as("compact-audio", tmp_path / "runs" / "a")
    recipe = recipe_io.set_values(
        presets.preset("compact-audio"), ["model.streams.audio.features=['vggish']"]
    )
    (other / "fold_1" / RECIPE_FILE).write_text(to_json(recipe))
    with pytest.raises(RunError, match="other audio features"):
        run(ExportSettings(other, tmp_path / "package"))


def test_an_audio_run_is_exported_beside_the_audiovisual_one(tmp_path, trained):
    package = tmp_path / "package"
    both = (
        run(ExportSettings(trained, package)),
        run(ExportSettings(trained_as("compact-audio", tmp_path / "runs" / "a"), package)),
    )
    assert [made.name for made in both] == ["compact", "compact-audio"]
    assert all((made / "fold_2" / "weights.safetensors").is_file() for made in both)
