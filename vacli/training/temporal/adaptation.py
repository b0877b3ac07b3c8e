"""Training that starts from a trained run: its weights, its normalisation and its licence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from vacli.errors import RunError, UsageError
from vacli.files.digests import file_sha256
from vacli.files.run_directory import DATA_FILE, WEIGHTS_FILE, read_json, read_tensors
from vacli.inference.run import BUNDLED, BUNDLED_AUDIO, read_recipe, trained_folders
from vacli.recipe.schema import Augment, Freeze, Recipe

BUNDLED_RUNS = {"bundled": BUNDLED, "bundled-audio": BUNDLED_AUDIO}  # names of the package's models
BUNDLED_LICENCE = "CC BY-NC-SA 4.0 (RAVDESS), not for commercial use; see the bundled model's card"
UNKNOWN_LICENCE = "that of the run it started from; see the run's card"
INIT = "init"  # key of DATA_FILE
TRAINED_PARTS: dict[Freeze, tuple[str, ...]] = {
    "none": ("",),
    "all-but-last": ("temporal.", "head."),
    "all-but-head": ("head.",),
}
LEARNING_RATES: dict[Freeze, float] = {"none": 1e-4, "all-but-last": 3e-4, "all-but-head": 1e-2}
EPOCHS, BATCH_SIZE = 30, 4  # a few minutes of video are only some dozens of windows


@dataclass(frozen=True, kw_only=True)
class InitialWeights:
    """A trained model that a training starts from.

    run: the run directory. member: the folder of the model in it. licence: the terms of its weights.
    """

    run: Path
    member: Path
    licence: str

    @classmethod
    def of_fold(cls, run: Path, number: int) -> InitialWeights:
        """The start of fold `number`: each fold starts from another model of the run, in turn."""
        members = trained_folders(run)
        member = members[max(number - 1, 0) % len(members)]
        return cls(run=run, member=member, licence=licence_of(run, member))

    def load_into(self, net: nn.Module) -> None:
        """Copy the weights into a network; RunError if they are of another network."""
        tensors = {k: torch.tensor(x) for k, x in read_tensors(self.member / WEIGHTS_FILE).items()}
        try:
            net.load_state_dict(tensors)
        except RuntimeError as error:
            line = " ".join(str(error).split())
            raise RunError(f"{self.member / WEIGHTS_FILE} does not fit the recipe: {line}") from None

    def record(self) -> dict[str, str]:
        """The entry of DATA_FILE: the run, the digest of the weights and their licence."""
        return {
            "run": _bundled_name(self.run) or str(self.run.resolve()),
            "member": self.member.name,
            "sha256": file_sha256(self.member / WEIGHTS_FILE),
            "licence": self.licence,
        }


def run_path(name: str | Path) -> Path:
    """The run directory that `--init` names, which may be one of BUNDLED_RUNS."""
    return BUNDLED_RUNS.get(str(name), Path(name))


def _bundled_name(run: Path) -> str | None:
    return next((name for name, path in BUNDLED_RUNS.items() if path.resolve() == run.resolve()), None)


def recorded_start(folder: Path) -> Path | None:
    """The run that the training in a folder started from, None if from random weights."""
    start = read_json(folder / DATA_FILE).get(INIT) if (folder / DATA_FILE).is_file() else None
    return run_path(start["run"]) if start else None


def licence_of(run: Path, member: Path) -> str:
    """The licence of a run's weights: passed on from run to run, or that of the bundled model."""
    if _bundled_name(run):
        return BUNDLED_LICENCE
    start: Mapping[str, object] = read_json(member / DATA_FILE).get(INIT) or {}
    return str(start.get("licence") or UNKNOWN_LICENCE)


def adaptation_recipe(run: Path, freeze: Freeze) -> Recipe:
    """The recipe of a run for training on few videos: few epochs, a low rate, the last epoch is kept.

    The last epoch is kept because a choice by the held-out videos would bias the gain that is measured on
    them.
    """
    start = read_recipe(trained_folders(run)[0])
    training = start.training
    return replace(
        start,
        training=replace(
            training,
            epochs=EPOCHS,
            batch_size=BATCH_SIZE,
            patience_epochs=None,
            keep="last",
            freeze=freeze,
            optim=replace(training.optim, lr=LEARNING_RATES[freeze], weight_decay=0.0),
            schedule=replace(training.schedule, shape="cosine", warmup_epochs=2.0, period_epochs=None),
            augment=Augment(),
        ),
    )


def check_same_model(recipe: Recipe, run: Path) -> None:
    """Raise UsageError where a recipe changed the model or the windows of the run it starts from."""
    start = read_recipe(trained_folders(run)[0])
    for part in ("model", "window"):
        if getattr(recipe, part) != getattr(start, part):
            raise UsageError(
                f"--init: the {part} is that of the run it starts from and cannot be changed",
                hint="change only values of `training`, or train without --init",
            )


def freeze_parameters(net: nn.Module, freeze: Freeze) -> None:
    """Stop the training of all parameters but those of the last layers or of the head."""
    trained = TRAINED_PARTS[freeze]
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(name.startswith(trained))
