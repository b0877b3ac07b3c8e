"""`va info`: contents, missing parts with their commands, and damage, for each kind of input."""

from __future__ import annotations

import json
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from synth.clips import Clip, steady, uneven, write_clip
from synth.faces import scene, write_video
from synth.frame_tables import N_FRAMES, frame_table
from synth.stores import add_video, empty, put_feature, put_labels

from vacli.cli.main import run as va
from vacli.errors import InputError, StoreError
from vacli.inference.run import BUNDLED
from vacli.output.formats import TableOptions, write_file
from vacli.output.index_table import IndexEntry, index_lines
from vacli.steps import align
from vacli.steps.info import Info, InfoSettings, run
from vacli.store import VideoView

FRAMES = 50


def info(path: Path, **chosen: bool) -> Info:
    return run(InfoSettings(path, **chosen))


def commands(found: Info) -> dict[str, str]:
    return {missing.command: missing.description for missing in found.missing}


@pytest.fixture
def store(tmp_path) -> Path:
    """Two videos; the second has no labels and lacks one feature."""
    path = tmp_path / "s.zarr"
    made = empty(path)
    for name in ("one", "two"):
        add_video(made, name, FRAMES)
        put_feature(made, name, "mfcc39", np.ones((FRAMES, 39)))
    put_feature(made, "one", "mae-vit-l@pretrained", np.ones((FRAMES, 4)))
    put_labels(made, "one", np.zeros((FRAMES, 2)), split="train")
    return path


def test_a_store_is_described_with_its_features_and_labels(store):
    found = info(store)
    assert found.kind == "store"
    assert found.values["videos"] == 2
    assert found.values["frames"] == 2 * FRAMES
    assert found.values["duration_s"] == pytest.approx(2 * FRAMES / 25)
    assert found.values["labelled_videos"] == 1
    assert found.values["splits"] == {"train": 1}
    features = {row["feature"]: row for row in found.tables["features"]}
    assert features["mfcc39"] | {"settings": ""} == {
        "feature": "mfcc39",
        "modality": "audio",
        "values": 39,
        "videos": 2,
        "version": "1",
        "settings": "",
        "variants": None,
    }
    size = sum(file.stat().st_size for file in store.rglob("*") if file.is_file())
    assert found.values["size_bytes"] == size
    assert found.problems == []


def test_the_command_for_each_missing_part_is_named(store):
    found = commands(info(store))
    assert found[f"va align VIDEOS -o {store}"] == "faces in all videos (one, two)"
    assert found[f"va import-labels ANNOTATIONS {store}"] == "labels in 1 of 2 videos (two)"
    tagged = f"va extract-visual {store} --feature mae-vit-l --tag pretrained"
    assert found[tagged] == "the feature mae-vit-l@pretrained in 1 of 2 videos (two)"
    assert f"va import-labels ANNOTATIONS {store} --subjects people.csv" in found
    assert not any("mfcc39" in command for command in found)


def test_a_path_with_a_space_is_quoted_in_commands(tmp_path):
    empty(tmp_path / "my store.zarr")
    (missing,) = info(tmp_path / "my store.zarr").missing
    assert missing.command == f"va align VIDEOS -o '{tmp_path}/my store.zarr'"


def test_damaged_metadata_of_a_video_is_a_problem_and_the_others_are_described(store):
    (store / "one" / "feature" / "mfcc39" / "zarr.json").write_text("{}")
    found = info(store)
    assert len(found.problems) == 1
    assert "one/feature/mfcc39" in found.problems[0]
    assert found.values["frames"] == 2 * FRAMES


def test_changed_data_are_found_with_check_only(store):
    (chunk,) = (file for file in (store / "two" / "feature" / "mfcc39" / "c").rglob("*") if file.is_file())
    data = bytearray(chunk.read_bytes())
    data[7] ^= 1
    chunk.write_bytes(bytes(data))
    assert info(store).problems == []
    (problem,) = info(store, check=True).problems
    assert "two/feature/mfcc39" in problem
    assert va(["info", str(store)]) == 0
    assert va(["info", str(store), "--check"]) == 1


LOST = ("feature/mfcc39", "flag/mfcc39", "label/valence", "label/source", "face/crop", "face/detected")


@pytest.fixture
def whole_store(tmp_path) -> Path:
    """A store with a face, labels and sources, in which no chunk is one of fill values only."""
    path = tmp_path / "whole.zarr"
    made = empty(path)
    add_video(made, "one", FRAMES)
    with made.stage("one", "face", {"settings": {}}) as part:
        part.append("detected", np.ones(FRAMES, bool))
        part.append_images("crop", [b"crop"] * FRAMES)
    put_feature(made, "one", "mfcc39", np.ones((FRAMES, 39)), np.full(FRAMES, 4, np.uint8))
    with made.stage("one", "label", {"split": ""}) as part:
        part.append("valence", np.zeros(FRAMES, np.float32))
        part.append("arousal", np.zeros(FRAMES, np.float32))
        part.append("source", np.ones(FRAMES, np.uint8))
    return path


@pytest.mark.parametrize("array", LOST)
def test_data_of_which_all_files_are_gone_are_found(array, whole_store, capsys):
    assert info(whole_store, check=True).problems == []
    shutil.rmtree(whole_store / "one" / array / "c")
    (problem,) = info(whole_store, check=True).problems
    assert f"one/{array}/c/0" in problem
    assert "is missing; run" in problem
    assert va(["info", str(whole_store), "--check"]) == 1
    assert f"one/{array}/c/0" in capsys.readouterr().out


def test_every_damaged_array_is_named(whole_store):
    for array in LOST:
        shutil.rmtree(whole_store / "one" / array / "c")
    problems = info(whole_store, check=True).problems
    assert len(problems) == len(LOST)
    assert all(any(array in problem for problem in problems) for array in LOST)


def test_an_array_with_damaged_metadata_and_without_data_is_found(whole_store):
    shutil.rmtree(whole_store / "one" / "label" / "valence" / "c")
    (whole_store / "one" / "label" / "valence" / "zarr.json").write_text("{")
    (problem,) = info(whole_store, check=True).problems
    assert "label/valence" in problem


def test_arrays_without_a_frame_or_of_fill_values_only_are_whole(tmp_path):
    made = empty(tmp_path / "s.zarr")
    for video, frames in (("none", 0), ("some", FRAMES)):
        add_video(made, video, frames)
        with made.stage(video, "face", {"settings": {}}) as part:
            part.append("detected", np.zeros(frames, bool))
            part.append_images("crop", [None] * frames)
        put_feature(made, video, "mfcc39", np.full((frames, 39), np.nan), np.ones(frames, np.uint8))
        put_labels(made, video, np.full((frames, 2), np.nan))
    assert not (tmp_path / "s.zarr/some/feature/mfcc39/c").exists()
    assert info(tmp_path / "s.zarr", check=True).problems == []


def test_features_are_not_read_without_check(store, monkeypatch):
    read = []
    monkeypatch.setattr(VideoView, "read", _recording(VideoView.read, read))
    info(store)
    assert set(read) == {"time"}


def _recording(function, names: list[str]):
    def recorded(view, array, *others):
        names.append(array)
        return function(view, array, *others)

    return recorded


def test_a_store_of_another_version_is_refused(store):
    meta = json.loads((store / "zarr.json").read_text())
    meta["attributes"]["va_store"] = 99
    (store / "zarr.json").write_text(json.dumps(meta))
    with pytest.raises(StoreError, match="format 99"):
        info(store)


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_damage_at_the_root_of_a_store_is_named_and_can_be_repaired(store, text, tmp_path):
    good = (store / "zarr.json").read_text()
    (store / "zarr.json").write_text(text)
    with pytest.raises(StoreError, match=r"zarr\.json is damaged") as caught:
        info(store)
    assert "copy zarr.json from another store" in caught.value.one_line()
    (store / "zarr.json").write_text((empty(tmp_path / "other.zarr").path / "zarr.json").read_text())
    assert (store / "zarr.json").read_text() == good
    assert info(store).values["videos"] == 2


def test_only_videos_with_a_detected_face_are_counted_as_such(tmp_path):
    for name, place in (("wall", None), ("person", (160, 120))):
        write_video(tmp_path / f"{name}.mp4", [scene(place)] * 5)
    align.run(align.AlignSettings(inputs=(tmp_path,), store=tmp_path / "s.zarr"))
    found = info(tmp_path / "s.zarr")
    assert found.values["videos"] == 2
    assert found.values["videos_with_faces"] == 1
    assert not any("va align" in command for command in commands(found))


def test_the_bundled_run_is_described():
    found = info(BUNDLED)
    assert found.kind == "run"
    assert (found.values["preset"], found.values["models"]) == ("compact", 5)
    assert found.values["calibration"] is True
    assert [row["feature"] for row in found.tables["features"]] == ["compact", "egemaps", "mfcc39"]
    assert found.missing == []
    assert found.problems == []


def test_a_run_without_calibration_and_a_fold_names_the_commands(tmp_path):
    run_folder = tmp_path / "run"
    shutil.copytree(BUNDLED, run_folder)
    (run_folder / "calibration.json").unlink()
    shutil.rmtree(run_folder / "fold_2")
    (run_folder / "files.json").unlink(missing_ok=True)
    found = info(run_folder)
    assert f"va calibrate {run_folder} HELD_OUT_STORE" in commands(found)
    assert any(text == "the models of fold_2" for text in commands(found).values())
    assert found.values["models"] == 4


def test_a_run_with_changed_weights_has_a_problem(tmp_path):
    run_folder = tmp_path / "run"
    shutil.copytree(BUNDLED, run_folder)
    weights = run_folder / "fold_1" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    (problem,) = info(run_folder).problems
    assert "fold_1" in problem


def test_scores_of_a_run_are_those_of_its_kept_epoch(tmp_path):
    run_folder = tmp_path / "run"
    shutil.copytree(BUNDLED, run_folder)
    rows = [_epoch(1, 0.2), _epoch(2, 0.5), _epoch(3, 0.4)]
    (run_folder / "fold_1" / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (score,) = info(run_folder).tables["scores"]
    assert (score["model"], score["epoch"], score["epochs"], score["ccc_mean"]) == ("fold_1", 2, 3, 0.5)


def _epoch(number: int, ccc: float) -> dict[str, float]:
    scores = {"valence": ccc, "arousal": ccc, "mean": ccc}
    return {"epoch": number, "step": number, "loss": 1.0, "train_s": 1.0, "validate_s": 1.0, **scores}


@pytest.mark.parametrize("variable", [False, True])
def test_a_video_is_described_with_its_frame_rate_and_tracks(variable, tmp_path):
    times_s = uneven(2.0) if variable else steady(25, 2.0)
    clip = write_clip(tmp_path / "clip.mkv", Clip(times_s=times_s, sound_spans=((0.0, 2.0),)))
    found = info(clip)
    assert found.kind == "video"
    assert found.values["frames"] == len(times_s)
    assert found.values["variable_frame_rate"] is variable
    assert found.values["size_bytes"] == clip.stat().st_size
    assert [track["track"] for track in found.tables["audio_tracks"]] == [1]


@pytest.mark.parametrize("ending", ["mkv", "mp4", "mov", "avi"])
def test_the_frame_rate_is_that_of_the_whole_video(tmp_path, ending):
    tick_s = Fraction(1001, 30_000) if ending == "avi" else Fraction(1, 90_000)
    codec = "mpeg4" if ending == "avi" else "libx264"
    times_s = steady(Fraction(30_000, 1001), 3.0)
    clip = write_clip(tmp_path / f"clip.{ending}", Clip(times_s=times_s, codec=codec, tick_s=tick_s))
    found = info(clip).values
    rounding_hz = 0.01 if ending == "mkv" else 0.0  # its times are in milliseconds
    assert found["frame_rate_hz"] == pytest.approx(29.97, abs=rounding_hz)
    assert found["variable_frame_rate"] is False


def test_rounded_times_are_no_variable_frame_rate(tmp_path):
    clip = write_clip(tmp_path / "clip.mkv", Clip(times_s=steady(120, 1.0)))
    assert info(clip).values["frame_rate_hz"] == pytest.approx(120, abs=0.1)
    assert info(clip).values["variable_frame_rate"] is False


def test_a_variable_frame_rate_is_the_mean(tmp_path):
    times_s = [0.0, *np.cumsum([0.04] * 30 + [0.02] * 20)]
    clip = write_clip(tmp_path / "clip.mkv", Clip(times_s=tuple(map(float, times_s))))
    found = info(clip).values
    assert (found["frame_rate_hz"], found["variable_frame_rate"]) == (pytest.approx(50 / 1.6, abs=0.05), True)
    still = write_clip(tmp_path / "still.mkv", Clip(times_s=(0.0,)))
    assert info(still).values["frame_rate_hz"] is None


def test_a_table_is_described(tmp_path):
    path = tmp_path / "t.csv"
    write_file([frame_table()], path, TableOptions())
    found = info(path)
    assert (found.kind, found.values["rows"], found.values["recordings"]) == ("table", N_FRAMES, 1)
    assert found.values["absent_columns"] == []


@pytest.mark.parametrize("name", ["", "index.csv"])
def test_an_output_folder_is_described_by_its_index(name, tmp_path, capsys):
    entries = [
        IndexEntry("t.csv", "clips/t.mp4", [frame_table().summary()]),
        IndexEntry("", "clips/bad.mp4", cause="no frame can be decoded"),
    ]
    (tmp_path / "index.csv").write_text("".join(index_lines(entries, TableOptions())), encoding="utf-8")
    found = info(tmp_path / name)
    assert (found.kind, found.values["tables"], found.values["failed_inputs"]) == ("output folder", 1, 1)
    (row,) = found.tables["recordings_and_faces"]
    assert (row["file"], row["frames"]) == ("t.csv", N_FRAMES)
    assert found.problems == ["clips/bad.mp4: no frame can be decoded"]
    assert commands(found) == {f"va predict INPUTS -o {tmp_path}/": "the tables of 1 inputs"}
    assert va(["info", str(tmp_path / name)]) == 0
    assert "output folder" in capsys.readouterr().out


def test_columns_without_a_value_are_not_printed(store, capsys):
    assert va(["info", str(store)]) == 0
    assert "variants" not in capsys.readouterr().out


def test_a_missing_path_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        info(tmp_path / "nothing")


def test_the_command_prints_json_lines_and_fails_for_an_unreadable_input(store, tmp_path, capsys):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"\0" * 100)
    assert va(["info", str(store), str(broken), "--json"]) == 1
    printed = capsys.readouterr()
    (line,) = printed.out.splitlines()
    assert json.loads(line) == info(store).to_dict()
    assert "broken.mp4" in printed.err


def test_companions_of_other_files_are_not_described(tmp_path, capsys):
    table, curves = tmp_path / "a.csv", tmp_path / "a_curves.csv"
    table.write_text("time_s,valence,arousal\n0,0.1,0.2\n")
    for path in (curves, tmp_path / "a.eaf"):
        path.write_text("x")
    assert va(["info", str(table), str(curves)]) == 0
    assert "a_curves" not in capsys.readouterr().out


def test_the_command_prints_a_readable_description(store, capsys):
    assert va(["info", str(store)]) == 0
    text = capsys.readouterr().out
    assert f"{store}: store" in text
    assert "missing:" in text
    assert "  videos" in text
    assert "mfcc39\taudio\t39\t2" in text
