"""A run records and reports the subjects, the split and the encoder frames of its videos."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from synth import affwild2, recipes, stores

from vacli.datasets.annotations import ANNOTATED, INTERPOLATED
from vacli.errors import RunError, UsageError
from vacli.features.flags import ENCODER_TRAINING
from vacli.progress import RecordingProgress
from vacli.steps import calibrate, evaluate, train
from vacli.store import Store

TINY = (*recipes.COMPACT, "training.epochs=1", "training.batch_size=4")
VIDEOS, FRAMES = 6, 120


def planted(folder, *, split=False, subjects=None) -> Store:
    """Six videos; subjects: video number -> subject of its labels."""
    trials = affwild2.make(affwild2.World(videos=VIDEOS + 4, frames=FRAMES))[4:]
    trials = [replace(t, name=f"v{i}", split=t.split if split else "") for i, t in enumerate(trials)]
    store = affwild2.write_store(folder / "s.zarr", trials)
    for number, subject in (subjects or {}).items():
        set_labels(store, f"v{number}", subject=subject)
    return store


def set_labels(store, video, labels=None, source=None, **attributes) -> None:
    """Replace the labels of a video, with further attributes."""
    view = store.video(video)
    labels = view.labels() if labels is None else labels
    with store.stage(video, "label", {**view.part_attrs("label"), **attributes}) as writer:
        writer.append("valence", labels[:, 0])
        writer.append("arousal", labels[:, 1])
        if source is not None:
            writer.append("source", source)


def trained(store, out, progress=None, **changes):
    changes = {"assignments": TINY, "preset": "compact", "device": "cpu", **changes}
    train.run(train.TrainSettings(store=store.path, out=out, **changes), progress)
    return json.loads((out / "data.json").read_text())


def evaluated(run, **changes):
    settings = evaluate.EvaluateSettings(inputs=(run,), device="cpu", **changes)
    (result,) = evaluate.run(settings).results
    return result


def test_a_run_without_subjects_is_held_out_by_video(tmp_path):
    progress = RecordingProgress()
    run = tmp_path / "run"
    data = trained(planted(tmp_path), run, progress)
    assert (data["basis"], set(data["subjects"].values())) == ("video", {None})
    card = (run / "card.md").read_text()
    shown = [" ".join(progress.messages), card, " ".join(evaluated(run).notes)]
    assert all("eld out by video" in text for text in shown)
    assert not any("people" in text or "by subject" in text for text in (*progress.messages, data["split"]))


def test_two_sessions_of_a_subject_are_on_one_side(tmp_path):
    store = planted(tmp_path)
    table = tmp_path / "subjects.csv"
    people = {f"v{i}": f"person {i % 3}" for i in range(VIDEOS)}
    rows = [f"{video},{subject}" for video, subject in people.items()]
    table.write_text("\n".join(["video,subject", *rows]))
    run = tmp_path / "run"
    data = trained(store, run, subjects=table)
    assert data["subjects"] == people
    assert data["basis"] == "subject"
    assert "by subject" in data["split"]
    sides = [{people[video] for video in data[side]} for side in ("train", "validation")]
    assert not sides[0] & sides[1]
    assert len(data["validation"]) == 2
    assert any("by subject: 3 subjects" in note for note in evaluated(run).notes)


def test_subjects_of_the_labels_and_a_pattern_give_the_same_split(tmp_path):
    one = trained(planted(tmp_path, subjects={i: f"v{i // 4}" for i in range(6)}), tmp_path / "a")
    two = trained(Store.open(tmp_path / "s.zarr"), tmp_path / "b", subject_pattern=r"v[0-3]|v")
    assert one["basis"] == two["basis"] == "subject"
    assert {one["subjects"][v] for v in one["train"]} != {one["subjects"][v] for v in one["validation"]}


def test_partly_known_subjects_are_refused(tmp_path):
    store = planted(tmp_path, subjects={0: "ann", 1: "bob"})
    with pytest.raises(UsageError, match=r"4 of 6 videos have no subject \(v2, v3, v4\)"):
        trained(store, tmp_path / "run")


def test_subjects_on_both_sides_of_the_official_split_are_counted(tmp_path):
    store = planted(tmp_path, split=True, subjects={i: f"p{i % 3}" for i in range(VIDEOS)})
    progress = RecordingProgress()
    data = trained(store, tmp_path / "run", progress)
    assert data["basis"] == "official"
    shared = {data["subjects"][v] for v in data["train"]} & {data["subjects"][v] for v in data["validation"]}
    text = f"{len(shared)} subjects are in both the training and the held-out videos"
    assert shared
    assert any(text in warning for warning in progress.warnings)
    assert any(text in note for note in evaluated(tmp_path / "run").notes)
    assert text in (tmp_path / "run" / "card.md").read_text()


def test_filled_labels_of_held_out_videos_are_never_scored(tmp_path):
    store = planted(tmp_path)
    run = tmp_path / "run"
    before = trained(store, run)
    (held_out, *_) = before["validation"]
    whole = evaluated(run)
    labels = store.video(held_out).labels()
    source = np.full(len(labels), ANNOTATED, np.uint8)
    source[:40] = INTERPOLATED
    filled = labels.copy()
    filled[:40] = -0.9
    set_labels(store, held_out, filled, source, refine="fill")
    masked = evaluated(run)
    scored = [{v.video: v.frames for v in r.scores[0].videos}[held_out] for r in (whole, masked)]
    assert scored[0] - scored[1] == np.isfinite(labels[:40]).all(axis=1).sum()
    first = (run / "metrics.jsonl").read_text()
    trained(store, tmp_path / "again")
    row, again = (json.loads(t) for t in (first, (tmp_path / "again" / "metrics.jsonl").read_text()))
    assert again["loss"] == row["loss"]
    masked = evaluated(tmp_path / "again").scores[0].pooled["ccc_valence"]
    assert again["valence"] == pytest.approx(masked, abs=1e-6)
    assert again["valence"] != row["valence"]


def with_encoder_frames(store, frames, video_use):
    """Flag the frames of each video that trained the encoder; video_use: video -> use of the video."""
    for view in store.videos():
        values, flags = view.feature(affwild2.VISUAL)
        spec = stores.spec(affwild2.VISUAL, values.shape[1]).attributes()
        flags[: frames.get(view.id, 0)] |= ENCODER_TRAINING
        use = {"video": video_use.get(view.id, ""), "subject": ""}
        store.put_feature(view.id, {**spec, "encoder_data": use}, values, flags)


def test_encoder_frames_do_not_count_in_the_loss(tmp_path):
    store = planted(tmp_path)
    data = trained(store, tmp_path / "plain")
    first = next(iter(data["train"]))
    with_encoder_frames(store, {first: 60}, {first: "training"})
    labelled = int(np.isfinite(store.video(first).labels()[:60]).all(axis=1).sum())
    excluded = trained(store, tmp_path / "excluded")
    assert excluded["excluded_frames"] == labelled
    assert f"{labelled} of" in (tmp_path / "excluded" / "card.md").read_text()
    included = trained(store, tmp_path / "included", exclude_encoder_frames=False)
    assert "excluded_frames" not in included
    assert any(f"{labelled} frames that also trained the encoder" in note for note in included["notes"])
    losses = [json.loads((tmp_path / n / "metrics.jsonl").read_text())["loss"] for n in ("plain", "included")]
    assert losses[0] == losses[1]
    assert json.loads((tmp_path / "excluded" / "metrics.jsonl").read_text())["loss"] != losses[0]


def test_an_encoder_trained_on_all_frames(tmp_path):
    store = planted(tmp_path)
    with_encoder_frames(store, {f"v{i}": 1000 for i in range(VIDEOS)}, {})
    with pytest.raises(UsageError, match="so none is left"):
        trained(store, tmp_path / "a", exclude_encoder_frames=True)
    data = trained(store, tmp_path / "b")
    assert any("no other labelled frame is left" in note for note in data["notes"])


@pytest.mark.parametrize("use", ["training", "early stopping"])
@pytest.mark.parametrize("by", ["video", "subject"])
def test_an_encoder_that_used_a_held_out_video_or_subject_is_reported(tmp_path, use, by):
    subjects = {i: f"p{i % 3}" for i in range(VIDEOS)} if by == "subject" else None
    store = planted(tmp_path, subjects=subjects)
    data = trained(store, tmp_path / "plain")
    assert not any("encoder" in note for note in data["notes"])
    seen = next(iter(data["validation"]))
    with_encoder_frames(store, {}, {seen: use})
    progress = RecordingProgress()
    trained(store, tmp_path / "run", progress)
    count = 2 if by == "subject" else 1
    text = f"fine-tuned on the {by} of {count} of {len(data['validation'])} held-out videos"
    assert any(text in warning for warning in progress.warnings)
    assert text in (tmp_path / "run" / "card.md").read_text()
    result = evaluate.run(evaluate.EvaluateSettings(inputs=(tmp_path / "run",), device="cpu", format="json"))
    assert any(text in note for note in json.loads(result.text)[0]["notes"])
    notes = evaluated(tmp_path / "run", split="all").notes
    assert any("fine-tuned on 1 of 6 videos" in note for note in notes)
    assert any(f"{len(data['train'])} of 6 videos are training videos" in note for note in notes)


def test_calibration_on_training_videos_is_refused(tmp_path):
    store = planted(tmp_path)
    run = tmp_path / "run"
    data = trained(store, run)
    settings = calibrate.CalibrateSettings(run, (store.path,), "cpu")
    with pytest.raises(RunError, match=f"trained on {len(data['train'])} of 6 videos") as caught:
        calibrate.run(settings)
    assert "--allow-training-data" in caught.value.hint
    progress = RecordingProgress()
    assert calibrate.run(replace(settings, allow_training_data=True), progress)
    assert any("the error bars are too small" in warning for warning in progress.warnings)
