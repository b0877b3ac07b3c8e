"""README's block that reproduces the papers runs word for word on a small synthetic Aff-Wild2."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from synth import affwild2_folders
from synth.affwild2_folders import COPIED, EXTRA_CROP, LONGER, SHORTER, UNLABELLED_END, Folders

from vacli.cli.main import run
from vacli.datasets.annotations import ANNOTATED, FROM_EXPRESSION, INTERPOLATED, OUTSIDE
from vacli.features.flags import ENCODER_TRAINING, MISSING
from vacli.steps.ablate import ROWS
from vacli.store import Store

pytestmark = pytest.mark.torch

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("### Reproduce the papers on Aff-Wild2")[2].partition("\n## ")[0]
PER_VIDEO, FOLDS = 4, 5
TRAINING = ("--set", "training.epochs=1", "--set", "window={length_frames=80, stride_frames=60}")
SMALL = {  # options that are added to the words of a command
    "finetune-mae": ("--epochs", "1", "--max-frames-per-video", str(PER_VIDEO), "--device", "cpu"),
    "extract-visual": ("--device", "cpu"),
    "extract-audio": ("--device", "cpu"),
    "train": (*TRAINING, "--device", "cpu"),
    "ablate": (*TRAINING, "--device", "cpu"),
    "evaluate": ("--device", "cpu"),
    "predict": ("--device", "cpu"),
}
PREDICTED = "6-30-1280x720"  # a trial of the validation set, which no model was trained on


@dataclass(frozen=True)
class Output:
    """The exit code and the text that a command has written."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Reproduction:
    """The written folders, and the output of each command by its name."""

    root: Path
    folders: Folders
    outputs: dict[str, Output] = field(default_factory=dict)

    @property
    def store(self) -> Store:
        return Store.open(self.root / "aw2.zarr")

    def fold(self, number: int) -> Path:
        """The run directory of a fold."""
        return self.root / "runs" / "lightmamba" / f"fold_{number}"

    def data(self, fold: int) -> dict:
        """data.json of a fold."""
        return json.loads((self.fold(fold) / "data.json").read_text())


def block() -> list[list[str]]:
    """The words of each line of the section's shell block."""
    code = re.search(r"```sh\n(.*?)```", SECTION, re.DOTALL)[1]
    return [shlex.split(line) for line in code.splitlines()]


def va(*words: str) -> Output:
    """Run `va` in this process with these words and the options for small networks."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", stdout)
        patch.setattr(sys, "stderr", stderr)
        code = run([*words, *SMALL.get(words[0], ())])
    return Output(code, stdout.getvalue(), stderr.getvalue())


@pytest.fixture(scope="module")
def small_networks(tmp_path_factory):
    """A folder to work in, small networks of the same names, and no network connection."""
    from synth import small_encoders

    root = tmp_path_factory.mktemp("reproduction")
    with pytest.MonkeyPatch.context() as patch:
        small_encoders.install_vit(patch, root / "hub")
        small_encoders.install_vggish(patch, root / "torch")
        small_encoders.shrink_presets(patch)
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.chdir(root)
        yield root


@pytest.fixture(scope="module")
def reproduction(small_networks):
    """The block after its last line; fails at the first line that does not exit with 0."""
    done = Reproduction(small_networks, affwild2_folders.write(small_networks))
    for program, command, *words in block():
        assert program == "va"
        output = done.outputs[command] = va(command, *words)
        assert output.code == 0, f"{command}: {output.stderr}"
    return done


def test_the_block_has_the_papers_steps():
    assert [words[1] for words in block()] == [
        "align",
        "import-labels",
        "finetune-mae",
        "extract-visual",
        "extract-audio",
        "train",
        "evaluate",
    ]


def test_every_trial_has_the_frames_of_its_video(reproduction):
    store, frames = reproduction.store, reproduction.folders.frames
    assert {video: len(store.video(video).times_s) for video in store.video_ids()} == frames
    assert store.video(COPIED).source["name"] == f"{COPIED}.mp4"


def test_every_crop_is_a_face_and_every_gap_is_not(reproduction):
    store = reproduction.store
    detected = {video: int(store.video(video).read("face/detected").sum()) for video in store.video_ids()}
    assert detected == reproduction.folders.crops
    assert all(detected[video] < reproduction.folders.frames[video] for video in detected)


def test_all_trials_have_labels_of_the_official_split(reproduction):
    store, trials = reproduction.store, reproduction.folders.trials
    splits = {video: store.video(video).part_attrs("label")["split"] for video in store.video_ids()}
    assert splits == {trial.name: trial.split for trial in trials}
    assert "3 annotations differ by one row" in reproduction.outputs["import-labels"].stderr
    for trial in trials:
        view = reproduction.store.video(trial.name)
        rows = min(len(trial.labels), len(view.times_s))
        annotated = np.flatnonzero(view.read("label/source") == ANNOTATED)
        assert annotated.tolist() == np.flatnonzero(np.isfinite(trial.labels[:rows, 0])).tolist()
        np.testing.assert_allclose(view.labels()[annotated], trial.labels[annotated], atol=5.1e-4)


def test_training_labels_are_filled_and_validation_labels_are_not(reproduction):
    sources = {
        t.name: reproduction.store.video(t.name).read("label/source") for t in reproduction.folders.trials
    }
    filled = {name: np.isin(s, (INTERPOLATED, FROM_EXPRESSION)).sum() for name, s in sources.items()}
    assert {t.name: bool(filled[t.name]) for t in reproduction.folders.trials} == {
        t.name: t.split == "train" for t in reproduction.folders.trials
    }
    assert (sources[UNLABELLED_END][-affwild2_folders.TAIL :] == FROM_EXPRESSION).all()
    outside = {name for name, s in sources.items() if (s == OUTSIDE).any()}
    assert outside == {SHORTER, EXTRA_CROP}
    assert len(sources[LONGER]) == reproduction.folders.frames[LONGER]


def test_features_have_a_row_for_each_frame(reproduction):
    for video in reproduction.store.video_ids():
        view = reproduction.store.video(video)
        assert set(view.feature_names()) == {"mae-vit-l", "vggish", "egemaps", "mfcc39"}
        values, flags = view.feature("mae-vit-l")
        assert values.shape == (reproduction.folders.frames[video], 1024)
        missing = (flags & MISSING) > 0
        assert np.array_equal(missing, ~view.read("face/detected"))
        assert np.array_equal(missing, np.isnan(values).any(axis=1))


def test_frames_that_trained_the_encoder_are_marked_in_training_trials_only(reproduction):
    marked = {
        t.name: int(((reproduction.store.video(t.name).feature("mae-vit-l")[1] & ENCODER_TRAINING) > 0).sum())
        for t in reproduction.folders.trials
    }
    assert marked == {t.name: PER_VIDEO if t.split == "train" else 0 for t in reproduction.folders.trials}


@pytest.mark.parametrize("fold", range(1, FOLDS + 1))
def test_a_fold_is_held_out_by_video_without_the_encoders_frames(reproduction, fold):
    data = reproduction.data(fold)
    assert (data["basis"], data["folds"]) == ("video", FOLDS)
    assert set(data["subjects"].values()) == {None}
    assert data["excluded_frames"] == PER_VIDEO * len(data["train"])
    card = (reproduction.fold(fold) / "card.md").read_text()
    for sentence in (
        "Held out by video",
        "left out: they trained the encoder",
        "The encoder was fine-tuned on",
    ):
        assert any(sentence in note for note in data["notes"])
        assert sentence in card


def test_two_people_of_one_video_are_held_out_together(reproduction):
    held_out = [set(reproduction.data(fold)["validation"]) for fold in range(1, FOLDS + 1)]
    trained = {t.name for t in reproduction.folders.trials if t.split == "train"}
    assert sorted(name for fold in held_out for name in fold) == sorted(trained)
    for pair in ({"video59", "video59_right"}, {"duo_left", "duo_right"}):
        assert [fold & pair for fold in held_out if fold & pair] == [pair]


def test_only_annotated_frames_are_scored(reproduction):
    annotated = reproduction.folders.annotated("train")
    printed = dict(
        re.findall(
            r"^lightmamba, fold (\d) +\d+ +(\d+) ", reproduction.outputs["evaluate"].stdout, re.MULTILINE
        )
    )
    assert printed == {
        str(fold): str(sum(annotated[video] for video in reproduction.data(fold)["validation"]))
        for fold in range(1, FOLDS + 1)
    }


def test_the_papers_table_has_a_column_with_our_folds(reproduction):
    text = reproduction.outputs["evaluate"].stdout
    table = text.partition("lightmamba, table I: ")[2].partition("\n\n")[0]
    for fold in range(1, FOLDS + 1):
        assert re.search(rf"^Fold {fold} .* lightmamba, fold {fold} +-?\d\.\d{{3}} ", table, re.MULTILINE)
    assert re.search(r"^Mean of folds .* lightmamba, mean of 5 folds +-?\d\.\d{3} ", table, re.MULTILINE)
    assert "Held out by video" in text
    assert "The encoder was fine-tuned on the video of 2 of 2 held-out videos" in text


def test_the_run_predicts_a_row_for_each_frame_of_a_video(reproduction):
    (path,) = reproduction.root.glob(f"videos/*/{PREDICTED}.mp4")
    output = va("predict", str(path), "--model", "runs/lightmamba", "--weights", "mae-vit-l=runs/mae")
    assert output.code == 0, output.stderr
    rows = list(csv.DictReader(output.stdout.splitlines()))
    assert len(rows) == reproduction.folders.frames[PREDICTED]
    assert {row["modality"] for row in rows} == {"audiovisual"}
    assert all(-1 <= float(row[name]) <= 1 for row in rows for name in ("valence", "arousal"))


def test_the_ablations_name_missing_features_and_train_the_other_rows(reproduction):
    assert "`va ablate aw2.zarr`" in SECTION
    assert "`--skip-missing`" in SECTION
    refused = va("ablate", "aw2.zarr")
    assert (refused.code, (reproduction.root / "runs/ablation").exists()) == (1, False)
    pretrained = "va extract-visual aw2.zarr --feature mae-vit-l --tag pretrained"
    for command in (pretrained, "va extract-visual aw2.zarr --feature resnet50"):
        assert f"`{command}`" in refused.stderr
    assert va(*shlex.split(pretrained)[1:]).code == 0
    output = va("ablate", "aw2.zarr", "--skip-missing")
    assert output.code == 0, output.stderr
    rows = json.loads((reproduction.root / "runs/ablation/ablation.json").read_text())
    assert [row["preset"] for row in rows] == [row.preset for row in ROWS if row.preset != "baseline"]
    assert "Baseline: left out, because the store lacks its features." in output.stdout
