"""Stores that va 0.1 wrote (format 1) are read under the present names and can be written to."""

from __future__ import annotations

import json
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

from vacli.sequences.stored import face_measures, stored_difficulty
from vacli.steps import align
from vacli.store import Store

VERSION_1 = Path(__file__).with_name("store-v1.zip")


@pytest.fixture
def old(tmp_path) -> Store:
    ZipFile(VERSION_1).extractall(tmp_path / "s.zarr")
    version = json.loads((tmp_path / "s.zarr" / "zarr.json").read_text())["attributes"]["va_store"]
    assert version == 1
    return Store.open(tmp_path / "s.zarr")


def test_arrays_have_the_present_names(old):
    view = old.video("clip")
    assert view.has("face/detected")
    assert view.read("face/detected").tolist() == [True, True, True, False, False]
    assert not view.has("face/crop")


def test_the_former_measure_of_sharpness_is_unknown(old):
    view = old.video("clip")
    assert not view.has("face/sharpness")
    assert np.isnan(face_measures(view)["sharpness"]).all()
    assert np.isfinite(face_measures(view)["score"][view.read("face/detected")]).all()
    assert (stored_difficulty(view)[:3] < 1).all()


def test_attributes_have_the_present_names(old):
    assert old.video("faces").attrs["stream"]["kind"] == "images"
    assert old.video("mix").attrs["stream"]["kind"] == "synthetic"
    attributes = old.video("faces").part_attrs("label")
    assert (attributes["category_mapped"], attributes["split"]) == (True, "validation")
    assert old.video("clip").attrs["stream"]["kind"] == "video"


def test_a_part_that_is_written_again_has_the_present_names(old, tmp_path):
    view = old.video("clip")
    detected = view.read("face/detected")
    with old.stage("clip", "face", view.part_attrs("face")) as writer:
        writer.append("detected", ~detected)
        writer.append("track", np.full(5, -1, np.int32))
    again = Store.open(old.path).video("clip")
    assert again.read("face/detected").tolist() == (~detected).tolist()
    assert not (old.path / "clip" / "face" / "found").exists()


def test_another_video_can_be_added(old, tmp_path):
    from synth.faces import scene, write_video

    clip = write_video(tmp_path / "new.mp4", [scene((110, 120))] * 2)
    assert not align.run(align.AlignSettings(inputs=(clip,), store=old.path)).failed
    assert Store.open(old.path).video("new").read("face/detected").all()
    assert Store.open(old.path).video("clip").read("face/detected").any()
