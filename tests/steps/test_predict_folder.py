"""The output folder of `va predict`: a file for each input, an index, resumption, and files that stay."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from synth.crashes import crash
from synth.faces import scene, somebody_else, write_video

from vacli.datasets.audio_augmentation import write_wav
from vacli.errors import OutputError, UsageError
from vacli.media.kinds import MediaInput
from vacli.output.formats import TableOptions, write_file
from vacli.output.frame_table import FrameTable, summary_columns
from vacli.progress import RecordingProgress
from vacli.steps import _recordings, align, extract_audio, extract_visual, finalize, predict, predict_folder
from vacli.steps._batch import Batch
from vacli.steps._parts import Part
from vacli.steps._prediction_settings import PredictSettings
from vacli.steps.predict_folder import PredictFolderSettings, run


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    """A folder of two clips of one name, a sound, and a file that cannot be read."""
    folder = tmp_path_factory.mktemp("media") / "videos"
    (folder / "day2").mkdir(parents=True)
    write_video(folder / "a.mp4", [scene((110, 120))] * 6 + [scene(None)] * 12)
    write_video(folder / "day2" / "a.mp4", [scene((120, 120))] * 8)
    write_wav(folder / "c.wav", np.zeros(16_000, np.float32))
    (folder / "bad.mp4").write_bytes(bytes(1000))
    return folder


@pytest.fixture
def media(videos, tmp_path) -> Path:
    return Path(shutil.copytree(videos, tmp_path / "videos"))


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "out"


def settings(media: Path, out: Path, **more: object) -> PredictFolderSettings:
    own = {name: more.pop(name) for name in ("also", "jobs", "force", "ending", "options") if name in more}
    inputs = more.pop("inputs", (media,))
    prediction = PredictSettings(inputs=inputs, device="cpu", **more)
    return PredictFolderSettings(prediction=prediction, folder=out, **own)


def made(*arguments: Path, **more: object) -> Batch:
    return run(settings(*arguments, **more), RecordingProgress())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def index(folder: Path) -> list[dict[str, str]]:
    with open(folder / "index.csv", newline="") as stream:
        return list(csv.DictReader(stream))


def names(media: Path, *names: str) -> list[str]:
    return [str(media / name) for name in names]


def test_each_input_has_a_table_and_the_index_lists_all(media, out):
    batch = made(media, out)
    assert sorted(batch.done) == names(media, "a.mp4", "c.wav", "day2/a.mp4")
    assert [failure.name for failure in batch.failed] == names(media, "bad.mp4")
    tables = ["c.csv", "day2_a.csv", "videos_a.csv"]
    assert sorted(os.listdir(out)) == sorted(
        ["index.csv", *tables, *(f"{t}.provenance.json" for t in tables)]
    )
    rows = index(out)
    assert list(rows[0]) == ["file", "status", *summary_columns(), "cause"]
    assert [(row["file"], row["status"], row["input"], row["frames"]) for row in rows] == [
        ("bad.csv", "failed", str(media / "bad.mp4"), ""),
        ("c.csv", "complete", str(media / "c.wav"), "25"),
        ("day2_a.csv", "complete", str(media / "day2/a.mp4"), "8"),
        ("videos_a.csv", "complete", str(media / "a.mp4"), "18"),
    ]
    assert "cannot be read as audio or video" in rows[0]["cause"]


def test_a_table_equals_that_of_a_single_prediction(media, out, tmp_path):
    made(media, out, fill=True)
    tables: list[FrameTable] = []
    predict.run(PredictSettings(inputs=(media / "a.mp4",), device="cpu", fill=True), tables.append)
    write_file(tables, tmp_path / "one.csv", TableOptions())
    assert (out / "videos_a.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()


def test_a_complete_input_is_skipped_and_nothing_is_written(media, out):
    made(media, out, also=(".vtt",))
    before = {
        path: (path.stat().st_ino, path.read_bytes()) for path in out.iterdir() if path.name != "index.csv"
    }
    index_before = (out / "index.csv").read_bytes()
    batch = made(media, out, also=(".vtt",))
    assert sorted(batch.skipped) == names(media, "a.mp4", "c.wav", "day2/a.mp4")
    assert batch.done == []
    assert {path: (path.stat().st_ino, path.read_bytes()) for path in before} == before
    assert (out / "index.csv").read_bytes() == index_before
    fewer = made(media, out)
    assert len(fewer.skipped) == 3, "a part of the files suffices"


@pytest.mark.parametrize("lost", ["c.csv", "c.vtt", "c.csv.provenance.json"])
def test_a_file_that_is_missing_is_made_again(lost, media, out):
    made(media, out, also=(".vtt",))
    before = contents(out)
    (out / lost).unlink()
    batch = made(media, out, also=(".vtt",), force=lost.endswith(".json"))
    assert str(media / "c.wav") in batch.done
    assert contents(out) == before


def test_further_files_are_added_to_complete_tables(media, out):
    made(media, out)
    before = contents(out)
    assert len(made(media, out, also=(".vtt", ".eaf")).done) == 3
    after = contents(out)
    assert {n: after[n] for n in before if not n.endswith(".json")} == {
        n: before[n] for n in before if not n.endswith(".json")
    }
    assert {"c.vtt", "c.eaf", "c_curves.csv", "c_tsconf.xml"} <= after.keys()
    assert len(made(media, out, also=(".vtt",)).skipped) == 3


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"face": "all"}, "c.csv was made with other settings (face); use --force to replace it"),
        ({"fill": True}, "c.csv was made with other settings (fill); use --force to replace it"),
        (
            {"options": TableOptions(columns=("time_s",))},
            "c.csv was made with other settings (columns); use --force to replace it",
        ),
    ],
)
def test_other_settings_need_force(change, reason, media, out):
    inputs = (media / "c.wav",)
    made(media, out, inputs=inputs)
    before = contents(out)
    batch = made(media, out, inputs=inputs, **change)
    assert [failure.reason for failure in batch.failed] == [f"{out}/{reason}"]
    assert {n: b for n, b in contents(out).items() if n != "index.csv"} == {
        n: b for n, b in before.items() if n != "index.csv"
    }
    assert contents(out)["index.csv"] == before["index.csv"], "the table there is complete as before"
    assert made(media, out, inputs=inputs, force=True, **change).done == names(media, "c.wav")
    assert made(media, out, inputs=inputs, **change).skipped == names(media, "c.wav")


def test_another_model_needs_force(media, out):
    inputs = (media / "c.wav",)
    made(media, out, inputs=inputs)
    sidecar = out / "c.csv.provenance.json"
    record = json.loads(sidecar.read_text())
    for key, value, reason in (
        ("model", {"name": "x", "fingerprint": "0"}, "was made with another model"),
        ("va", "0.1.0", "was made by va 0.1.0"),
    ):
        sidecar.write_text(json.dumps({**record, key: value}))
        (failure,) = made(media, out, inputs=inputs).failed
        assert failure.reason == f"{out}/c.csv {reason}; use --force to replace it"


def test_a_changed_input_needs_force(media, out):
    sound = media / "c.wav"
    made(media, out, inputs=(sound,))
    touched = sound.stat().st_mtime_ns + 5_000_000_000
    os.utime(sound, ns=(touched, touched))
    assert made(media, out, inputs=(sound,)).skipped, "another time and the same bytes"
    data = bytearray(sound.read_bytes())
    data[-1] ^= 1
    sound.write_bytes(data)
    (failure,) = made(media, out, inputs=(sound,)).failed
    assert failure.reason == f"{out}/c.csv was made from another file; use --force to replace it"
    assert made(media, out, inputs=(sound,), force=True).done


def test_a_changed_input_is_a_failure_in_the_index_until_it_is_predicted_again(media, out, tmp_path):
    sound = media / "c.wav"
    made(media, out, inputs=(sound,))
    complete, data = (out / "index.csv").read_bytes(), sound.read_bytes()
    table = (out / "c.csv").read_bytes()
    sound.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    cause = f"{out}/c.csv was made from another file; use --force to replace it"
    (tmp_path / "other").mkdir()
    other = Path(shutil.copy(media / "a.mp4", tmp_path / "other/c.mp4"))
    for inputs in ((sound,), (sound,), (media / "a.mp4",), (other,)):
        made(media, out, inputs=inputs)
        (row,) = [row for row in index(out) if row["file"] == "c.csv"]
        assert (row["status"], row["input"], row["cause"]) == ("failed", str(sound), cause), inputs
        assert (row["frames"], row["valence_mean"]) == ("", "")
    assert (out / "c.csv").read_bytes() == table
    assert made(media, out, inputs=(sound,), force=True).done
    (row,) = [row for row in index(out) if row["file"] == "c.csv"]
    assert (row["status"], row["input"], row["cause"]) == ("complete", str(sound), "")
    for name in ("a.csv", "a.csv.provenance.json"):
        (out / name).unlink()
    made(media, out, inputs=(sound,))
    sound.write_bytes(data)
    assert made(media, out, inputs=(sound,)).failed
    assert made(media, out, inputs=(sound,), force=True).done
    assert (out / "index.csv").read_bytes() == complete


def test_an_input_that_is_as_before_again_is_complete(media, out):
    sound = media / "c.wav"
    made(media, out, inputs=(sound,))
    complete, data = (out / "index.csv").read_bytes(), sound.read_bytes()
    sound.write_bytes(bytes(len(data)))
    made(media, out, inputs=(sound,), part=Part(1, 1))
    assert [row["status"] for row in index(out)] == ["failed"]
    finalize.run(finalize.FinalizeSettings(path=out))
    assert [row["status"] for row in index(out)] == ["failed"]
    sound.write_bytes(data)
    assert made(media, out, inputs=(sound,), part=Part(1, 1)).skipped
    assert (out / "index.csv").read_bytes() == complete


def test_foreign_and_changed_files_are_kept(media, out):
    inputs = (media / "c.wav",)
    out.mkdir()
    (out / "c.vtt").write_text("mine")
    (failure,) = made(media, out, inputs=inputs, also=(".vtt",)).failed
    assert failure.reason == f"{out}/c.vtt exists already; use --force to replace it"
    assert not (out / "c.csv").exists()
    made(media, out, inputs=inputs)
    (out / "c.csv").write_text("edited")
    (failure,) = made(media, out, inputs=inputs).failed
    assert failure.reason == f"{out}/c.csv was changed since it was made; use --force to replace it"
    assert made(media, out, inputs=inputs, also=(".vtt",), force=True).done
    assert (out / "c.vtt").read_text() != "mine"


def test_a_run_that_ended_between_its_files_is_continued(media, out):
    inputs = (media / "c.wav",)
    made(media, out, inputs=inputs, also=(".vtt",))
    before = contents(out)
    sidecar = out / "c.csv.provenance.json"
    record = json.loads(sidecar.read_text())
    record["files"] = dict.fromkeys(record["files"])
    sidecar.write_text(json.dumps(record))
    (out / "c.vtt").write_text("of an older run that was to be replaced")
    assert made(media, out, inputs=inputs, also=(".vtt",)).done
    assert contents(out) == before


def test_another_index_is_kept(media, out):
    out.mkdir()
    (out / "index.csv").write_text("mine,too\n")
    with pytest.raises(UsageError, match="is not an index"):
        made(media, out)
    assert os.listdir(out) == ["index.csv"]
    made(media, out, inputs=(media / "c.wav",), force=True)
    assert [row["file"] for row in index(out)] == ["c.csv"]


def test_the_index_keeps_the_tables_of_other_commands(media, out):
    made(media, out, inputs=(media / "c.wav",))
    made(media, out, inputs=(media / "a.mp4",))
    assert [(row["file"], row["input"]) for row in index(out)] == [
        ("a.csv", str(media / "a.mp4")),
        ("c.csv", str(media / "c.wav")),
    ]


def test_the_index_names_a_renamed_input_as_its_table_does(media, out):
    made(media, out, inputs=(media / "c.wav",))
    (media / "c.wav").rename(media / "d.wav")
    made(media, out, inputs=(media / "d.wav",))
    assert [(row["file"], row["input"]) for row in index(out)] == [
        ("c.csv", str(media / "c.wav")),
        ("d.csv", str(media / "d.wav")),
    ]


def test_a_table_that_is_complete_already_keeps_its_input(media, out, tmp_path):
    made(media, out, inputs=(media / "c.wav",))
    before = (out / "index.csv").read_bytes()
    copy = Path(shutil.copytree(media, tmp_path / "copy"))
    assert made(copy, out, inputs=(copy / "c.wav",)).skipped
    assert (out / "index.csv").read_bytes() == before
    made(copy, out, inputs=(copy / "c.wav",), force=True, fill=True)
    assert [row["input"] for row in index(out)] == [str(copy / "c.wav")]


def test_a_refusal_leaves_the_row_of_the_table(media, out, tmp_path):
    made(media, out, inputs=(media / "c.wav",))
    before = (out / "index.csv").read_bytes()
    other = tmp_path / "other"
    other.mkdir()
    write_wav(other / "c.wav", np.zeros(32_000, np.float32))
    assert "from another file" in made(other, out).failed[0].reason
    assert (out / "index.csv").read_bytes() == before
    (out / "c.csv").write_text("edited")
    assert "was changed" in made(media, out, inputs=(media / "c.wav",)).failed[0].reason
    assert (out / "index.csv").read_bytes() == before


def test_a_refusal_without_a_complete_table_is_in_the_index(media, out):
    out.mkdir()
    (out / "c.csv").write_text("mine")
    made(media, out, inputs=(media / "c.wav",))
    assert [(row["file"], row["status"]) for row in index(out)] == [("c.csv", "failed")]


def test_a_refusal_in_a_part_leaves_the_row_of_the_table(media, out):
    inputs = (media / "c.wav",)
    made(media, out, inputs=inputs)
    before = (out / "index.csv").read_bytes()
    assert made(media, out, inputs=inputs, face="all", part=Part(1, 1)).failed
    assert (out / "index.csv").read_bytes() == before
    assert finalize.run(finalize.FinalizeSettings(path=out)).missing
    assert (out / "index.csv").read_bytes() == before


def test_results_do_not_depend_on_order_and_jobs(media, tmp_path):
    inputs = (media / "a.mp4", media / "day2" / "a.mp4", media / "c.wav", media / "bad.mp4")
    first, other, side_by_side = (tmp_path / name for name in ("first", "other", "jobs"))
    made(media, first, inputs=inputs)
    made(media, other, inputs=inputs[::-1])
    made(media, side_by_side, inputs=inputs, jobs=3)
    assert contents(first) == contents(other) == contents(side_by_side)


def test_provenance(media, out):
    made(media, out, inputs=(media / "c.wav",), also=(".eaf",), face="left")
    text = (out / "c.csv.provenance.json").read_text()
    record = json.loads(text)
    assert record["model"]["name"] == "bundled"
    assert record["settings"]["face"] == "left"
    (source,) = record["inputs"]
    assert (source["name"], source["size_bytes"]) == ("c.wav", 32_044)
    assert len(source["sha256"]) == 64
    assert list(record["files"]) == ["c.csv", "c.eaf", "c_curves.csv", "c_tsconf.xml"]
    assert str(media) not in text


def test_a_table_of_each_video_of_a_store(media, out, tmp_path):
    store = tmp_path / "s.zarr"
    align.run(align.AlignSettings(inputs=(media / "a.mp4",), store=store))
    extract_visual.run(extract_visual.ExtractVisualSettings(inputs=(store,), store=store, feature="compact"))
    extract_audio.run(extract_audio.ExtractAudioSettings(inputs=(store,), store=store))
    assert made(media, out, inputs=(store,)).done == ["a"]
    assert (out / "a.csv").exists()
    assert made(media, out, inputs=(store,)).skipped == ["a"]
    with pytest.raises(UsageError, match="is a feature store"):
        made(media, store)


def test_the_folder_must_be_one(media, out):
    out.write_text("x")
    with pytest.raises(OutputError, match="is a file"):
        made(media, out)


def test_options_are_checked_before_the_prediction(media, out, monkeypatch):
    monkeypatch.setattr(_recordings, "load_model", None)
    for wrong in ({"options": TableOptions(decimal_comma=True), "ending": ".jsonl"}, {"face": "x"}):
        with pytest.raises(UsageError):
            made(media, out, **wrong)
    assert not out.exists()


def test_a_decimal_comma_is_for_all_tables(media, out):
    options = TableOptions(decimal_comma=True)
    made(media, out, inputs=(media / "c.wav",), also=(".jsonl",), options=options)
    assert ";0,040000;" in (out / "c.csv").read_text()
    assert '"time_s": 0.04' in (out / "c.jsonl").read_text()
    assert (out / "index.csv").read_text().startswith("file;status;")


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")
def test_a_folder_is_whole_at_every_instant_and_the_same_after_another_run(media, tmp_path):
    template, job, never = tmp_path / "template", "synth.crash_folder:predict_media", 1 << 30
    template.mkdir()
    (media / "bad.mp4").unlink()
    (media / "a.mp4").unlink()
    media.rename(template / "media")

    def fresh(name: str) -> Path:
        return Path(shutil.copytree(template, tmp_path / name))

    whole = fresh("whole")
    (changes,) = crash(job, [whole], [never])
    expected = contents(whole / "out")
    points = random.Random(3).sample(range(1, changes + 1), 20)
    folders = [fresh(str(point)) for point in points]
    assert crash(job, folders, points) == [None] * len(points)
    for folder in folders:
        for path in (folder / "out").iterdir() if (folder / "out").exists() else ():
            if path.suffix == ".json":
                assert set(json.loads(path.read_text())) >= {"va", "model", "inputs", "files"}
            elif not path.name.startswith("."):
                assert path.read_bytes() == expected[path.name]
    crash(job, folders, [never] * len(folders))
    for folder in folders:
        assert contents(folder / "out") == expected


@pytest.fixture
def two_faces(tmp_path) -> Path:
    """A clip of two people."""
    pair = np.concatenate([scene((110, 120)), scene((160, 120), somebody_else())], axis=1)
    return write_video(tmp_path / "pair.mp4", [pair] * 4)


def test_the_files_of_each_face_are_complete_or_made_again(media, out, two_faces):
    asked = {"inputs": (two_faces,), "also": (".eaf",), "face": "all"}
    made(media, out, **asked)
    before = contents(out)
    curves = sorted(name for name in before if name.endswith("_curves.csv"))
    assert curves == ["pair_face0_curves.csv", "pair_face1_curves.csv"]
    assert set(json.loads(before["pair.csv.provenance.json"])["files"]) >= set(curves)
    assert made(media, out, **asked).skipped
    (out / curves[1]).unlink()
    assert made(media, out, **asked).done
    assert {name: contents(out)[name] for name in curves} == {name: before[name] for name in curves}
    (out / curves[0]).write_text("edited")
    (failure,) = made(media, out, **asked).failed
    assert "pair_face0_curves.csv was changed" in failure.reason


def test_foreign_files_with_the_names_of_faces_are_kept(media, out, two_faces):
    out.mkdir()
    (out / "pair_face1_curves.csv").write_text("mine")
    (failure,) = made(media, out, inputs=(two_faces,), also=(".eaf",), face="all").failed
    assert "pair_face1_curves.csv exists already" in failure.reason
    assert (out / "pair_face1_curves.csv").read_text() == "mine"
    assert not (out / "pair.csv").exists()


@pytest.mark.parametrize("damage", ["[1, 2", "null", '{"files": {}, "inputs": [], "summaries": [{}]}'])
def test_a_damaged_provenance_file_does_not_stop_the_run(media, out, damage):
    out.mkdir()
    (out / "old.csv").write_text("time_s,valence,arousal\n")
    (out / "old.csv.provenance.json").write_text(damage)
    assert made(media, out, inputs=(media / "c.wav",)).done
    assert [row["file"] for row in index(out)] == ["c.csv"]


def test_memory_for_an_input_is_below_900_bytes(tmp_path, monkeypatch):
    """The recordings are stubs: what is held for each of many inputs is measured."""

    def peak_bytes(count: int) -> int:
        paths = (Path(f"/videos/clip{number:06d}.mp4") for number in range(count))
        stubs = (_recordings.Recording(str(p), p, list, MediaInput(p, "video")) for p in paths)
        monkeypatch.setattr(predict_folder, "predicted_recordings", lambda *args: stubs)
        tracemalloc.start()
        batch = made(Path("/videos"), tmp_path / f"{count}", jobs=2)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(batch.done) == count
        return peak

    monkeypatch.setattr(predict_folder.FolderWriter, "complete", lambda self, target: "done")
    peak_bytes(100)
    assert peak_bytes(4000) - peak_bytes(1000) < 3000 * 900
