"""What an installation without extras can do, and what it says of the rest."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
from synth.faces import portrait
from synth.without import Answer, va

from vacli.inference.run import BUNDLED, BUNDLED_AUDIO

TRAIN = "which is not installed; pip install 'vacli[train]'"
PREDICT = (
    "predict demo.mp4 --model compact --json",
    "predict portrait.png --images",
    "predict demo.zarr",
    "predict demo.zarr --model compact-audio",
)
WORKS = (
    "evaluate demo.csv --store demo.zarr --figures figures",
    "evaluate demo.csv --labels labels",
    "evaluate compact-audio --store demo.zarr --split all",
    "submit demo.csv --frame-list official.txt -o sent.txt",
    "calibrate own demo.zarr demo.zarr",
    "extract-audio demo.mp4 -o sound.zarr --feature egemaps-functionals",
    "presets",
    "presets bdca",
)
NEEDS = {
    "train demo.zarr": f"this command needs torch, {TRAIN}",
    "finetune-mae demo.zarr -o runs/mae": f"this command needs torch, {TRAIN}",
    "ablate demo.zarr": f"this command needs torch, {TRAIN}",
    "bundled-model export transformer -o made": f"this command needs torch, {TRAIN}",
    "extract-visual demo.zarr --feature mae-vit-l": f"the feature mae-vit-l needs torch, {TRAIN}",
    "extract-visual demo.zarr --feature resnet50": f"the feature resnet50 needs torch, {TRAIN}",
    "extract-visual demo.zarr --feature vit_base_patch16_224": f"vit_base_patch16_224 needs torch, {TRAIN}",
    "extract-visual demo.zarr --device cuda --force": f"--device cuda needs torch, {TRAIN}",
    "extract-audio demo.zarr --feature vggish": f"the feature vggish needs torch, {TRAIN}",
    "predict demo.mp4 --device cuda": f"--device cuda needs torch, {TRAIN}",
    "predict demo.mp4 --model transformer": f"the run transformer needs torch, {TRAIN}",
    "evaluate transformer --store demo.zarr": f"the run transformer needs torch, {TRAIN}",
    "predict demo.mp4 --backend decord": "--backend decord needs decord, which is not installed; pip install",
    "align demo.mp4 -o x.zarr --backend decord": "pip install 'vacli[decord]', or leave it out",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """What `va demo` leaves (a clip, a store with its features, a table), labels, a picture and runs."""
    place = tmp_path_factory.mktemp("without")
    (place / "labels").mkdir()
    rows = [f"{0.04 * row:.2f},{0.1 - 0.004 * row:.3f},{0.003 * row:.3f}" for row in range(150)]
    (place / "labels" / "demo.csv").write_text("\n".join(["time_s,valence,arousal", *rows, ""]))
    lines = [f"demo/{frame:05d}.jpg,-5,-5" for frame in range(1, 151)]
    (place / "official.txt").write_text("\n".join(["image_location,valence,arousal", *lines, ""]))
    Image.fromarray(portrait()).save(place / "portrait.png")
    for name in ("compact", "own"):
        shutil.copytree(BUNDLED, place / name)
    shutil.copytree(BUNDLED_AUDIO, place / "compact-audio")
    another = shutil.ignore_patterns("files.json")  # whose digests are of the recipe as it was
    shutil.copytree(BUNDLED / "fold_1", place / "transformer", ignore=another)
    recipe = json.loads((place / "transformer" / "recipe.json").read_text())
    recipe["model"]["temporal"] = {"kind": "transformer", "n_layers": 1, "d_model": 16, "n_heads": 2}
    (place / "transformer" / "recipe.json").write_text(json.dumps(recipe))
    return place


@pytest.fixture(scope="module")
def light(folder) -> dict[str, Answer]:
    """The answers to all commands where nothing but `pip install .` was done."""
    return va(["demo -o .", "import-labels labels demo.zarr", *PREDICT, *WORKS, *NEEDS], folder)


def test_the_demo_runs_every_step(light, folder):
    assert light["demo -o ."].code == 0, light["demo -o ."].err
    assert light["import-labels labels demo.zarr"].code == 0
    assert (folder / "demo.png").stat().st_size > 10_000
    assert len((folder / "demo.csv").read_text().splitlines()) == 151


@pytest.fixture(scope="module")
def full(light, folder) -> dict[str, Answer]:
    """The answers of `va predict` where everything is installed."""
    pytest.importorskip("torch")
    return va(PREDICT, folder, hidden=())


@pytest.mark.parametrize("line", PREDICT)
def test_predict_gives_the_same_numbers_with_and_without_torch(line, light, full):
    assert light[line].code == full[line].code == 0, light[line].err
    assert light[line].out == full[line].out
    assert light[line].out.count("\n") >= (2 if "portrait" in line else 150)


@pytest.mark.parametrize("line", WORKS)
def test_commands_other_than_training_work(line, light):
    assert light[line].code == 0, light[line].err
    assert light[line].out


@pytest.mark.parametrize("line", NEEDS)
def test_commands_that_need_an_extra_name_it_in_one_line(line, light):
    answer = light[line]
    assert (answer.code, answer.out) == (1, "")
    (said,) = answer.err.splitlines()
    assert said.startswith("va: ")
    assert NEEDS[line] in said


def test_with_torch_but_without_timm_the_error_names_timm(light, folder):
    pytest.importorskip("torch")
    (answer,) = va(["extract-visual demo.zarr --feature resnet50"], folder, hidden=("timm",)).values()
    assert answer == (1, "", f"va: the feature resnet50 needs timm, {TRAIN}\n")
