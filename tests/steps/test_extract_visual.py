from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from synth.face_stores import face_store

from vacli.errors import UsageError
from vacli.features.compact.network import CompactFace
from vacli.features.flags import INTERPOLATED, MISSING
from vacli.steps._visual_rows import fill_skipped, plan_rows
from vacli.steps.extract_visual import ExtractVisualSettings, run
from vacli.store import Store


@pytest.fixture
def store(tmp_path):
    return face_store(tmp_path / "s.zarr", videos=2, frames=11, missing=(3, 4)).path


@pytest.fixture
def settings(tmp_path, store):
    torch.manual_seed(0)
    path = tmp_path / "face.safetensors"
    save_file({k: v.contiguous() for k, v in CompactFace().state_dict().items()}, path)
    return lambda **more: ExtractVisualSettings(
        inputs=(store,), feature="compact", weights=path, device="cpu", **more
    )


def test_rows_without_a_face_are_nan_and_flagged(store, settings):
    result = run(settings())
    assert result.done == ["clip0", "clip1"]
    values, flags = Store.open(store).video("clip1").feature("compact")
    assert values.shape == (11, 128)
    assert np.flatnonzero(np.isnan(values).all(1)).tolist() == [3, 4] == np.flatnonzero(flags).tolist()
    assert (flags[3:5] == MISSING).all()


def test_frames_between_strides_are_interpolated(store, settings):
    run(settings())
    whole, _ = Store.open(store).video("clip0").feature("compact")
    run(settings(frame_stride=3, force=True))
    view = Store.open(store).video("clip0")
    values, flags = view.feature("compact")
    computed = [0, 2, 5, 8, 10]
    assert np.flatnonzero(flags == INTERPOLATED).tolist() == [1, 6, 7, 9]
    assert np.allclose(values[computed], whole[computed], atol=1e-5)
    assert np.allclose(values[6], (2 * whole[5] + whole[8]) / 3, atol=1e-5)
    assert view.part_attrs("feature/compact")["settings"]["frame_stride"] == 3


def test_complete_features_are_skipped_and_other_settings_need_force(settings):
    run(settings())
    assert run(settings()).skipped == ["clip0", "clip1"]
    failed = run(settings(frame_stride=2)).failed
    assert len(failed) == 2
    assert "--force" in failed[0].reason
    assert run(settings(frame_stride=2, force=True)).done == ["clip0", "clip1"]


def test_a_store_without_crops_names_the_align_command(tmp_path, settings):
    bare = Store.open_or_create(tmp_path / "bare.zarr")
    bare.add_video("clip", np.arange(3.0), source={}, stream={})
    asked = ExtractVisualSettings(inputs=(bare.path,), feature="compact", weights=settings().weights)
    assert "va align" in run(asked).failed[0].reason


def test_audio_only_entries_have_flagged_rows(store, settings):
    made = Store.open(store)
    times = np.arange(5) / 25
    made.add_video("voice", times, source={"sha256": "v"}, stream={"container": "wav", "audio": {}})
    assert not run(settings()).failed
    values, flags = made.video("voice").feature("compact")
    assert np.isnan(values).all()
    assert (flags == MISSING).all()


def test_audio_features_and_invalid_strides_raise(store):
    with pytest.raises(UsageError, match="is an audio feature"):
        run(ExtractVisualSettings(inputs=(store,), feature="mfcc39"))
    with pytest.raises(UsageError, match="frame-stride"):
        run(ExtractVisualSettings(inputs=(store,), frame_stride=0))


def test_no_row_is_interpolated_across_a_face_change():
    usable, track = np.ones(8, bool), np.array([0, 0, 0, 0, 1, 1, 1, 1])
    rows = plan_rows(usable, track, 10)
    assert rows.tolist() == [0, 3, 4, 7]
    values = np.full((8, 1), np.nan, np.float32)
    values[rows, 0] = [0, 3, 100, 103]
    fill_skipped(values, rows, usable, np.arange(8.0))
    assert values[:, 0].tolist() == [0, 1, 2, 3, 100, 101, 102, 103]


def test_a_missing_video_is_a_failure(tmp_path, store, settings):
    result = run(replace(settings(), inputs=(store, tmp_path / "none.mp4")))
    assert [failure.name for failure in result.failed] == [str(tmp_path / "none.mp4")]
    assert result.done == ["clip0", "clip1"]


def test_two_versions_of_a_feature_lie_side_by_side_under_their_tags(store, settings, tmp_path):
    run(settings(tag="a"))
    torch.manual_seed(1)
    other = tmp_path / "other.safetensors"
    save_file({k: v.contiguous() for k, v in CompactFace().state_dict().items()}, other)
    run(replace(settings(tag="b"), weights=other))
    view = Store.open(store).video("clip0")
    assert view.feature_names() == ["compact@a", "compact@b"]
    first, second = (view.part_attrs(f"feature/compact@{tag}") for tag in "ab")
    assert first["settings"]["weights"] != second["settings"]["weights"]
    assert second["weights_files"] == {"weights": str(other)}
    assert not np.allclose(*(np.nan_to_num(view.feature(f"compact@{tag}")[0]) for tag in "ab"))
    assert run(settings(tag="a")).skipped == ["clip0", "clip1"]


@pytest.mark.parametrize(("feature", "tag"), [("compact", "a b"), ("compact@a", "b"), ("compact@", None)])
def test_a_tag_that_cannot_be_stored_is_refused(settings, feature, tag):
    with pytest.raises(UsageError, match=r"tag already|not a feature's name"):
        run(replace(settings(tag=tag), feature=feature))
