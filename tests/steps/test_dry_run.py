"""`--dry-run`: what would be done, and nothing is written."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from synth.face_stores import face_store
from synth.stores import add_video, empty, put_feature, put_labels

from vacli.cli.main import run as va
from vacli.datasets.audio_augmentation import write_wav
from vacli.steps import extract_audio

FRAMES = 40


@pytest.fixture
def store(tmp_path) -> Path:
    """Six labelled videos with a face and a sound feature; the last lacks the sound feature."""
    made = empty(tmp_path / "s.zarr")
    rng = np.random.default_rng(0)
    for number in range(6):
        name = f"v{number}"
        add_video(made, name, FRAMES)
        put_feature(made, name, "compact", rng.normal(size=(FRAMES, 128)))
        put_labels(made, name, rng.uniform(-1, 1, (FRAMES, 2)))
        for feature, dim in (("egemaps", 23), ("mfcc39", 39)) if number < 5 else ():
            put_feature(made, name, feature, rng.normal(size=(FRAMES, dim)))
    return made.path


def planned(capsys, folder: Path, *arguments: str) -> dict[str, str]:
    """The printed plan of a command that must change no file of `folder`."""
    before = _files(folder)
    assert va([*arguments, "--dry-run"]) == 0
    assert _files(folder) == before
    printed = capsys.readouterr()
    assert "nothing was written" in printed.err
    return dict(line.split("\t") for line in printed.out.splitlines())


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(p): (p.stat().st_mtime_ns, p.stat().st_size) for p in folder.rglob("*")}


def test_align_names_the_videos_and_creates_no_store(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "clip.mp4").write_bytes(b"\0" * 10)
    out = tmp_path / "new.zarr"
    plan = planned(capsys, tmp_path, "align", str(tmp_path / "in"), "-o", str(out))
    assert plan == {str(tmp_path / "in" / "clip.mp4"): "align"}
    assert not out.exists()


def test_extract_audio_lists_stored_and_absent_features(store, capsys):
    plan = planned(capsys, store, "extract-audio", str(store), "--feature", "mfcc39")
    actions = {Path(name).name: action for name, action in plan.items()}
    assert actions["v5"] == "extract mfcc39"
    assert all(actions[f"v{n}"].startswith("has it") for n in range(5))
    forced = planned(capsys, store, "extract-audio", str(store), "--feature", "mfcc39", "--force")
    assert set(forced.values()) == {"extract mfcc39"}


def test_a_recording_is_found_in_the_store_by_name_and_content(tmp_path, capsys):
    write_wav(tmp_path / "a.wav", np.full(16000, 0.1, np.float32))
    settings = extract_audio.ExtractAudioSettings(inputs=(tmp_path / "a.wav",), store=tmp_path / "s.zarr")
    extract_audio.run(settings)
    command = ("extract-audio", str(tmp_path / "a.wav"), "-o", str(tmp_path / "s.zarr"))
    (action,) = planned(capsys, tmp_path, *command).values()
    assert action.startswith("has it")
    write_wav(tmp_path / "a.wav", np.full(16000, 0.2, np.float32))
    (action,) = planned(capsys, tmp_path, *command).values()
    assert action == "extract egemaps, mfcc39, speech"


def test_extract_visual_of_videos_aligns_them_first(tmp_path, capsys):
    (tmp_path / "clip.mp4").write_bytes(b"\0" * 10)
    command = ("extract-visual", str(tmp_path / "clip.mp4"), "-o", str(tmp_path / "new.zarr"))
    assert planned(capsys, tmp_path, *command) == {str(tmp_path / "clip.mp4"): "align, then extract compact"}


@pytest.mark.torch
def test_train_names_the_models_with_their_videos(store, tmp_path, capsys):
    out = tmp_path / "run"
    command = ("train", str(store), "--folds", "2", "-o", str(out), "--preset", "compact")
    with pytest.raises(AssertionError):  # v5 lacks audio features
        planned(capsys, tmp_path, *command)
    assert "mfcc39" in capsys.readouterr().err
    for feature, dim in (("egemaps", 23), ("mfcc39", 39)):
        put_feature(empty(store), "v5", feature, np.zeros((FRAMES, dim)))
    plan = planned(capsys, tmp_path, *command)
    assert list(plan) == [str(out / "fold_1"), str(out / "fold_2")]
    assert all(text.startswith("train; 3 training videos (120 frames)") for text in plan.values())
    assert not out.exists()


@pytest.mark.torch
def test_crossval_names_the_folds(store, tmp_path, capsys):
    out = tmp_path / "run"
    command = ("crossval", str(store), "--folds", "3", "-o", str(out), "--encoder", "compact")
    plan = planned(capsys, tmp_path, *command)
    assert list(plan) == [str(out / f"fold_{n}") for n in (1, 2, 3)]
    assert set(plan.values()) == {"fine-tune compact, extract, train; 4 training videos, 2 held-out videos"}


@pytest.mark.torch
def test_ablate_names_the_models_of_its_rows(store, tmp_path, capsys):
    out = tmp_path / "ablation"
    command = ("ablate", str(store), "--row", "compact-audio", "--row", "mae-pretrained", "-o", str(out))
    for feature, dim in (("egemaps", 23), ("mfcc39", 39)):
        put_feature(empty(store), "v5", feature, np.zeros((FRAMES, dim)))
    plan = planned(capsys, tmp_path, *command, "--skip-missing")
    (trained,) = [name for name, action in plan.items() if action.startswith("train; ")]
    assert trained.startswith(str(out))
    assert list(plan.values())[-1] == "left out: the store lacks its features"
    assert not out.exists()


@pytest.mark.torch
def test_finetune_mae_names_the_number_of_frames(tmp_path, capsys):
    path = face_store(tmp_path / "faces.zarr").path
    command = ("finetune-mae", str(path), "-o", str(tmp_path / "run"), "--encoder", "compact")
    (action,) = planned(capsys, tmp_path, *command).values()
    assert re.fullmatch(r"fine-tune compact; \d+ training frames, \d+ validation frames", action)
    assert not (tmp_path / "run").exists()


def test_predict_names_the_recordings_and_writes_no_table(tmp_path, capsys):
    write_wav(tmp_path / "a.wav", np.zeros(16_000, np.float32))
    (tmp_path / "notes.txt").write_text("x")
    assert planned(capsys, tmp_path, "predict", str(tmp_path)) == {str(tmp_path / "a.wav"): "predict"}
    table = ("-o", str(tmp_path / "va.csv"))
    assert planned(capsys, tmp_path, "predict", str(tmp_path), *table) == {str(tmp_path / "a.wav"): "predict"}


def test_predict_of_a_store_names_its_videos(store, tmp_path, capsys):
    found = planned(capsys, tmp_path, "predict", str(store))
    assert found == {f"v{number}": "predict" for number in range(6)}


def test_predict_into_a_folder_tells_complete_tables_from_others(tmp_path, capsys):
    media, out = tmp_path / "in", tmp_path / "out"
    media.mkdir()
    for name in ("a", "b"):
        write_wav(media / f"{name}.wav", np.zeros(16_000, np.float32))
    assert va(["predict", str(media / "a.wav"), "-o", f"{out}/"]) == 0
    capsys.readouterr()
    found = planned(capsys, tmp_path, "predict", str(media), "-o", f"{out}/")
    assert found == {
        str(media / "a.wav"): "complete, skipped",
        str(media / "b.wav"): f"predict into {out / 'b.csv'}",
    }
    (out / "a.csv").write_text("changed\n")
    assert va(["predict", str(media), "-o", f"{out}/", "--dry-run"]) == 1
    assert f"refused: {out / 'a.csv'} was changed since it was made" in capsys.readouterr().out


def check_parts(capsys, folder: Path, *command: str) -> None:
    """The plans of three parts together are that of the whole, and each has its own inputs only."""
    whole = planned(capsys, folder, *command)
    parts = [planned(capsys, folder, *command, "--part", f"{number}/3") for number in (1, 2, 3)]
    assert sum(map(len, parts)) == len(whole) >= 6
    assert {name: action for part in parts for name, action in part.items()} == whole
    assert max(map(len, parts)) < len(whole)


def test_only_the_inputs_of_a_part_are_listed(store, tmp_path, capsys):
    media, out = tmp_path / "media", tmp_path / "out"
    media.mkdir()
    for number in range(8):
        (media / f"c{number}.mp4").write_bytes(b"\0" * 10)
    check_parts(capsys, tmp_path, "align", str(media), "-o", str(tmp_path / "n.zarr"))
    check_parts(capsys, tmp_path, "extract-visual", str(media), "-o", str(tmp_path / "n.zarr"))
    check_parts(capsys, tmp_path, "extract-audio", str(media), "-o", str(tmp_path / "n.zarr"))
    check_parts(capsys, tmp_path, "extract-visual", str(store))
    check_parts(capsys, tmp_path, "extract-audio", str(store))
    check_parts(capsys, tmp_path, "predict", str(media), "-o", f"{out}/")
    check_parts(capsys, tmp_path, "predict", str(store), "-o", f"{out}/")
