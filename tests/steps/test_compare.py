"""`va compare` on runs and predictions of the synthetic dataset."""

from __future__ import annotations

import json

import numpy as np
import pytest
from synth import affwild2, recipes

from vacli.errors import UsageError
from vacli.metrics import ccc
from vacli.steps import train
from vacli.steps.compare import CompareSettings, run
from vacli.steps.evaluate import EvaluateSettings
from vacli.steps.evaluate import run as evaluate


@pytest.fixture(scope="module")
def trials():
    return affwild2.make(affwild2.World(videos=8, frames=120))


@pytest.fixture(scope="module")
def store(tmp_path_factory, trials):
    return affwild2.write_store(tmp_path_factory.mktemp("compare") / "s.zarr", trials).path


@pytest.fixture(scope="module")
def runs(store, tmp_path_factory):
    """Two official runs of other lengths, and a cross-validation."""
    folder = tmp_path_factory.mktemp("compare")
    options = {"long": (3, None), "short": (1, None), "folds": (1, 2)}
    for name, (epochs, folds) in options.items():
        assignments = (*recipes.COMPACT, f"training.epochs={epochs}", "training.batch_size=4")
        train.run(
            train.TrainSettings(
                store=store, out=folder / name, assignments=assignments, folds=folds, device="cpu"
            )
        )
    return folder


def test_runs_are_compared_on_the_videos_that_both_hold_out(runs, trials):
    made = run(CompareSettings(first=runs / "long", second=runs / "short"))
    (group,) = made.comparison.groups
    assert group.videos == sum(t.split == "validation" for t in trials)
    scores = [evaluate(EvaluateSettings(inputs=(runs / name,))).results[0].ccc for name in ("long", "short")]
    for name, difference in group.differences.items():
        assert (difference.first, difference.second) == pytest.approx((scores[0][name], scores[1][name]))
        low, high = difference.interval
        rounding = 1e-12  # a draw of the same videos in another order
        assert low - rounding <= difference.value <= high + rounding
    assert f"{group.differences['valence'].value:+.3f}" in made.text
    assert "Difference: long minus short" in made.text


def test_json_has_the_difference_of_each_dimension(runs):
    made = run(CompareSettings(first=runs / "long", second=runs / "short", format="json"))
    values = json.loads(made.text)
    mean = made.comparison.groups[0].differences["mean"]
    assert values["groups"][0]["mean"]["difference"] == pytest.approx(mean.value)
    assert values["groups"][0]["mean"]["interval"] == pytest.approx(list(mean.interval))
    assert (values["first"], values["second"], values["resamples"]) == ("long", "short", 2000)


@pytest.mark.parametrize(("form", "part"), [("markdown", "|:"), ("latex", r"\toprule")])
def test_other_formats(runs, form, part):
    assert part in run(CompareSettings(first=runs / "long", second=runs / "short", format=form)).text


def test_runs_without_common_held_out_videos_are_refused(runs):
    """The folds are of the training set, the official run holds out the validation set."""
    with pytest.raises(UsageError, match="no common held-out video") as caught:
        run(CompareSettings(first=runs / "long", second=runs / "folds"))
    assert "\n" not in caught.value.one_line()
    on_split = CompareSettings(first=runs / "long", second=runs / "folds", split="validation")
    assert run(on_split).comparison.groups[0].videos > 0


def test_predictions_are_compared_with_a_run(tmp_path, runs, store, trials):
    for trial in trials:
        rows = [
            f"{i / affwild2.RATE_HZ:.6f},{v:.6f},{a:.6f}"
            for i, (v, a) in enumerate(np.nan_to_num(trial.labels))
        ]
        (tmp_path / f"{trial.name}.csv").write_text("\n".join(["time_s,valence,arousal", *rows]) + "\n")
    made = run(CompareSettings(first=tmp_path, second=runs / "long", store=store)).comparison
    held = [t for t in trials if t.split == "validation"]
    labels = np.concatenate([t.labels for t in held])
    assert made.groups[0].differences["valence"].first == pytest.approx(
        ccc(np.nan_to_num(labels[:, 0]), labels[:, 0]), abs=1e-4
    )
    assert made.only_first == len(trials) - len(held)
    assert made.groups[0].differences["mean"].share_above_0 == 1


@pytest.mark.parametrize(
    ("change", "message"), [({"format": "xml"}, "--format xml"), ({"split": "dev"}, "--split dev")]
)
def test_unknown_values_are_refused(runs, change, message):
    with pytest.raises(UsageError, match=message):
        run(CompareSettings(first=runs / "long", second=runs / "short", **change))
