"""Labels that are random for each person cannot be predicted for new people through the whole line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synth.identity_faces import identity_store

from vacli.errors import RunError, UsageError
from vacli.features.encoder_frames import read_encoder_frames
from vacli.features.flags import ENCODER_TRAINING
from vacli.inference.prediction import predict_sequence
from vacli.inference.run import load_run
from vacli.progress import RecordingProgress
from vacli.sequences.stored import open_sequences
from vacli.steps import crossval, evaluate, extract_visual, finetune_mae, train
from vacli.store import Store

PERSON = r"^p\d+"
PEOPLE, SESSIONS = 60, 3  # chance alone gives CCCs with a standard deviation of 0.1 over seeds
HELD_OUT = PEOPLE * SESSIONS // 2  # videos a fold
SMALL = (
    "model.streams.visual.features=['compact']",
    "model.streams.visual.dim=128",
    "model.streams.visual.tcn={channels=[16], kernel=3, dropout=0.0}",
    "model.temporal={n_layers=1, d_model=16, n_heads=2, dim_feedforward=16, dropout=0.0}",
    "window={length_frames=2, stride_frames=2}",
    "training.epochs=15",
    "training.batch_size=4",
    "training.keep=last",  # so that the held-out videos select nothing
    "training.optim.lr=3e-3",
    "training.schedule.warmup_epochs=1",
)


def settings(store: Store, out: Path, **changes) -> crossval.CrossvalSettings:
    return crossval.CrossvalSettings(
        train=train.TrainSettings(
            store=store.path,
            out=out,
            preset="visual-only",
            assignments=SMALL,
            folds=2,
            device="cpu",
            **changes,
        ),
        encoder=finetune_mae.FinetuneMaeSettings(
            stores=(),
            out=out,
            encoder="compact",
            from_scratch=True,
            epochs=20,
            batch_size=32,
            frame_stride=2,
            device="cpu",
        ),
        force=True,  # both runs name their features compact@fold1 and compact@fold2
    )


def scored(run: Path):
    (result,) = evaluate.run(evaluate.EvaluateSettings(inputs=(run,), device="cpu")).results
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("crossval")


@pytest.fixture(scope="module")
def store(folder):
    return identity_store(folder / "s.zarr", people=PEOPLE, sessions=SESSIONS, frames=2, seed=1)


@pytest.fixture(scope="module")
def by_video(store, folder):
    """The scores of folds that put one session of a person on each side."""
    crossval.run(settings(store, folder / "video", fold=1))
    return scored(folder / "video")


@pytest.fixture(scope="module")
def by_subject(store, folder, by_video):
    """The run of folds that keep the sessions of a person together; it replaces the features."""
    crossval.run(settings(store, folder / "subject", subject_pattern=PERSON))
    return folder / "subject"


def test_random_labels_of_new_people_are_not_predicted(by_subject):
    result = scored(by_subject)
    assert abs(result.ccc["mean"]) < 0.2
    assert result.folds.folds == 2
    assert any(f"Held out by subject: {PEOPLE} subjects" in note for note in result.notes)


def test_random_labels_of_known_people_are_predicted(by_video):
    assert by_video.ccc["mean"] > 0.35  # so that the test above can fail
    assert any("Held out by video" in note for note in by_video.notes)


def test_no_encoder_has_used_a_held_out_person(by_subject):
    for number in (1, 2):
        data = json.loads((by_subject / f"fold_{number}" / "data.json").read_text())
        held_out = {data["subjects"][video] for video in data["validation"]}
        record = read_encoder_frames(by_subject / f"encoder_{number}")
        used = [*record.train, *record.validation]
        assert {u.video for u in used} == set(data["train"])
        assert not {u.subject for u in used} & held_out
        assert not {u.subject for u in record.train} & {u.subject for u in record.validation}
        assert not any("encoder was fine-tuned" in note for note in data["notes"])


def test_training_frames_of_the_encoder_are_marked_and_left_out(by_subject, store):
    record = read_encoder_frames(by_subject / "encoder_1")
    data = json.loads((by_subject / "fold_1" / "data.json").read_text())
    assert data["excluded_frames"] == sum(len(used.rows) for used in record.train)
    used = record.train[0]
    view = store.video(used.video)
    flags = view.read("flag/compact@fold1")
    assert np.flatnonzero(flags & ENCODER_TRAINING).tolist() == used.rows.tolist() == [0]
    exposure = view.part_attrs("feature/compact@fold1")["encoder_data"]
    assert exposure["video"] == "training"
    unseen = store.video(next(iter(data["validation"]))).part_attrs("feature/compact@fold1")
    assert set(unseen["encoder_data"].values()) == {""}


def test_the_same_command_keeps_what_is_complete(by_subject, store):
    files = [
        by_subject / f"{kind}_{n}" / "weights.safetensors" for kind in ("encoder", "fold") for n in (1, 2)
    ]
    before = [(path.stat().st_mtime_ns, path.read_bytes()) for path in files]
    again = replace(settings(store, by_subject, subject_pattern=PERSON), force=False)
    progress = RecordingProgress()
    crossval.run(again, progress)
    steps = [message for message in progress.messages if message.startswith("step ")]
    names = ("finetune-mae", "extract-visual", "train")
    assert steps == [f"step {n} of 3: {name}" for n, name in enumerate(names, 1)] * 2
    assert [(path.stat().st_mtime_ns, path.read_bytes()) for path in files] == before


def test_folds_with_encoders_of_their_own_do_not_form_an_ensemble(by_subject, store):
    run = load_run(by_subject)
    (rows,) = open_sequences([store.video("p00-0")], run.recipe.model)
    with pytest.raises(RunError, match=r"each fold of .* has an encoder of its own") as caught:
        predict_sequence(run, rows, rows.times_s)
    assert "fold_1" in caught.value.hint
    single = load_run(by_subject / "fold_1")
    assert predict_sequence(single, rows, rows.times_s).values.shape == (2, 2)


def test_one_encoder_for_all_folds_is_reported(by_subject, store, folder):
    """One fine-tuning on all people, as before `va crossval`: every fold is warned of."""
    shared = replace(
        settings(store, folder).encoder,
        stores=(store.path,),
        out=folder / "shared",
        subject_pattern=PERSON,
        epochs=1,
    )
    finetune_mae.run(shared)
    extract_visual.run(
        extract_visual.ExtractVisualSettings(
            inputs=(store.path,), feature="compact", tag="shared", weights=shared.out, device="cpu"
        )
    )
    progress = RecordingProgress()
    feature = "model.streams.visual.features=['compact@shared']"
    base = settings(store, folder / "leaky", subject_pattern=PERSON).train
    train.run(replace(base, assignments=(*SMALL, feature, "training.epochs=1")), progress)
    text = f"fine-tuned on the subject of {HELD_OUT} of {HELD_OUT} held-out videos"
    assert sum(text in warning for warning in progress.warnings) == 2
    assert sum(text in note for note in scored(folder / "leaky").notes) == 2


def test_a_recipe_without_the_feature_of_the_encoder_is_refused(store, folder):
    wrong = settings(store, folder / "none")
    wrong = replace(wrong, encoder=replace(wrong.encoder, encoder="test_vit"))
    with pytest.raises(UsageError, match="no stream with the feature test_vit") as caught:
        crossval.run(wrong)
    assert "--set" in caught.value.hint
    assert not (folder / "none").exists()


def test_features_of_other_encoders_are_not_replaced_without_force(by_subject, store, folder):
    other = replace(settings(store, folder / "other", fold=1), force=False)
    other = replace(other, encoder=replace(other.encoder, epochs=1))
    with pytest.raises(RunError, match=f"{PEOPLE * SESSIONS} videos have no feature of fold 1") as caught:
        crossval.run(other)
    assert "--force" in caught.value.hint
    assert not (folder / "other" / "fold_1").exists()
