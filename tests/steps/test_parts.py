"""Parts of the inputs: every input is in one part, in any order, and `finalize` names what is missing."""

from __future__ import annotations

import random
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from synth.stores import add_video, empty, put_feature

from vacli.datasets.audio_augmentation import write_wav
from vacli.errors import InputError, UsageError
from vacli.steps import extract_audio, finalize
from vacli.steps._parts import Part, PartRecord, part_number, read_records
from vacli.store import Store

PARTS = 7


@pytest.mark.parametrize("text", ["0/3", "4/3", "1/0", "x/3", "1", "1/2/3", "-1/3", "1.5/3", ""])
def test_a_part_out_of_range_is_refused(text):
    with pytest.raises(UsageError, match="--part"):
        Part.parse(text)


def test_each_name_is_in_one_part_and_parts_are_of_like_size():
    names = [f"clip{number}.mp4" for number in range(7000)]
    sizes = [sum(Part(i, PARTS).has(name) for name in names) for i in range(1, PARTS + 1)]
    assert sum(sizes) == len(names)
    assert all(850 <= size <= 1150 for size in sizes)


def test_parts_are_the_same_on_every_machine():
    assert [part_number(name, PARTS) for name in ("a.mp4", "b.mp4", "ü.wav")] == KNOWN
    assert part_number(unicodedata.normalize("NFD", "ü.wav"), PARTS) == KNOWN[2]


KNOWN = [1, 1, 6]  # SHA-256 of the name in NFC, first 8 bytes, modulo 7, plus 1


@pytest.fixture(scope="module")
def sounds(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sounds")
    noise = np.random.default_rng(1)
    for number in range(9):
        write_wav(folder / f"s{number}.wav", noise.normal(0, 0.1, 8000).astype(np.float32))
    return folder


def extract(sounds: Path, store: Path, part: Part | None) -> list[str]:
    batch = extract_audio.run(
        extract_audio.ExtractAudioSettings(
            inputs=(sounds,), store=store, features=("mfcc39",), part=part, workers=1
        )
    )
    assert not batch.failed
    return batch.done


def test_parts_in_any_order_and_again_give_the_store_of_one_run(sounds, tmp_path):
    extract(sounds, tmp_path / "whole.zarr", None)
    order = list(range(1, PARTS + 1))
    random.Random(5).shuffle(order)
    done = [name for number in order for name in extract(sounds, tmp_path / "s.zarr", Part(number, PARTS))]
    assert sorted(done) == [f"s{number}.wav" for number in range(9)]
    random.Random(6).shuffle(order)
    assert not [n for number in order for n in extract(sounds, tmp_path / "s.zarr", Part(number, PARTS))]
    whole, made = Store.open(tmp_path / "whole.zarr"), Store.open(tmp_path / "s.zarr")
    assert made.video_ids() == whole.video_ids()
    for video in whole.video_ids():
        for array in ("time", "feature/mfcc39", "flag/mfcc39"):
            np.testing.assert_array_equal(made.video(video).read(array), whole.video(video).read(array))
    assert not check(tmp_path / "s.zarr")


def check(path: Path, parts: int | None = None) -> list[str]:
    return finalize.run(finalize.FinalizeSettings(path=path, parts=parts)).missing


def test_a_part_that_did_not_run_is_named(sounds, tmp_path):
    for number in (2, 3):
        extract(sounds, tmp_path / "s.zarr", Part(number, 3))
    assert check(tmp_path / "s.zarr") == ["va extract-audio mfcc39 --part 1/3 has not ended: run it again"]


def record(out: Path, number: int, **more: object) -> None:
    PartRecord(command="predict", number=number, count=2, **{"digest": "d", "total": 4, **more}).write(out)


def test_failed_inputs_other_inputs_and_absent_tables_are_named(tmp_path):
    record(tmp_path, 1, inputs={"a.mp4": "a.csv"}, failed={"b.mp4": "b.mp4: damaged"})
    record(tmp_path, 2, inputs={"c.mp4": "c.csv"}, digest="e", total=3)
    (tmp_path / "a.csv").write_text("")
    assert check(tmp_path) == [
        "va predict --part 1/2: b.mp4: damaged",
        "va predict --part 2/2 had 3 inputs, others had others: run it again",
        "va predict --part 2/2: c.csv of c.mp4 is not there: run it again",
    ]


def test_a_damaged_record_counts_as_a_missing_part(tmp_path):
    record(tmp_path, 1)
    record(tmp_path, 2)
    next((tmp_path / ".parts").glob("*2-of-2.json")).write_text("{")
    assert [each.number for each in read_records(tmp_path)] == [1]
    assert check(tmp_path) == ["va predict --part 2/2 has not ended: run it again"]


def test_another_number_of_parts_is_not_complete(tmp_path):
    record(tmp_path, 1)
    record(tmp_path, 2)
    assert check(tmp_path) == []
    assert len(check(tmp_path, parts=3)) == 3


def test_videos_without_a_feature_that_others_have_are_named(tmp_path):
    store = empty(tmp_path / "s.zarr")
    for video in ("a", "b"):
        add_video(store, video, 10)
    put_feature(store, "a", "xv", np.ones((10, 3)))
    assert check(store.path) == ["no feature/xv in b: run the extraction of xv again"]


def test_a_folder_without_records_is_refused(tmp_path):
    with pytest.raises(InputError, match="is neither a store nor a folder with records of parts"):
        check(tmp_path)
