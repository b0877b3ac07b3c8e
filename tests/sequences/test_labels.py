"""Filled labels are never scored; refined labels depend on the training videos only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from synth import affwild2, stores

from vacli.datasets.annotations import ANNOTATED, FROM_EXPRESSION, INTERPOLATED, REPAIRED
from vacli.sequences.labels import annotated_labels, read_annotation, training_labels
from vacli.steps import import_labels
from vacli.store import Store

FRAMES = 600


def trials() -> list[affwild2.Trial]:
    """Four videos whose labels follow the expression, with gaps and one contradiction each."""
    rng = np.random.default_rng(3)
    made = []
    for number in range(4):
        expression = np.repeat(rng.permutation(4), FRAMES // 4)
        centre = np.array([(0.0, 0.0), (0.8, 0.5), (-0.7, 0.4), (-0.3, -0.6)])[expression]
        labels = (centre + rng.normal(0, 0.02, (FRAMES, 2))).clip(-1, 1).astype(np.float32)
        labels[20:60] = np.nan
        labels[200:210] = np.nan
        labels[300] = -np.sign(labels[300]) * 0.99
        made.append(
            affwild2.Trial(
                name=f"t{number}",
                split="train" if number < 3 else "validation",
                visual=np.zeros((FRAMES, 2)),
                audio=np.zeros((FRAMES, 2)),
                labels=labels,
                expression=expression,
            )
        )
    return made


def refined(views) -> list[np.ndarray]:
    return training_labels([read_annotation(view) for view in views])


def imported(folder, made) -> Store:
    affwild2.write_annotations(folder / "annotations", made)
    store = stores.empty(folder / "s.zarr")
    for trial in made:
        stores.add_video(store, trial.name, FRAMES)
    settings = import_labels.ImportLabelsSettings(
        annotations=folder / "annotations", store=store.path, refine="fill+repair"
    )
    import_labels.run(settings)
    return store


@pytest.fixture
def store(tmp_path):
    return imported(tmp_path, trials())


def test_only_annotated_frames_have_scored_labels(store):
    view, written = store.video("t0"), trials()[0].labels
    source = view.read("label/source")
    assert {ANNOTATED, INTERPOLATED, FROM_EXPRESSION, REPAIRED} <= set(source.tolist())
    assert np.isfinite(view.labels()).all()
    np.testing.assert_allclose(annotated_labels(view), written, atol=1e-3)


def test_a_repaired_frame_keeps_its_original_label(store):
    view, written = store.video("t0"), trials()[0].labels
    assert view.read("label/source")[300] == REPAIRED
    np.testing.assert_allclose(view.read("label/original")[300], written[300], atol=1e-3)
    assert np.abs(view.labels()[300] - written[300]).max() > 0.3
    assert np.isnan(np.delete(view.read("label/original"), 300, axis=0)).all()


def test_a_repaired_frame_of_an_earlier_store_is_not_scored(store):
    view = store.video("t0")
    with store.stage("t1", "label", view.part_attrs("label")) as writer:
        for name in ("valence", "arousal", "source"):
            writer.append(name, view.read(f"label/{name}"))
    assert np.isnan(annotated_labels(store.video("t1"))[300]).all()


def test_labels_without_a_source_are_annotated(tmp_path):
    store = stores.empty(tmp_path / "plain.zarr")
    stores.add_video(store, "v", 3)
    labels = np.array([[0.1, 0.2], [np.nan, 0.1], [0.3, 0.4]], np.float32)
    stores.put_labels(store, "v", labels)
    np.testing.assert_array_equal(annotated_labels(store.video("v")), labels)
    (trained,) = refined(store.videos())
    np.testing.assert_array_equal(trained, labels)


def test_refinement_on_the_official_training_set_equals_the_stored_labels(store):
    views = [store.video(f"t{number}") for number in range(3)]
    for view, labels in zip(views, refined(views), strict=True):
        np.testing.assert_array_equal(labels, view.labels())


def test_labels_of_held_out_videos_do_not_change_training_labels(store, tmp_path):
    changed = trials()
    changed[1] = replace(changed[1], labels=-changed[1].labels)
    other = imported(tmp_path / "other", changed)
    fold = ("t0", "t2")  # t1 is held out
    stored = [np.array_equal(store.video(v).labels(), other.video(v).labels()) for v in fold]
    assert not any(stored)
    for one, two in zip(*(refined([s.video(v) for v in fold]) for s in (store, other)), strict=True):
        np.testing.assert_array_equal(one, two)
