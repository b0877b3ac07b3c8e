"""Stored features are compared with those of a run: extractor, version, settings and weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synth import stores

from vacli.errors import RunError
from vacli.inference.feature_check import check_stored_features, feature_differences
from vacli.inference.run import EnsembleMember, Run
from vacli.inference.sliding_window import SlidingWindowPredictor
from vacli.recipe.schema import Model, Recipe, Stream
from vacli.spec import VISUAL, FeatureSpec

SPEC = FeatureSpec(
    name="face",
    version="1",
    modality=VISUAL,
    dim=2,
    settings={"weights": "0123456789ab", "mean": [0.5], "dtype": "float32", "frame_stride": 1},
)
RECIPE = Recipe(name="r", model=Model(streams=(Stream(name=VISUAL, features=("face",), dim=2),)))


def changed(**settings: object) -> FeatureSpec:
    return replace(SPEC, settings={**SPEC.settings, **settings})


def run_of(record: dict) -> Run:
    path, predictor = Path("runs/a"), SlidingWindowPredictor(lambda streams, mask: mask, RECIPE.window)
    member = EnsembleMember(path=path, predictor=predictor, validation=(), model=RECIPE.model)
    return Run(path=path, recipe=RECIPE, members=(member,), features={"face": record})


@pytest.fixture
def store(tmp_path):
    return stores.empty(tmp_path / "s.zarr")


def add(store, video: str, spec: FeatureSpec | None) -> None:
    stores.add_video(store, video, 4)
    if spec is not None:
        store.put_feature(video, spec.attributes(), np.zeros((4, 2), np.float32), np.zeros(4, np.uint8))


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        (SPEC, []),
        (changed(dtype="bfloat16", frame_stride=3), []),
        (changed(weights="ba9876543210"), ["weights 0123456789ab, not ba9876543210"]),
        (changed(mean=[0.25]), ["mean [0.5], not [0.25]"]),
        (changed(pca="aa"), ["pca absent, not aa"]),
        (replace(SPEC, version="2"), ["version 1, not 2"]),
        (replace(SPEC, dim=3), ["dim 2, not 3"]),
    ],
)
def test_differences_name_the_setting_and_both_values(present, expected):
    assert feature_differences(SPEC.attributes(), present.attributes()) == expected


def test_a_record_without_settings_has_no_differences():
    assert feature_differences({"fingerprint": "f"}, SPEC.attributes()) == []
    assert feature_differences({}, SPEC.attributes()) == []


def test_equal_features_give_no_note(store):
    add(store, "a", SPEC)
    add(store, "b", changed(frame_stride=5))
    assert check_stored_features(run_of(SPEC.attributes()), store.videos()) == ()


def test_one_video_with_other_weights_is_found(store):
    add(store, "a", SPEC)
    add(store, "b", changed(weights="ba9876543210"))
    add(store, "c", None)
    run = run_of(SPEC.attributes())
    with pytest.raises(RunError) as caught:
        check_stored_features(run, store.videos())
    line = caught.value.one_line()
    assert "runs/a was trained on face with weights 0123456789ab, not ba9876543210" in line
    assert "1 of 3 videos" in line
    assert "such as b" in line
    assert "--allow-mismatch" in line
    (note,) = check_stored_features(run, store.videos(), allow=True)
    assert "weights 0123456789ab, not ba9876543210" in note
    assert note.endswith("(--allow-mismatch).")


def test_without_a_record_the_videos_must_agree(store):
    add(store, "a", SPEC)
    add(store, "b", changed(weights="ba9876543210"))
    with pytest.raises(RunError, match="such as b"):
        check_stored_features(run_of({"fingerprint": "f"}), store.videos())
