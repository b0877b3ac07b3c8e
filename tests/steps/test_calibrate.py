from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from synth import affwild2, recipes
from synth.stores import put_labels

from vacli.circumplex import EMOTION_VA
from vacli.errors import LabelError, RunError, StoreError
from vacli.features.compact.layout import DIM, columns, spec
from vacli.files.digests import DIGESTS_FILE
from vacli.files.run_directory import CALIBRATION_FILE, FACE_ERROR_FILE, SPEECH_FILE
from vacli.inference.calibration import Calibration
from vacli.inference.error_model import ErrorModel
from vacli.inference.prediction import predict_images, predict_sequence
from vacli.inference.run import BUNDLED, Run, load_run
from vacli.inference.states import FrameState
from vacli.progress import RecordingProgress
from vacli.sequences.base import FeatureSequence
from vacli.sequences.stored import open_sequences
from vacli.spec import VISUAL, FeatureSpec
from vacli.steps import train
from vacli.steps.calibrate import CalibrateSettings, run
from vacli.store import Store

TINY = (*recipes.COMPACT, "training.epochs=2", "training.batch_size=4")


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    trials = affwild2.make(affwild2.World(videos=8, frames=150))
    return affwild2.write_store(tmp_path_factory.mktemp("calibrate") / "s.zarr", trials)


@pytest.fixture(scope="module")
def model(store, tmp_path_factory):
    out = tmp_path_factory.mktemp("calibrate") / "run"
    train.run(
        train.TrainSettings(
            store=store.path, out=out, preset="compact", assignments=TINY, device="cpu", folds=2
        )
    )
    return out


def image_store(path, split: str = "validation", feature: FeatureSpec | None = None) -> Store:
    """400 faces whose predicted emotions are unbiased."""
    store, rng = Store.open_or_create(path), np.random.default_rng(0)
    shares = rng.dirichlet(np.full(8, 0.4), 400).astype(np.float32)
    points = shares @ np.array(EMOTION_VA, np.float32)
    rows = np.concatenate([points, shares, np.zeros((400, DIM - 10), np.float32)], axis=1)
    feature = feature or FeatureSpec(name="compact", version="1", modality=VISUAL, dim=DIM, columns=columns())
    store.add_video("faces", np.arange(400.0), source={"name": "faces"}, stream={"kind": "images"})
    store.put_feature("faces", feature.attributes(), rows, np.zeros(400, np.uint8))
    with store.stage("faces", "label", {"split": split}) as writer:
        for d, name in enumerate(("valence", "arousal")):
            writer.append(name, (points[:, d] + rng.normal(0, 0.1, 400)).astype(np.float32))
    return store


def with_audio_only(model: Run, audio_only: bool) -> Run:
    return replace(model, postprocess=replace(model.postprocess, audio_only=audio_only))


def audio_only_model(model: Path) -> ErrorModel:
    return load_run(model).postprocess.calibration.states[FrameState.AUDIO_ONLY]


def remove_calibration(model: Path) -> None:
    """Remove the calibration of a run."""
    for name in (CALIBRATION_FILE, SPEECH_FILE, DIGESTS_FILE):
        (model / name).unlink(missing_ok=True)


def test_calibrated_uncertainty_matches_the_errors(model, store, tmp_path):
    rows = open_sequences(store.videos(), load_run(model).recipe.model)[0]
    before = predict_sequence(load_run(model), rows, rows.times_s)
    np.testing.assert_array_equal(before.uncertainty, before.ensemble_std)
    faces = image_store(tmp_path / "faces.zarr")
    measured = {s.name: s for s in run(CalibrateSettings(model, (store.path, faces.path), "cpu"))}
    assert {"audiovisual", "image"} <= set(measured)
    assert measured["image"].rmse == pytest.approx((0.1, 0.1), abs=0.01)
    for state in measured.values():
        assert 0.55 < state.coverage[0] < 0.8
        assert state.coverage[1] > 0.9
    after = predict_sequence(load_run(model), rows, rows.times_s)
    assert (np.abs(after.values) <= np.abs(before.values) + 1e-6).all()
    assert not np.array_equal(after.uncertainty, before.uncertainty)
    images = faces.video("faces").feature("compact")[0]
    read = predict_images(load_run(model), images, "f", np.arange(400.0), np.zeros(400))
    assert read.uncertainty.mean() == pytest.approx(0.1, abs=0.02)
    remove_calibration(model)


def without_faces(store: Store, path, features: tuple[str, ...]) -> Store:
    """The same videos without visual features."""
    shutil.copytree(store.path, path)
    no_faces = Store.open(path)
    for view in no_faces.videos():
        for name in features:
            rows = np.full_like(view.feature(name)[0], np.nan)
            no_faces.put_feature(
                view.id, view.part_attrs(f"feature/{name}"), rows, np.ones(len(rows), np.uint8)
            )
    return no_faces


def test_recordings_without_a_face_are_calibrated_as_audio_only(model, store, tmp_path):
    visual = next(s for s in load_run(model).recipe.model.streams if s.name == VISUAL)
    no_faces = without_faces(store, tmp_path / "no_faces.zarr", visual.features)
    (measured,) = run(CalibrateSettings(model, (no_faces.path,), "cpu"))
    assert measured.name == FrameState.AUDIO_ONLY
    calibrated = load_run(model)
    views = [v for v in no_faces.videos() if v.part_attrs("label")["split"] == "validation"]
    rows = open_sequences(views, calibrated.recipe.model)

    def predicted(audio_only: bool) -> tuple[np.ndarray, np.ndarray]:
        variant = with_audio_only(calibrated, audio_only)
        predictions = [predict_sequence(variant, r, v.times_s) for r, v in zip(rows, views, strict=True)]
        present = np.concatenate([m.states for m in predictions]) != FrameState.NONE
        return np.concatenate([m.values for m in predictions])[present], present

    target = np.concatenate([v.labels() for v in views])
    after, present = predicted(True)
    known = np.isfinite(target[present]).all(axis=1)
    error = (after - target[present])[known]
    assert measured.frames == len(error)
    assert measured.rmse == pytest.approx(np.sqrt(np.square(error).mean(axis=0)), abs=1e-5)
    constant = np.sqrt(np.square(target[present][known]).mean(axis=0))
    assert (np.array(measured.rmse) <= constant + 0.01).all()
    first = audio_only_model(model)
    run(CalibrateSettings(model, (no_faces.path,), "cpu"))
    assert audio_only_model(model) == first  # not shrunk twice
    remove_calibration(model)


def test_a_model_without_a_visual_stream_is_audio_only(store, tmp_path):
    tiny = tuple(assignment for assignment in TINY if "visual" not in assignment)
    trained = train.TrainSettings(
        store=store.path,
        out=tmp_path / "run",
        preset="compact-audio",
        assignments=tiny,
        device="cpu",
        folds=2,
    )
    train.run(trained)
    measured = run(CalibrateSettings(trained.out, (store.path,), "cpu"))
    assert [state.name for state in measured] == [FrameState.AUDIO_ONLY]


def test_a_speech_reference_makes_non_speech_zero(store, model, tmp_path):
    visual = next(s for s in load_run(model).recipe.model.streams if s.name == VISUAL)
    no_faces = without_faces(store, tmp_path / "no_faces.zarr", visual.features)
    (measured,) = run(CalibrateSettings(model, (no_faces.path,), "cpu", speech_reference=store.path))
    assert (measured.name, measured.frames > 200) == (FrameState.AUDIO_ONLY, True)
    run_ = with_audio_only(load_run(model), True)
    (rows, *_), (view, *_) = open_sequences(no_faces.videos(), run_.recipe.model), no_faces.videos()
    assert set(predict_sequence(run_, rows, view.times_s).states.tolist()) <= {
        FrameState.AUDIO_ONLY,
        FrameState.NONE,
    }
    constant = {
        name: np.full((90, dim), np.nan if name == VISUAL else 0.1) for name, dim in rows.dims.items()
    }
    note = FeatureSequence(video="held note", times_s=np.arange(90) / 25, streams=constant)
    predicted = predict_sequence(run_, note, note.times_s)
    assert set(predicted.states.tolist()) == {FrameState.NON_SPEECH}
    assert not predicted.values.any()
    prior_std = audio_only_model(model).prior_std
    np.testing.assert_allclose(predicted.uncertainty, [prior_std] * 90, rtol=1e-6)
    assert run(CalibrateSettings(model, (no_faces.path,), "cpu")) == [measured]  # the detector is kept
    remove_calibration(model)


def test_a_speech_reference_without_audio_raises(model, store, tmp_path):
    faces = Store.open_or_create(tmp_path / "silent.zarr")
    with pytest.raises(StoreError, match="has no audio features"):
        run(CalibrateSettings(model, (store.path,), "cpu", speech_reference=faces.path))


def test_errors_on_a_left_out_corpus_replace_those_of_the_same_states(model, store, tmp_path):
    faces = image_store(tmp_path / "faces.zarr")
    own = {s.name: s for s in run(CalibrateSettings(model, (store.path, faces.path), "cpu"))}
    alike = load_run(model).postprocess.calibration
    shutil.copytree(store.path, tmp_path / "other.zarr")
    other = Store.open(tmp_path / "other.zarr")
    for view in other.videos():
        put_labels(other, view.id, view.labels() + 0.4, view.part_attrs("label")["split"])
    settings = CalibrateSettings(model, (store.path, faces.path), "cpu", left_out=((model, other.path),))
    measured = {s.name: s for s in run(settings)}
    assert measured.keys() == own.keys()
    assert measured["image"] == own["image"]
    made = load_run(model).postprocess.calibration
    assert made.states["image"] == alike.states["image"]
    assert min(made.states["audiovisual"].floor) > min(alike.states["audiovisual"].floor)
    remove_calibration(model)


def test_each_left_out_corpus_is_a_condition_of_the_fit(model, store, tmp_path, monkeypatch):
    fit, seen = Calibration.fit, []

    def observed(output, labels, weights, conditions) -> Calibration:
        seen.append(np.unique(conditions[np.isfinite(labels).all(axis=1)]).size)
        return fit(output, labels, weights, conditions)

    shutil.copytree(store.path, tmp_path / "other.zarr")
    left_out = ((model, store.path), (model, tmp_path / "other.zarr"))
    monkeypatch.setattr(Calibration, "fit", observed)
    run(CalibrateSettings(model, (store.path,), "cpu", left_out=left_out))
    assert seen == [1, 2]
    remove_calibration(model)


def test_a_left_out_run_with_another_model_is_refused(model, store, tmp_path):
    trained = train.TrainSettings(
        store=store.path,
        out=tmp_path / "run",
        preset="compact",
        assignments=(*TINY, "model.tcn.kernel=5"),
        device="cpu",
        folds=2,
    )
    train.run(trained)
    with pytest.raises(RunError, match="have different models"):
        run(CalibrateSettings(model, (store.path,), "cpu", left_out=((trained.out, store.path),)))


def test_an_invalid_speech_detector_file_raises(model, tmp_path):
    shutil.copytree(model, tmp_path / "run")
    save_file({"centre": np.zeros(2)}, tmp_path / "run" / SPEECH_FILE)
    with pytest.raises(RunError, match="no speech detector"):
        load_run(tmp_path / "run")


def test_the_expected_error_of_faces_is_fitted_and_used(tmp_path):
    bundled = shutil.copytree(BUNDLED, tmp_path / "run")
    made = load_run(bundled).features["compact"]
    faces = image_store(tmp_path / "faces.zarr", feature=spec(made["settings"]["weights"])).path
    (measured,) = run(CalibrateSettings(bundled, (faces,), "cpu", face_reference=faces))
    assert measured.name == "image"
    assert measured.rmse == pytest.approx((0.1, 0.1), abs=0.02)
    images, calibrated = Store.open(faces).video("faces").feature("compact")[0], load_run(bundled)
    expected = calibrated.face_error.expected(images)
    np.testing.assert_allclose(np.sqrt(np.square(expected).mean(axis=0)), 0.1, atol=0.03)
    clear, unclear = (
        predict_images(calibrated, images, "f", np.arange(400.0), np.full(400, difficulty))
        for difficulty in (0.0, 1.0)
    )
    np.testing.assert_array_equal(clear.uncertainty, unclear.uncertainty)


def test_a_face_reference_needs_the_bundled_features(model, store, tmp_path):
    with pytest.raises(RunError, match="does not predict from `compact`"):
        run(CalibrateSettings(model, (store.path,), "cpu", face_reference=store.path))
    bundled = shutil.copytree(BUNDLED, tmp_path / "run")
    with pytest.raises(StoreError, match="has no faces"):
        run(CalibrateSettings(bundled, (store.path,), "cpu", face_reference=store.path))
    save_file({"mean": np.zeros(2)}, bundled / FACE_ERROR_FILE)
    (bundled / DIGESTS_FILE).unlink()
    with pytest.raises(RunError, match="no model of the error of faces"):
        load_run(bundled)


def test_features_of_another_extractor_are_refused(model, store, tmp_path):
    shutil.copytree(store.path, tmp_path / "s.zarr")
    other = Store.open(tmp_path / "s.zarr")
    view = next(v for v in other.videos() if v.part_attrs("label")["split"] == "validation")
    values, flags = view.feature(affwild2.VISUAL)
    about = view.part_attrs(f"feature/{affwild2.VISUAL}")
    spec = FeatureSpec(name=affwild2.VISUAL, version="2", modality=about["modality"], dim=values.shape[1])
    other.put_feature(view.id, spec.attributes(), values, flags)
    with pytest.raises(RunError, match=f"{affwild2.VISUAL} with version 1, not 2"):
        run(CalibrateSettings(model, (other.path,)))


def test_training_videos_are_left_out(model, tmp_path):
    with pytest.raises(LabelError, match="no labelled videos to calibrate on"):
        run(CalibrateSettings(model, (image_store(tmp_path / "faces.zarr", "train").path,), "cpu"))


def test_too_few_labelled_frames_raise(model, tmp_path, monkeypatch):
    monkeypatch.setattr("vacli.inference.calibration.MIN_FRAMES", 401)
    with pytest.raises(LabelError, match="every state has fewer than"):
        run(CalibrateSettings(model, (image_store(tmp_path / "faces.zarr").path,), "cpu"))
    assert not (model / CALIBRATION_FILE).exists()


def test_states_with_too_few_frames_are_named(model, store, tmp_path, monkeypatch):
    faces, progress = image_store(tmp_path / "faces.zarr"), RecordingProgress()
    for module in ("vacli.inference.calibration", "vacli.steps.calibrate"):
        monkeypatch.setattr(f"{module}.MIN_FRAMES", 400)
    run(CalibrateSettings(model, (store.path, faces.path), "cpu"), progress)
    few = [text for text in progress.warnings if "too few" in text]
    assert any(text.startswith("audiovisual: ") for text in few)
    assert all(text.endswith("they get the largest ones of the other states") for text in few)
    assert not any(text.startswith("image: ") for text in few)
    remove_calibration(model)


@pytest.mark.parametrize("harm", [b"{}", b"", None])
def test_a_changed_or_missing_calibration_raises_until_it_is_fitted_again(model, store, harm):
    first = run(CalibrateSettings(model, (store.path,), "cpu"))
    if harm is None:
        (model / CALIBRATION_FILE).unlink()
    else:
        (model / CALIBRATION_FILE).write_bytes(harm)
    with pytest.raises(RunError, match=r"calibration\.json (is missing|does not match)") as caught:
        load_run(model)
    assert "va calibrate" in caught.value.hint
    assert run(CalibrateSettings(model, (store.path,), "cpu")) == first
    assert load_run(model).postprocess.calibration is not None
    remove_calibration(model)


def test_a_damaged_calibration_raises(model):
    (model / CALIBRATION_FILE).write_text(json.dumps({"audio": {"floor": 1}}))
    with pytest.raises(RunError, match=r"calibration\.json is not a calibration"):
        load_run(model)
    remove_calibration(model)
